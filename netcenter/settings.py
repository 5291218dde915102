"""Settings, from the environment only (`NETCENTER_…`); wrong ones are one clear line and exit code 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from netcenter.errors import UsageError
from sinks.postgres.settings import PostgresSettings
from sinks.webhook.settings import WebhookSettings
from streams.settings import WorkerSettings

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/\[\]]+):\d{1,5}")


def _servers(value: str | None) -> str | None:
    if value and not all(_SERVER.fullmatch(server) for server in value.split(",")):
        raise PydanticCustomError("servers", "host:port[,host:port] is meant")
    return value


class Settings(PostgresSettings, WebhookSettings):
    """Everything that can be set; each receiver's own settings stand in its folder under `sinks/`."""

    kafka: Annotated[str | None, AfterValidator(_servers)] = None
    """host:port[,host:port] of a Kafka; without it, the embedded one of `netcenter up`."""
    directory: Path = Path(".netcenter")
    """Where the embedded servers keep their data."""
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9._-]*$")] = ""
    """Before every topic and consumer group."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 8
    """Of every input topic; fixed for a prefix."""
    replication: Annotated[int, Field(ge=1)] = 1
    min_insync: Annotated[int, Field(ge=1)] = 1
    checkpoint_s: Annotated[float, Field(gt=0, le=5)] = 0.25
    idle_s: Annotated[float, Field(gt=0, le=5)] = 0.05
    tick_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    silence_s: Annotated[float, Field(gt=0)] = 10.0
    hint_s: Annotated[float, Field(gt=0)] = 0.5
    session_s: Annotated[float, Field(ge=6)] = 10.0
    on_lost: Literal["stop", "continue"] = "stop"
    """What a worker does when retention has deleted records that it had not read."""
    dead_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the last `dead_window` records of a partition that stops a role when it was set aside."""
    dead_window: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Of the first role; the next ones take the next ports. 0: each takes a free one, and says which."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    models: Path | None = None
    """A folder of classifier artefacts beside the bundled one."""

    def worker(self, kafka: str) -> WorkerSettings:
        """What a worker needs of it."""
        return WorkerSettings(
            kafka=kafka,
            prefix=self.prefix,
            partitions=self.partitions,
            checkpoint_s=self.checkpoint_s,
            idle_s=self.idle_s,
            tick_s=self.tick_s,
            silence_s=self.silence_s,
            hint_s=self.hint_s,
            session_s=self.session_s,
            on_lost=self.on_lost,
            dead_share=self.dead_share,
            dead_window=self.dead_window,
            health_host=self.health_host,
            health_port=self.health_port,
        )


def load() -> Settings:
    """The settings of this process. Raises UsageError naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"NETCENTER_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']} (it is {e['input']!r})"
            for e in error.errors()
        ]
        raise UsageError("; ".join(lines)) from None
