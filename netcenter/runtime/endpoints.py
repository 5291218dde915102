"""Where Kafka and PostgreSQL are: as the settings say, else the embedded ones that run here."""

from __future__ import annotations

from netcenter.errors import Unreachable
from netcenter.settings import Settings


def kafka_of(settings: Settings) -> str:
    """host:port of Kafka. Raises Unreachable."""
    return settings.kafka or _embedded(settings, "Kafka", "NETCENTER_KAFKA")


def postgres_of(settings: Settings) -> str:
    """The URI of PostgreSQL. Raises Unreachable."""
    return settings.postgres_uri() or _embedded(settings, "PostgreSQL", "NETCENTER_POSTGRES")


def _embedded(settings: Settings, name: str, variable: str) -> str:
    try:
        from netcenter.embedded import ended_because, process_of, running
    except ImportError:  # the extra is not installed: production
        raise Unreachable(f"no {name}: {variable} is not set") from None
    found = running(settings.directory)
    address = found.kafka if name == "Kafka" else found.postgres
    if address is not None:
        return address
    if (process := process_of(settings.directory, name)) is not None:
        raise Unreachable(
            f"no {name}: {variable} is not set, and ours in {settings.directory} does not answer, though its process "
            f"{process} runs: it starts, or it is stopped or too busy; `netcenter down`, then `netcenter up`, starts it anew"
        )
    why = ended_because(settings.directory, name)
    raise Unreachable(
        f"no {name}: {variable} is not set, and ours in {settings.directory} does not run: {why}"
        if why
        else f"no {name}: {variable} is not set and none of ours runs in {settings.directory}; see `netcenter up`"
    )
