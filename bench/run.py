"""One run of the benchmarks: its servers, its sizes and its folder for logs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2 import sql

from netcenter.embedded import Stack
from streams.kafka_connection import KafkaConnection


@dataclass(frozen=True)
class Run:
    """The argument of every part."""

    stack: Stack
    kafka: KafkaConnection
    """The benchmark's own Kafka."""
    postgres: str
    """URI of the server's first database."""
    folder: Path
    """Folder of this run: logs and the peers' local state."""
    mentions: int
    seconds: int
    """Seconds for which latency is measured at each interval."""
    say: Callable[[str], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables that a program needs beside Kafka's address: its security and its user."""

    @property
    def broker(self) -> int:
        """Kafka's process id."""
        return _running(self.stack.kafka.pid, "Kafka")

    @property
    def database(self) -> int:
        """PostgreSQL's process id."""
        return _running(self.stack.postgres.pid, "PostgreSQL")

    def name(self, what: str) -> str:
        """Return a new name for groups and topics."""
        return f"{what}-{secrets.token_hex(3)}"

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """Create an empty database, yield its URI and drop the database at the end."""
        name = f"bench_{secrets.token_hex(3)}"
        self._sql("create database {}", name)
        try:
            yield self.postgres.rpartition("/")[0] + f"/{name}"
        finally:
            self._sql("drop database {} with (force)", name)

    def _sql(self, statement: str, name: str) -> None:
        connection = psycopg2.connect(self.postgres)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
        finally:
            connection.close()


def _running(pid: int | None, server: str) -> int:
    if pid is None:
        raise RuntimeError(f"{server} has ended: its folder's logs say why")
    return pid
