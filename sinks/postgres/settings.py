"""PostgreSQL's settings, and the function that makes the sink from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sinks.port import SinkError, SinkPort
from sinks.settings import ReceiverSettings, secret


class PostgresSettings(ReceiverSettings):
    """Where PostgreSQL is."""

    postgres: str | None = None
    """postgresql:// URI; without it, the embedded one."""
    postgres_file: Path | None = None
    """A file that holds the URI, for a mounted secret; it is read again at each connection."""

    def postgres_uri(self) -> str | None:
        """The URI, from its file or its variable; None where neither is set. Raises SinkError."""
        uri = secret(self.postgres, self.postgres_file, "NETCENTER_POSTGRES_FILE")
        if uri:
            _check(uri, "NETCENTER_POSTGRES_FILE" if self.postgres_file else "NETCENTER_POSTGRES")
        return uri


def postgres_sink(settings: PostgresSettings, default: Callable[[], str]) -> SinkPort:
    """The sink of these settings.

    default: returns the URI where none is set. Raises SinkError for wrong settings, and the errors of `default`.
    """
    from sinks.postgres.sink import PostgresSink  # imported here, because workers of other roles need no psycopg2

    def uri() -> str:
        return settings.postgres_uri() or default()

    return PostgresSink(uri(), renewed=uri)


def _check(uri: str, variable: str) -> None:
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    try:
        parse_dsn(uri)
    except ProgrammingError:  # the error's message holds the URI with the password
        raise SinkError(
            f"{variable}: postgresql://user@host:port/database is meant; what stands there is not shown"
        ) from None
