"""PostgreSQL's settings, and the function that makes the sink from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sinks.port import SinkError, SinkPort
from sinks.settings import ReceiverSettings, secret

_CHECKED = "verify-full"
_OPTIONS = {
    "password": "postgres_password_file",
    "sslrootcert": "postgres_ca_file",
    "sslcert": "postgres_cert_file",
    "sslkey": "postgres_key_file",
}
"""The setting that gives a connection an option of libpq."""


class PostgresSettings(ReceiverSettings):
    """Where PostgreSQL is, and how a client and it prove to each other who they are."""

    postgres: str | None = None
    """postgresql:// URI; without it, the embedded one."""
    postgres_file: Path | None = None
    """A file that holds the URI, for a mounted secret; it is read again at each connection."""
    postgres_password_file: Path | None = None
    """A file that holds the password, where the URI holds none; it is read again at each connection."""
    postgres_ca_file: Path | None = None
    """The certificates, in PEM, of the authorities that may sign the server's certificate. With this setting connections are
    over TLS, and the certificate must be of these authorities and name the host (`sslmode=verify-full`). This file and the
    next two are read again at each connection.
    """
    postgres_cert_file: Path | None = None
    """This client's certificate, in PEM, for a server that asks for one."""
    postgres_key_file: Path | None = None
    """The private key of that certificate, in PEM; nobody but its owner and root's group may read it."""

    def postgres_uri(self) -> str | None:
        """The URI, with the password and the files of certificates where settings name these; None where no URI is set.

        Raises SinkError.
        """
        uri = secret(self.postgres, self.postgres_file, "NETCENTER_POSTGRES_FILE")
        given = {option: name for option, name in _OPTIONS.items() if getattr(self, name) is not None}
        if not uri:
            for name in given.values():
                raise SinkError(f"{_variable(name)} is set, and NETCENTER_POSTGRES (or …_FILE) is not")
            return None
        parts = _parsed(uri, "NETCENTER_POSTGRES_FILE" if self.postgres_file else "NETCENTER_POSTGRES")
        return self._completed(uri, parts, given) if given else uri

    def _completed(self, uri: str, parts: dict[str, str], given: dict[str, str]) -> str:
        from psycopg2.extensions import make_dsn

        for option, name in given.items():
            if option in parts:
                raise SinkError(
                    f"{_variable(name)} is set, and the URI of PostgreSQL has {option}: leave one of them out"
                )
        if ("sslcert" in given) != ("sslkey" in given):
            raise SinkError("one of NETCENTER_POSTGRES_CERT_FILE and NETCENTER_POSTGRES_KEY_FILE is not set: set both")
        found = {option: str(getattr(self, name)) for option, name in given.items()}
        if "password" in given:
            found["password"] = str(secret(None, self.postgres_password_file, "NETCENTER_POSTGRES_PASSWORD_FILE"))
        if "sslrootcert" in given and (mode := parts.get("sslmode", _CHECKED)) != _CHECKED:
            raise SinkError(
                f"NETCENTER_POSTGRES_CA_FILE is set, and the URI of PostgreSQL has sslmode={mode}, which does not check the "
                f"host name: leave it out there, or write sslmode={_CHECKED}"
            )
        return make_dsn(uri, **found, **({"sslmode": _CHECKED} if "sslrootcert" in given else {}))


def postgres_sink(settings: PostgresSettings, default: Callable[[], str], prefix: str) -> SinkPort:
    """The sink of these settings.

    default: returns the URI where none is set. prefix: of the topics whose records it writes. Raises SinkError for wrong
    settings, and the errors of `default`.
    """
    from sinks.postgres.sink import PostgresSink  # imported here, because workers of other roles need no psycopg2

    def uri() -> str:
        return settings.postgres_uri() or default()

    return PostgresSink(uri(), uri, prefix)


def _parsed(uri: str, variable: str) -> dict[str, str]:
    """The options of a URI. Raises SinkError, which does not show it."""
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    try:
        return parse_dsn(uri)
    except ProgrammingError:  # the error's message holds the URI with the password
        raise SinkError(
            f"{variable}: postgresql://user@host:port/database is meant; what stands there is not shown"
        ) from None


def _variable(setting: str) -> str:
    return f"NETCENTER_{setting.upper()}"
