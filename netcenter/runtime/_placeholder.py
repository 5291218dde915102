"""Placeholder until branch `postgres` is on main: sinks/settings.py, sinks/postgres/settings.py and sinks/webhook/settings.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from sinks.port import Sink, SinkError


class ReceiverSettings(BaseSettings):
    """Base of a receiver's settings: its fields are read from the environment, with `NETCENTER_` before their names."""

    model_config = SettingsConfigDict(env_prefix="NETCENTER_", extra="ignore")


def secret(value: str | None, file: Path | None, variable: str) -> str | None:
    """A secret from its file where one is set, else from its variable; None where neither is set."""
    if file is None:
        return value
    try:
        found = file.read_text().strip()
    except OSError as error:
        raise SinkError(f"{variable}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SinkError(f"{variable}: {file}: it is no UTF-8 text") from None
    if not found:
        raise SinkError(f"{variable}: {file}: it is empty")
    return found


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


def postgres_sink(settings: PostgresSettings, default: Callable[[], str]) -> Sink:
    """The sink of these settings."""
    from sinks.postgres import PostgresSink

    def uri() -> str:
        return settings.postgres_uri() or default()

    return PostgresSink(uri(), renewed=uri)


def _check(uri: str, variable: str) -> None:
    from psycopg2 import ProgrammingError
    from psycopg2.extensions import parse_dsn

    try:
        parse_dsn(uri)
    except ProgrammingError:  # its message holds the URI, and so the password
        raise SinkError(
            f"{variable}: postgresql://user@host:port/database is meant; what stands there is not shown"
        ) from None


class WebhookSettings(ReceiverSettings):
    """Where alerts are posted, and the secret that signs them."""

    webhook_url: str | None = None
    """The receiver's address, http or https; without it there is no webhook."""
    webhook_secret: str | None = None
    """`whsec_` and base64, shared with the receiver."""
    webhook_secret_file: Path | None = None
    """A file that holds the secret; it is read again before each alert."""

    def signing_secret(self) -> str | None:
        """The secret, from its file or its variable. Raises SinkError where the file cannot be read."""
        return secret(self.webhook_secret, self.webhook_secret_file, "NETCENTER_WEBHOOK_SECRET_FILE")


def webhook_sink(settings: WebhookSettings) -> Sink:
    """The sink of these settings. Raises SinkError naming the variable that is missing or wrong."""
    from sinks.webhook import WebhookSink

    current = settings.signing_secret()
    if settings.webhook_url is None or current is None:
        raise SinkError("the webhook role needs NETCENTER_WEBHOOK_URL and NETCENTER_WEBHOOK_SECRET (or …_SECRET_FILE)")
    try:
        return WebhookSink(settings.webhook_url, current, renewed=lambda: settings.signing_secret() or current)
    except SinkError as error:
        raise SinkError(f"NETCENTER_WEBHOOK_URL, NETCENTER_WEBHOOK_SECRET (or …_SECRET_FILE): {error}") from None
