"""The addresses of Kafka and PostgreSQL: from the settings, or else of the embedded servers on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from netcenter.errors import Unreachable, UsageError
from netcenter.runtime.kafka_security import security_of
from netcenter.settings import Settings, load, read, variable
from sinks import port
from sinks.port import SinkError
from sinks.postgres import settings as receiver
from sinks.postgres.settings import PostgresSettings
from sinks.settings import AlertReceiverSettings, ReceiverSettings
from streams.kafka_connection import KafkaConnection

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver
    from sinks.http_client import HttpRoute
    from sinks.root_posts import RootPosts

SettingsT = TypeVar("SettingsT", bound=ReceiverSettings)


def kafka_of(settings: Settings) -> KafkaConnection:
    """Where Kafka is, and how to connect to it. Raises Unreachable, or UsageError where the settings of its security
    do not fit together or a file that they name cannot be used.
    """
    security = security_of(settings)
    if settings.kafka is None and security.protocol != "PLAINTEXT":
        raise UsageError(
            f"{variable('kafka_security_protocol')} is {security.protocol}, and {variable('kafka')} is not set: the "
            f"Kafka of `netcenter up` has no security; name the brokers in {variable('kafka')}"
        )
    servers = settings.kafka or _embedded(settings.directory, "Kafka", "NETCENTER_KAFKA")
    return KafkaConnection(servers, security)


def postgres_of(settings: Settings) -> str:
    """The URI of PostgreSQL. Raises Unreachable, or UsageError where its file cannot be read."""
    try:
        return settings.postgres_uri() or _embedded_postgres(settings.directory)
    except SinkError as error:
        raise UsageError(str(error)) from None


def uses_embedded(settings: Settings) -> bool:
    """Whether Kafka or PostgreSQL is the embedded one."""
    return settings.kafka is None or (settings.postgres is None and settings.postgres_file is None)


def postgres_sink(settings: PostgresSettings) -> port.SinkPort:
    """The sink that writes to PostgreSQL; without a setting, to the embedded PostgreSQL. Raises SinkError, or
    ReceiverUnreachable where the embedded PostgreSQL does not run.
    """
    return receiver.postgres_sink(settings, _embedded_uri, load().prefix)


def _embedded_uri() -> str:
    """The URI of the embedded PostgreSQL. Raises ReceiverUnreachable where it does not run."""
    try:
        return _embedded_postgres(load().directory)
    except Unreachable as error:
        raise port.ReceiverUnreachable(str(error)) from None


def root_posts(settings: ReceiverSettings) -> RootPosts | None:
    """Looks up root posts where the receiver's settings ask for it; else None."""
    if not isinstance(settings, AlertReceiverSettings) or not settings.alert_posts:
        return None
    from sinks.postgres.stored_posts import StoredPosts  # imported here, because most workers need no psycopg2

    postgres = read(PostgresSettings)
    return StoredPosts(lambda: postgres.postgres_uri() or _embedded_uri())


def alert_sink(name: str, make: Callable[[SettingsT], AlertReceiver], settings: SettingsT) -> port.ReportingSink:
    """The sink that tells a receiver about alerts. name: the receiver's, which is its role's too. make: makes the receiver from
    its settings. Raises SinkError for wrong settings.
    """
    from sinks.alert_sink import AlertSink  # imported here, because workers of other roles do not need it

    return AlertSink(name, make(settings), posts=root_posts(settings))


def http_alert_sink(
    name: str, make: Callable[[SettingsT, HttpRoute], AlertReceiver], settings: SettingsT
) -> port.ReportingSink:
    """As `alert_sink`, for a receiver that is reached by HTTP: its route follows from the settings `<name>_ca_file`,
    `<name>_proxy` and `<name>_proxy_file`.
    """
    from netcenter.runtime.http_routes import http_route  # imported here, because other roles need no HTTP client

    return alert_sink(name, lambda given: make(given, http_route(given, name)), settings)


def _embedded_postgres(directory: Path) -> str:
    return _embedded(directory, "PostgreSQL", "NETCENTER_POSTGRES")


def _embedded(directory: Path, name: str, variable: str) -> str:
    """The address of an embedded server. Raises Unreachable, which says why there is none."""
    try:
        from netcenter.embedded import ended_because, process_of, running
    except ImportError:  # the extra is not installed: production
        raise Unreachable(f"no {name}: {variable} is not set") from None
    found = running(directory)
    address = found.kafka if name == "Kafka" else found.postgres
    if address is not None:
        return address
    if (process := process_of(directory, name)) is not None:
        raise Unreachable(
            f"no {name}: {variable} is not set, and ours in {directory} does not answer, though its process "
            f"{process} runs: it starts, or it is stopped or too busy; `netcenter down`, then `netcenter up`, starts it anew"
        )
    why = ended_because(directory, name)
    raise Unreachable(
        f"no {name}: {variable} is not set, and ours in {directory} does not run: {why}"
        if why
        else f"no {name}: {variable} is not set and none of ours runs in {directory}; see `netcenter up`"
    )
