"""Settings, from the environment only (`NETCENTER_…`); wrong ones are one clear line and exit code 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from netcenter.errors import UsageError
from streams.settings import WorkerSettings

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/\[\]]+):\d{1,5}")


def _servers(value: str | None) -> str | None:
    if value and not all(_SERVER.fullmatch(server) for server in value.split(",")):
        raise PydanticCustomError("servers", "host:port[,host:port] is meant")
    return value


class Settings(BaseSettings):
    """Everything that can be set. Secrets may be files: `NETCENTER_WEBHOOK_SECRET_FILE`."""

    model_config = SettingsConfigDict(env_prefix="NETCENTER_", extra="ignore")

    kafka: Annotated[str | None, AfterValidator(_servers)] = None
    """host:port[,host:port] of a Kafka; without it, the embedded one of `netcenter up`."""
    postgres: str | None = None
    """postgresql:// URI; without it, the embedded one."""
    postgres_file: Path | None = None
    """A file that holds the URI, for a mounted secret."""
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
    source_idle_s: Annotated[float, Field(gt=0)] = 10.0
    offset_commit_s: Annotated[float, Field(gt=0)] = 0.5
    session_s: Annotated[float, Field(ge=6)] = 10.0
    on_lost: Literal["stop", "continue"] = "stop"
    """What a worker does when retention has deleted records that it had not read."""
    dead_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of dead letters among the last `dead_window` records of a partition at which the role stops."""
    dead_window: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Of the first role; the next ones take the next ports. 0: each takes a free one, and says which."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    webhook_url: str | None = None
    webhook_secret: str | None = None
    webhook_secret_file: Path | None = None
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
            source_idle_s=self.source_idle_s,
            offset_commit_s=self.offset_commit_s,
            session_s=self.session_s,
            on_lost=self.on_lost,
            dead_share=self.dead_share,
            dead_window=self.dead_window,
            health_host=self.health_host,
            health_port=self.health_port,
        )

    def secret(self) -> str | None:
        """The webhook's secret, from the variable or the file. Raises UsageError."""
        return _secret(self.webhook_secret, self.webhook_secret_file, "NETCENTER_WEBHOOK_SECRET_FILE")

    def postgres_uri(self) -> str | None:
        """PostgreSQL's URI, from the variable or the file. Raises UsageError."""
        uri = _secret(self.postgres, self.postgres_file, "NETCENTER_POSTGRES_FILE")
        if uri:
            _check_uri(uri, "NETCENTER_POSTGRES_FILE" if self.postgres_file else "NETCENTER_POSTGRES")
        return uri


def _secret(value: str | None, file: Path | None, name: str) -> str | None:
    if file is None:
        return value
    try:
        found = file.read_text().strip()
    except OSError as error:
        raise UsageError(f"{name}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name}: {file}: it is no UTF-8 text") from None
    if not found:
        raise UsageError(f"{name}: {file}: it is empty")
    return found


def _check_uri(uri: str, name: str) -> None:
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    try:
        parse_dsn(uri)
    except ProgrammingError:  # its words hold the URI, and so the password
        raise UsageError(
            f"{name}: postgresql://user@host:port/database is meant; what stands there is not shown"
        ) from None


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
