"""The common part of all receivers' settings: variables `NETCENTER_…`, and secrets that may come from files."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from sinks.port import SinkError


class ReceiverSettings(BaseSettings):
    """Base of a receiver's settings: its fields are read from the environment, with `NETCENTER_` before their names."""

    model_config = SettingsConfigDict(env_prefix="NETCENTER_", extra="ignore")


class AlertReceiverSettings(ReceiverSettings):
    """Base of the settings of a receiver that shows messages to people."""

    alert_posts: bool = False
    """Whether the worker reads the address of an alert's root post, and where the policy allows it the words, from PostgreSQL; it
    takes the settings of PostgreSQL as the role `postgres` does.
    """


def secret(value: str | None, file: Path | None, variable: str) -> str | None:
    """A secret from its file where one is set, else from its variable; None where neither is set. White space around it and a
    byte order mark are left out.

    variable: the name of the file's variable, for messages. Raises SinkError where the file cannot be read or is empty.
    """
    if file is None:
        return value
    try:
        found = file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise SinkError(f"{variable}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SinkError(f"{variable}: {file}: it is no UTF-8 text") from None
    if not found:
        raise SinkError(f"{variable}: {file}: it is empty")
    return found
