"""The settings that roles and commands share, from the environment only; for a wrong setting, one line names the
setting and the exit code is 2.

A role's own settings are in a class beside the code that reads them; the role in netcenter/pipeline.py names the class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings

from netcenter.errors import UsageError
from schemas.releases import released
from sinks.port import SinkError
from sinks.postgres.settings import PostgresSettings
from sinks.settings import ReceiverSettings, secret
from streams.kafka_connection import KafkaConnection
from streams.settings import WorkerSettings
from streams.signatures import NO_SIGNATURES, Signatures

SettingsT = TypeVar("SettingsT", bound=BaseSettings)
NEVER = "never"
"""The word of `signed_since` by which every unsigned record is taken."""
_MOST_REPLICAS = 32_767
_HTTP = re.compile(r"https?://[^\s/]+(/\S*)?")
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/\[\]]+):\d{1,5}")


@dataclass(frozen=True)
class ReadBy:
    """Marks a setting that not every worker reads with its readers, for docs/settings.md."""

    words: str


_BY_HEARTBEAT = ReadBy("`heartbeat`")


def _servers(value: str | None) -> str | None:
    if value and not all(_SERVER.fullmatch(server) for server in value.split(",")):
        raise PydanticCustomError("servers", "host:port[,host:port] is meant")
    return value


def _https(value: str | None) -> str | None:
    url = urlsplit(value or "")
    if value and (url.scheme != "https" or not url.hostname or url.username):
        raise PydanticCustomError("https", "https://host[:port]/path is meant")
    return value


def _moment(value: str | None) -> str | None:
    if value in (None, NEVER):
        return value
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise PydanticCustomError("moment", "a time such as 2026-12-01T08:00:00Z, or never, is meant")
    return value


def _above_tick(value: float, info: ValidationInfo) -> float:
    tick_s = info.data.get("tick_s", 0.0)
    if value < tick_s:
        raise PydanticCustomError(
            "idle",
            "at least NETCENTER_TICK_S is meant, {tick_s} s: each source would count as idle between two Ticks",
            {"tick_s": tick_s},
        )
    return value


def _release(value: str) -> str:
    if value and value not in released():
        raise PydanticCustomError(
            "release", "one of these releases is meant: {known}", {"known": ", ".join(released())}
        )
    return value


class Settings(PostgresSettings):
    """The settings that workers and commands share. The settings of PostgreSQL are included, because several commands
    read it.
    """

    kafka: Annotated[str | None, AfterValidator(_servers), ReadBy("everything")] = None
    """host:port[,host:port] of Kafka; without it, the embedded Kafka of `netcenter up`."""
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], ReadBy("everything")
    ] = "PLAINTEXT"
    """How connections to Kafka are secured: `SSL` encrypts them, and proves who the client is by its certificate where it
    has one; `SASL_SSL` encrypts them and proves it by a user and a password; `SASL_PLAINTEXT` does not encrypt.
    """
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None, ReadBy("everything")
    ] = None
    """How a user proves to Kafka who they are, with `SASL_PLAINTEXT` and `SASL_SSL`."""
    kafka_sasl_username: Annotated[str | None, ReadBy("everything")] = None
    """The user's name at Kafka."""
    kafka_sasl_password: Annotated[SecretStr | None, ReadBy("everything")] = None
    """The user's password at Kafka; `NETCENTER_KAFKA_SASL_PASSWORD_FILE` keeps it out of the environment."""
    kafka_sasl_password_file: Annotated[Path | None, ReadBy("everything")] = None
    """The file with the user's password at Kafka; it is read again for each new connection."""
    kafka_oauth_token_endpoint: Annotated[str | None, AfterValidator(_https), ReadBy("everything")] = None
    """With `OAUTHBEARER`: the URL, https, that gives tokens by the flow "client credentials" of OAuth 2.0."""
    kafka_oauth_client_id: Annotated[str | None, ReadBy("everything")] = None
    """The name of this client at the token endpoint."""
    kafka_oauth_client_secret_file: Annotated[Path | None, ReadBy("everything")] = None
    """The file with this client's secret; it is read again for each token."""
    kafka_oauth_scope: Annotated[str | None, ReadBy("everything")] = None
    """The scope that is asked for, where the token endpoint wants one."""
    kafka_oauth_ca_file: Annotated[Path | None, ReadBy("everything")] = None
    """The certificates, in PEM, of the authorities that may sign the token endpoint's certificate; without it, those that the
    system trusts.
    """
    kafka_ca_file: Annotated[Path | None, ReadBy("everything")] = None
    """The certificates, in PEM, of the authorities that may sign the brokers' certificates; without it, those that the
    system trusts. This file and the next three are read again for each new connection.
    """
    kafka_cert_file: Annotated[Path | None, ReadBy("everything")] = None
    """This client's certificate with its chain, in PEM, for brokers that ask for one (mTLS)."""
    kafka_key_file: Annotated[Path | None, ReadBy("everything")] = None
    """The private key of that certificate, in PEM."""
    kafka_key_password_file: Annotated[Path | None, ReadBy("everything")] = None
    """The file with the password of that key, where the key is encrypted."""
    system_keys_file: Annotated[Path | None, ReadBy("workers, `topics apply`, `policy apply`, `ingest`")] = None
    """The file with the system's keys, which sign what roles and administrators write into the topics that gateways write
    to; see [wire.md](wire.md#signatures). Workers need this file and the next one, or neither.
    """
    operators_keys_file: Annotated[
        Path | None, ReadBy("workers, `operators`, `crisis`, `forget`, and `ingest` of a file with such records")
    ] = None
    """The file with the operators' keys, which sign actions, answers, shifts and declared crises."""
    signed_since: Annotated[
        str | None, AfterValidator(_moment), ReadBy("workers with keys, and everything that writes without a key")
    ] = None
    """The moment (RFC 3339) since when an unsigned control record is refused; what the broker wrote before is taken without a
    signature. Without it, no unsigned record is taken. `never`: every unsigned record is taken.
    """
    directory: Annotated[Path, ReadBy("everything that uses the embedded servers")] = Path(".netcenter")
    """The folder where the embedded servers keep their data."""
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9._-]*$"), ReadBy("everything")] = ""
    """The text before the name of every topic and consumer group."""
    partitions: Annotated[int, Field(ge=1, le=1024), ReadBy("workers and `topics apply`")] = 8
    """The number of partitions of every input topic; it is fixed for a prefix.
    Workers and `topics apply` compare it with the log; other commands go by the log."""
    replication: Annotated[int, Field(ge=1, le=_MOST_REPLICAS), ReadBy("`topics apply`")] = 1
    """The number of replicas of each new topic; 3 in production."""
    min_insync: Annotated[int, Field(ge=1, le=_MOST_REPLICAS), ReadBy("`topics apply`")] = 1
    """`min.insync.replicas` of each new topic; 2 in production."""
    checkpoint_s: Annotated[float, Field(gt=0, le=5)] = 0.25
    """Seconds between two checkpoints of a partition: a shorter interval gives less latency, and costs a transaction each."""
    idle_s: Annotated[float, Field(gt=0, le=5)] = 0.05
    """Seconds without a record after which a partition commits its checkpoint at once."""
    tick_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Seconds between two Ticks on the wall clock: 5 while nothing has come for a minute and nothing is due in the next."""
    source_idle_s: Annotated[float, Field(gt=0, le=86_400), AfterValidator(_above_tick)] = 10.0
    """Seconds without a Tick from a source after which the watermark no longer waits for that source, on the wall clock;
    at least `NETCENTER_TICK_S`.
    """
    offset_commit_s: Annotated[float, Field(gt=0, le=3600)] = 0.5
    """Seconds between two commits of a group's offsets, which `netcenter lag` reads."""
    session_s: Annotated[float, Field(ge=6, le=60)] = 10.0
    """Seconds of silence after which a worker loses its partitions to others. Kafka's own bounds are
    `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
    """
    on_lost: Literal["stop", "continue"] = "stop"
    """The worker's reaction when retention has deleted records that it had not read; see [lost_log.md](lost_log.md)."""
    dead_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of a partition's last records that stops a role when they became dead letters; 1: all of them."""
    dead_window: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """The number of last records that `NETCENTER_DEAD_SHARE` is a share of."""
    health_host: str = "127.0.0.1"
    """The address where `/live`, `/ready` and `/metrics` answer; `0.0.0.0` where `netcenter doctor` runs on another machine."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """The port of the first role; further roles take the next ports. 0: each role takes a free port. A worker logs its
    address when it starts.
    """
    upgrade_from: Annotated[str, AfterValidator(_release), ReadBy("everything that writes records")] = ""
    """In a rolling upgrade, the release that is replaced: all that is written has its forms and versions, so that it can
    be started again; see [upgrade.md](upgrade.md). Empty: the newest forms and versions are written."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], ReadBy("everything")] = "info"
    """The least level of a line that is logged."""

    def worker(self, kafka: KafkaConnection, signatures: Signatures = NO_SIGNATURES) -> WorkerSettings:
        """The settings of a worker. kafka, signatures: as `netcenter.runtime` makes them."""
        shared = set(WorkerSettings.__struct_fields__) & set(type(self).model_fields) - {"kafka"}
        return WorkerSettings(kafka=kafka, signatures=signatures, **{name: getattr(self, name) for name in shared})


