"""The PostgreSQL sink: a batch's rows and its offsets in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from sinks.port import Item, Refused, SinkError
from sinks.postgres import faults, writing
from sinks.postgres.copytext import Rows
from sinks.postgres.forgetting import admitted
from sinks.postgres.migrate import migrate
from sinks.postgres.tables import TABLES

#: A server that vanishes without a word is noticed within about half a minute.
_CONNECTION = {
    "application_name": "netcenter sink",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# A statement sees what was committed before it began, whatever the server's default: see forgetting.py.
_SESSION = (
    "set client_encoding to 'UTF8'; set time zone 'UTC'; set client_min_messages to warning;"
    " set default_transaction_isolation to 'read committed'"
)

_STORED = """
insert into sink_offsets select topic, partition, 0 from unnest(%s::text[], %s::int[]) as p (topic, partition)
on conflict do nothing;
select topic, partition, next from sink_offsets where (topic, partition) in %s order by topic, partition for update
"""
_FOLLOWING = """
update sink_offsets s set next = f.next
from unnest(%s::text[], %s::int[], %s::bigint[]) as f (topic, partition, next)
where (s.topic, s.partition) = (f.topic, f.partition)
"""

Place = tuple[str, int]


class PostgresSink:
    """Keeps PostgreSQL's tables in step with the public topics. Implements `sinks.port.Sink`.

    uri: of libpq, `postgresql://user:password@host:port/database`. Records are told apart by their class, so
    a prefix of the topics does not matter. Calls from several threads wait for each other; each connects by
    itself where the connection was lost.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection: Connection | None = None
        self._written: dict[Place, int] = {}
        self._unconfirmed: list[Refused] = []
        self._one_at_a_time = threading.RLock()
        #: NUL characters replaced by U+FFFD in rows written so far.
        self.nul_replaced = 0
        try:
            parts = parse_dsn(uri)
        except psycopg2.ProgrammingError:  # its words hold the URI, and so the password
            raise SinkError(
                "the PostgreSQL URI cannot be read: postgresql://user@host:port/database is meant"
            ) from None
        #: What a connection is opened with beside the URI.
        self.options: dict[str, Any] = {name: value for name, value in _CONNECTION.items() if name not in parts}
        host = parts.get("host") or parts.get("hostaddr") or "the local socket"
        #: Where it is, for messages.
        self.server = f"PostgreSQL at {host}:{parts.get('port') or 5432}, database {parts.get('dbname') or 'default'}"

    def open(self) -> None:
        """Connect and migrate. Raises Unreachable, or SinkError for wrong settings or rights."""
        with self._one_at_a_time, self._translating():
            self.close()
            connection = self._connected()
            migrate(self._uri, connection)

    def positions(self, topic_partitions: Collection[Place]) -> dict[Place, int]:
        """The next offset to read of each partition that was ever written. Raises Unreachable, SinkError."""
        if not topic_partitions:
            return {}
        with self._one_at_a_time, self._translating():
            with self._transaction() as cursor:
                cursor.execute(
                    "select topic, partition, next from sink_offsets where (topic, partition) in %s",
                    (tuple(topic_partitions),),
                )
                found = {(topic, partition): following for topic, partition, following in cursor}
            # Whoever asks starts from here; what another owner or a restored backup did before is no concern.
            for place in topic_partitions:
                self._written.pop(place, None)
            return found

    def write(self, items: Sequence[Item]) -> list[Refused]:
        """Write a batch and its offsets; items below the stored offset are passed over.

        Each refused item also stands in dead_letters by the same transaction, so that none vanishes if the
        caller dies before it has written it elsewhere. Raises Unreachable: nothing was written, or it is not
        known whether; give the same batch again. Raises SinkError where the tables or rights are wrong, or
        the database has lost offsets that it had.
        """
        if not items:
            return []
        with self._one_at_a_time, self._translating():
            return self._write(items)

    def close(self) -> None:
        """Let go of the connection."""
        with self._one_at_a_time:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _write(self, items: Sequence[Item]) -> list[Refused]:
        rows = Rows()
        following = {(item.topic, item.partition): item.offset + 1 for item in items}
        with self._transaction() as cursor:
            stored = self._lock_offsets(cursor, sorted(following))
            known = [one for one in self._unconfirmed if one.item.offset < stored.get(_place(one.item), 0)]
            new = [item for item in items if item.offset >= stored[item.topic, item.partition]]
            following = {place: offset for place, offset in following.items() if offset > stored[place]}
            refused = writing.apply(cursor, admitted(cursor, new), rows)
            writing.set_aside(cursor, refused)
            # If the connection breaks in the commit, only the next call can tell whether these are in.
            self._unconfirmed = known + refused
            if following:
                cursor.execute(_FOLLOWING, (*_columns_of(following), list(following.values())))
        self._written.update(following)
        self.nul_replaced += rows.nuls
        refused, self._unconfirmed = self._unconfirmed, []
        return refused

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = psycopg2.connect(self._uri, **self.options)
            self._connection = connection
            with connection.cursor() as cursor:
                cursor.execute(_SESSION)
                for table in TABLES:
                    cursor.execute(table.create_stage())
            connection.commit()
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        connection = self._connected()
        try:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()
        finally:
            if not connection.closed:
                connection.rollback()  # after a commit it does nothing

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Raise the port's errors for psycopg2's, and drop the connection: the next call makes another."""
        try:
            yield
        except psycopg2.Error as error:
            lost = self._connection is None or self._connection.closed != 0
            self.close()
            raise faults.translated(error, self.server, lost) from None

    def _lock_offsets(self, cursor: Cursor, places: list[Place]) -> dict[Place, int]:
        """The stored offsets, locked: a second owner of the same partition waits until this batch is in.

        `places` are sorted: locks taken in one order cannot wait for each other.
        """
        names, numbers = _columns_of(places)
        cursor.execute(_STORED, (names, numbers, tuple(places)))
        stored: dict[Place, int] = {(topic, partition): following for topic, partition, following in cursor}
        for place, following in stored.items():
            if following < self._written.get(place, 0):
                raise SinkError(
                    f"{self.server}: its offset of {place[0]}/{place[1]} fell from {self._written[place]}"
                    f" to {following}; it was restored or failed over to a copy that is behind:"
                    " restart this worker"
                )
        return stored


def _place(item: Item) -> Place:
    return item.topic, item.partition


def _columns_of(places: Iterable[Place]) -> tuple[list[str], list[int]]:
    """Topics and partitions."""
    return [topic for topic, _ in places], [partition for _, partition in places]
