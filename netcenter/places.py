"""Where Kafka and PostgreSQL are: as the settings say, else the embedded ones that run here."""

from __future__ import annotations

from netcenter.errors import Unreachable
from netcenter.settings import Settings


def kafka_of(settings: Settings) -> str:
    """host:port of Kafka. Raises Unreachable."""
    if settings.kafka:
        return settings.kafka
    found = _embedded(settings)
    if found is None:
        raise Unreachable(
            f"no Kafka: NETCENTER_KAFKA is not set and none of ours runs in {settings.directory}; see `netcenter up`"
        )
    return found[0]


def postgres_of(settings: Settings) -> str:
    """The URI of PostgreSQL. Raises Unreachable."""
    given = settings.postgres_uri()
    if given:
        return given
    found = _embedded(settings)
    if found is None:
        raise Unreachable(
            f"no PostgreSQL: NETCENTER_POSTGRES is not set and none of ours runs in {settings.directory}; see `netcenter up`"
        )
    return found[1]


def _embedded(settings: Settings) -> tuple[str, str] | None:
    try:
        from netcenter.embedded import running
    except ImportError:
        return None  # the extra is not installed: production
    found = running(settings.directory)
    return None if found is None else (found.kafka, found.postgres)