class HeartbeatSettings(ReceiverSettings):
    """The settings of `netcenter heartbeat`, beside the shared ones."""

    heartbeat_url: Annotated[SecretStr | None, _BY_HEARTBEAT] = None
    """The URL that is called while all is well, http or https. Keep it secret: whoever knows it can hide an outage."""
    heartbeat_url_file: Annotated[Path | None, _BY_HEARTBEAT] = None
    """The file with that URL; it is read again before each call."""
    heartbeat_fault: Annotated[Literal["silent", "fail"], _BY_HEARTBEAT] = "silent"
    """What is called when something is wrong: nothing; or, with `fail`, the URL with `/fail` after its path, and with the line
    that says what is wrong, as healthchecks.io has it.
    """
    heartbeat_every_s: Annotated[float, Field(ge=1, le=3600), _BY_HEARTBEAT] = 60.0
    """Seconds between two checks of the pipeline."""
    heartbeat_behind_s: Annotated[float, Field(gt=0, le=86_400), _BY_HEARTBEAT] = 300.0
    """Seconds by which a role may be behind the wall clock in event time, or may not move while records wait for it."""
    heartbeat_ca_file: Annotated[Path | None, _BY_HEARTBEAT] = None
    """The certificates, in PEM, of the authorities that may sign the certificate of that URL's server; without it, those that
    certifi lists.
    """
    heartbeat_proxy: Annotated[str | None, _BY_HEARTBEAT] = None
    """The proxy of HTTP through which the URL is called, `http://[user:password@]host:port`."""
    heartbeat_proxy_file: Annotated[Path | None, _BY_HEARTBEAT] = None
    """A file that holds the proxy's address, for one with a password; it is read again before each call."""

    def url(self) -> str:
        """The URL as it is now. Raises SinkError where there is none, or where its file cannot be read."""
        value = None if self.heartbeat_url is None else self.heartbeat_url.get_secret_value()
        found = secret(value, self.heartbeat_url_file, variable("heartbeat_url_file"))
        if found is None:
            raise SinkError(
                f"{variable('heartbeat_url')} (or …_FILE) is not set: it says what is called while all is well"
            )
        if not _HTTP.fullmatch(found):
            raise SinkError(f"{variable('heartbeat_url')} (or …_FILE): http://host/path or https://host/path is meant")
        return found


def load() -> Settings:
    """The shared settings of this process. Raises UsageError as `read` does."""
    return read(Settings)


def read(settings: type[SettingsT]) -> SettingsT:
    """The settings of a class, from the environment. Raises UsageError, which names each wrong variable."""
    try:
        return settings()
    except ValidationError as error:
        lines = [f"{variable('.'.join(map(str, e['loc'])))}: {e['msg']} (it is {e['input']!r})" for e in error.errors()]
        raise UsageError("; ".join(lines)) from None


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return f"NETCENTER_{setting.upper()}"
