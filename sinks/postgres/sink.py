"""The PostgreSQL sink: a batch's rows and its offsets in one transaction."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from os import dup
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from sinks.port import ReceiverUnreachable, RefusedItem, Rewound, SinkError, SinkItem
from sinks.postgres import faults, holding, writing
from sinks.postgres.copytext import TextRows
from sinks.postgres.forgetting import admitted
from sinks.postgres.migrate import migrate, missing

#: A server that vanishes without a word is noticed within about half a minute.
_CONNECTION = {
    "application_name": "netcenter sink",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
#: Seconds to wait for a lock; to stand still in the middle of a transaction, as a worker that is frozen does while it
#: holds offsets that the next owner needs.
_LOCK_S, _STILL_S = 10, 60
#: Seconds that a statement may take: at first, and when those before have taken too long one after the other.
_STATEMENT_S, _STATEMENT_MOST_S = 60, 3_840
# For this transaction only: behind a pooler the session is another one each time. The first statement of each, so
# that others can be asked about it.
_BEGIN = (
    "set local time zone 'UTC'; set local client_min_messages to warning; set local lock_timeout = '{lock}s';"
    " set local idle_in_transaction_session_timeout = '{still}s'; set local statement_timeout = '{statement}s';"
    " select pg_backend_pid()"
)
#: Seconds that a cancelled statement has before its connection is cut.
_CANCEL_S = 1.0

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
    """Keeps PostgreSQL's tables in step with the public topics. Implements `sinks.port.SinkPort`.

    uri: of libpq, `postgresql://user:password@host:port/database`. renewed: asked for the URI before each connection,
    for a password that may be changed meanwhile; raises SinkError. Records are told apart by their class, so a prefix
    of the topics does not matter. Calls from several threads wait for each other; each connects by itself where the
    connection was lost. Each transaction may be in a session of its own, as behind a pooler.
    """

    keeps_offsets = True

    def __init__(self, uri: str, renewed: Callable[[], str] | None = None) -> None:
        self._renewed = renewed
        self._connection: Connection | None = None
        self._written: dict[Place, int] = {}
        self._unconfirmed: list[RefusedItem] = []
        self._one_at_a_time = threading.RLock()
        #: Of the session of the newest transaction.
        self._session: int | None = None
        self._statement_s = _STATEMENT_S
        #: Whether anything has succeeded yet.
        self._worked = False
        #: NUL characters replaced by U+FFFD in rows written so far.
        self.nul_replaced = 0
        self._take(uri)

    def _take(self, uri: str) -> None:
        try:
            parts = parse_dsn(uri)
        except psycopg2.ProgrammingError:  # its words hold the URI, and so the password
            raise SinkError(
                "the PostgreSQL URI cannot be read: postgresql://user@host:port/database is meant"
            ) from None
        self._uri = uri
        #: What a connection is opened with beside the URI.
        self.options: dict[str, Any] = {name: value for name, value in _CONNECTION.items() if name not in parts}
        host = parts.get("host") or parts.get("hostaddr") or "the local socket"
        #: Where it is, for messages.
        self.server = f"PostgreSQL at {host}:{parts.get('port') or 5432}, database {parts.get('dbname') or 'default'}"

    def open(self) -> None:
        """Connect and migrate. Raises ReceiverUnreachable, or SinkError for wrong settings or rights."""
        with self._one_at_a_time, self._translating():
            self.close()
            with self._transaction() as cursor:
                lacking = missing(cursor)
            if lacking:
                self._migrate()
            self._worked = True

    def _migrate(self) -> None:
        try:
            with self._transaction() as cursor:
                cursor.execute("set local statement_timeout = 0")
                migrate(cursor)
        except psycopg2.errors.InsufficientPrivilege:
            raise SinkError(
                f"{self.server}: the tables lack migrations, which this user may not apply: run `netcenter postgres migrate` "
                "as their owner"
            ) from None

    def positions(self, topic_partitions: Collection[Place]) -> dict[Place, int]:
        """The next offset to read of each partition that was ever written. Raises ReceiverUnreachable, SinkError."""
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
            self._written.update({place: found.get(place, 0) for place in topic_partitions})
            return found

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Write a batch and its offsets; items below the stored offset are passed over.

        Each refused item also stands in dead_letters by the same transaction, so that none vanishes if the
        caller dies before it has written it elsewhere. Raises ReceiverUnreachable: nothing was written, or it is not
        known whether; give the same batch again. Raises SinkError where the tables or rights are wrong from the first,
        Rewound where the database has lost offsets that it had.
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

    def held(self) -> str | None:
        """What the statement under way waits for, and who is in its way; asked over a connection of its own."""
        session = self._session
        try:
            with self._aside() as cursor:
                return holding.held(cursor, session)
        except psycopg2.Error as error:
            if holding.is_silence(error):
                raise ReceiverUnreachable(f"{self.server} gives no answer") from None
            raised = faults.translated(error, self.server, lost=True, worked=True)
            return f"it cannot be asked why: {raised}"

    def interrupt(self) -> None:
        """Cancel the statement under way; where the server does not react, cut the connection."""
        connection, session = self._connection, self._session
        if connection is None:
            return
        # psycopg2's own cancel would wait for the server with every thread of this process held.
        threading.Thread(target=self._cancel, args=(session,), name="cancel", daemon=True).start()
        if self._one_at_a_time.acquire(timeout=_CANCEL_S):
            self._one_at_a_time.release()
            return
        with suppress(psycopg2.Error, OSError), socket.socket(fileno=dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    def _cancel(self, session: int | None) -> None:
        with suppress(psycopg2.Error), self._aside() as cursor:
            cursor.execute("select pg_cancel_backend(%s)", (session,))

    @contextmanager
    def _aside(self) -> Iterator[Cursor]:
        """Another connection to the same server, for as long as a moment."""
        options = {**self.options, **holding.CONNECTION}
        with closing(psycopg2.connect(self._uri, **options)) as connection, connection.cursor() as cursor:
            yield cursor

    def _write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        rows = TextRows()
        following = {(item.topic, item.partition): item.offset + 1 for item in items}
        with self._transaction() as cursor:
            stored = self._lock_offsets(cursor, sorted(following))
            known = [one for one in self._unconfirmed if one.item.offset < stored.get(_place(one.item), 0)]
            new = [item for item in items if item.offset >= stored[item.topic, item.partition]]
            following = {place: offset for place, offset in following.items() if offset > stored[place]}
            written, refused = admitted(cursor, new)
            refused += writing.apply(cursor, written, rows)
            writing.record_refused(cursor, refused)
            # If the connection breaks in the commit, only the next call can tell whether these are in.
            self._unconfirmed = known + refused
            if following:
                cursor.execute(_FOLLOWING, (*_columns_of(following), list(following.values())))
        self._worked = True
        self._written.update(following)
        self.nul_replaced += rows.nuls
        refused, self._unconfirmed = self._unconfirmed, []
        return refused

    def _connected(self) -> Connection:
        if self._connection is None:
            self._renew()
            connection = psycopg2.connect(self._uri, **self.options)
            # A statement sees what was committed before it began, whatever the server's default: see forgetting.py.
            connection.set_session(isolation_level="READ COMMITTED")
            self._connection = connection
        return self._connection

    def _renew(self) -> None:
        """Take the URI as it is now."""
        if self._renewed is None:
            return
        try:
            self._take(self._renewed())
        except SinkError as error:
            if self._worked:  # it was right before: whoever changes it may be in the middle of that
                raise ReceiverUnreachable(str(error)) from None
            raise

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        connection = self._connected()
        try:
            with connection.cursor() as cursor:
                cursor.execute(_BEGIN.format(lock=_LOCK_S, still=_STILL_S, statement=self._statement_s))
                [(self._session,)] = cursor.fetchall()
                yield cursor
            connection.commit()
            self._statement_s = _STATEMENT_S
        finally:
            self._session = None
            if not connection.closed:
                connection.rollback()  # after a commit it does nothing

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Raise the port's errors for psycopg2's, and drop the connection: the next call makes another."""
        try:
            yield
        except psycopg2.Error as error:
            if error.pgcode == faults.CANCELLED:  # else a statement that needs longer would be begun for ever
                self._statement_s = min(self._statement_s * 2, _STATEMENT_MOST_S)
            lost = self._connection is None or self._connection.closed != 0
            self.close()
            raise faults.translated(error, self.server, lost=lost, worked=self._worked) from None

    def _lock_offsets(self, cursor: Cursor, places: list[Place]) -> dict[Place, int]:
        """The stored offsets, locked: a second owner of the same partition waits until this batch is in.

        `places` are sorted: locks taken in one order cannot wait for each other.
        """
        names, numbers = _columns_of(places)
        cursor.execute(_STORED, (names, numbers, tuple(places)))
        stored: dict[Place, int] = {(topic, partition): following for topic, partition, following in cursor}
        for place, following in stored.items():
            if following < self._written.get(place, 0):
                raise Rewound(
                    f"{self.server}: its offset of {place[0]}/{place[1]} fell from {self._written[place]}"
                    f" to {following}; it was emptied, restored or failed over to a copy that is behind"
                )
        return stored


def _place(item: SinkItem) -> Place:
    return item.topic, item.partition


def _columns_of(places: Iterable[Place]) -> tuple[list[str], list[int]]:
    """Topics and partitions."""
    return [topic for topic, _ in places], [partition for _, partition in places]
