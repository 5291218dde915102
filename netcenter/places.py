"""Where Kafka and PostgreSQL are: as the settings say, else the embedded ones that run here, each known by itself."""

from __future__ import annotations

from typing import Literal

from netcenter.errors import Unreachable
from netcenter.settings import Settings


def kafka_of(settings: Settings) -> str:
    """host:port of Kafka. Raises Unreachable."""
    return settings.kafka or _embedded(settings, "kafka", "Kafka")


def postgres_of(settings: Settings) -> str:
    """The URI of PostgreSQL. Raises Unreachable."""
    return settings.postgres_uri() or _embedded(settings, "postgres", "PostgreSQL")


def _embedded(settings: Settings, which: Literal["kafka", "postgres"], name: str) -> str:
    """The address of one that `netcenter up --detach` has left running: the other may have died."""
    folder = settings.directory / which
    try:
        from netcenter.embedded import Stack
    except ImportError:
        found = None  # the extra is not installed: production
    else:
        server = Stack(settings.directory).kafka if which == "kafka" else Stack(settings.directory).postgres
        found = server.address_left_running()
    if found is not None:
        return found
    missing = f"no {name}: NETCENTER_{which.upper()} is not set and "
    if folder.is_dir():
        raise Unreachable(
            f"{missing}ours in {folder} does not run or does not answer: see the logs there; `netcenter up --detach` starts it"
        )
    raise Unreachable(f"{missing}none of ours runs in {settings.directory}; see `netcenter up`")
