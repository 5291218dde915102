"""The PostgreSQL sink: writes the rows of a batch and its offsets in one transaction."""

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
from sinks.postgres.connecting import connect
from sinks.postgres.copytext import TextRows
from sinks.postgres.forgetting import admitted
from sinks.postgres.migrate import migrate, missing

#: With these options a server that vanishes without closing the connection is noticed within about half a minute.
_CONNECTION = {
    "application_name": "netcenter sink",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
#: Seconds to wait for a lock, and seconds for which a transaction may be idle: a frozen worker must not lock the
#: offsets that the next owner of its partitions needs.
_LOCK_S, _STILL_S = 10, 60
#: The time limit of a statement in seconds: the first limit, and the highest. Each statement that takes too long
#: doubles the limit.
_STATEMENT_S, _STATEMENT_MOST_S = 60, 3_840
# The first statement of each transaction. The settings hold for this transaction only: behind a pooler each transaction
# may be in another session. The session's number is kept, so that `held` can ask about it.
_BEGIN = (
    "set local time zone 'UTC'; set local client_min_messages to warning; set local lock_timeout = '{lock}s';"
    " set local idle_in_transaction_session_timeout = '{still}s'; set local statement_timeout = '{statement}s';"
    " select pg_backend_pid()"
)
#: Seconds that a cancelled statement has to end before its connection is cut.
_CANCEL_S = 1.0

_STORED = """
insert into sink_offsets (topic, partition, next, prefix)
select topic, partition, 0, %s from unnest(%s::text[], %s::int[]) as p (topic, partition)
on conflict do nothing;
select topic, partition, next, (select min(o.prefix) from sink_offsets o where o.prefix <> %s)
from sink_offsets where (topic, partition) in %s order by topic, partition for update
"""
_OTHER_LOG = "select min(prefix) from sink_offsets where prefix <> %s"
_FOLLOWING = """
update sink_offsets s set next = f.next, prefix = coalesce(s.prefix, %s)
from unnest(%s::text[], %s::int[], %s::bigint[]) as f (topic, partition, next)
where (s.topic, s.partition) = (f.topic, f.partition)
"""

Place = tuple[str, int]


class PostgresSink:
    """Keeps PostgreSQL's tables in step with the public topics. Implements `sinks.port.SinkPort`.

    Records are distinguished by their class, so the prefix of the topics does not matter. Calls from several threads
    wait for each other. A call connects again where the connection was lost. Each transaction may be in another
    session, as behind a pooler.

    uri: libpq's form, `postgresql://user:password@host:port/database`. renewed: returns the URI as it is now; called before
    each connection, for a password that may change, raises SinkError. prefix: of the topics whose records are written: tables
    that were filled from topics of another prefix are refused. None where nothing of a log is written.
    """

    keeps_offsets = True

    def __init__(self, uri: str, renewed: Callable[[], str] | None = None, prefix: str | None = None) -> None:
        self._renewed, self._prefix = renewed, prefix
        self._connection: Connection | None = None
        self._written: dict[Place, int] = {}
        self._unconfirmed: list[RefusedItem] = []
        self._one_at_a_time = threading.RLock()
        #: The number of the session in which the open transaction runs; None between transactions.
        self._session: int | None = None
        self._statement_s = _STATEMENT_S
        #: Whether any call has succeeded.
        self._worked = False
        #: NUL characters replaced by U+FFFD in rows written so far.
        self.nul_replaced = 0
        self._take(uri)

    def _take(self, uri: str) -> None:
        try:
            parts = parse_dsn(uri)
        except psycopg2.ProgrammingError:  # the error's message holds the URI with the password
            raise SinkError(
                "the PostgreSQL URI cannot be read: postgresql://user@host:port/database is meant"
            ) from None
        self._uri = uri
        #: Options of a connection in addition to the URI.
        self.options: dict[str, Any] = {name: value for name, value in _CONNECTION.items() if name not in parts}
        host = parts.get("host") or parts.get("hostaddr") or "the local socket"
        #: The server and database, for messages.
        self.server = f"PostgreSQL at {host}:{parts.get('port') or 5432}, database {parts.get('dbname') or 'default'}"

    def open(self) -> None:
        """Connect and migrate. Raises ReceiverUnreachable, or SinkError for wrong settings or rights."""
        with self._one_at_a_time, self._translating():
            self.close()
            with self._transaction() as cursor:
                lacking = missing(cursor)
            if lacking:
                self._migrate()
            with self._transaction() as cursor:
                cursor.execute(_OTHER_LOG, (self._prefix,))
                self._refuse(*cursor.fetchone() or (None,))
            self._worked = True

    def _refuse(self, other: str | None) -> None:
        """Raises SinkError where there is the prefix of another log from which these tables are filled."""
        if other is not None:
            raise SinkError(
                f"{self.server}: its tables are filled from the topics of the prefix {other!r}, and NETCENTER_PREFIX is "
                f"{self._prefix!r}: set it right, or give this log a database of its own; where it continues the other log, "
                "run `netcenter postgres continue` (docs/growth.md)"
            )

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
                    "select topic, partition, next from sink_offsets where (topic, partition) in %s and next > 0",
                    (tuple(topic_partitions),),
                )
                found = {(topic, partition): following for topic, partition, following in cursor}
            # The caller reads on from these positions, so they replace what this sink knew about earlier writes.
            self._written.update({place: found.get(place, 0) for place in topic_partitions})
            return found

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Write a batch and its offsets in one transaction; items below the stored offset are skipped.

        1. Lock the stored offsets. 2. Apply requests to forget. 3. Write the rows. 4. Write each refused item into
        dead_letters, so that none is lost if the caller dies before it has written the dead letter. 5. Move the offsets.

        Raises ReceiverUnreachable where nothing was written or the outcome is not known: pass the same batch again.
        Raises SinkError where the tables or rights were wrong from the start, and Rewound where the database has lost
        stored offsets.
        """
        if not items:
            return []
        with self._one_at_a_time, self._translating():
            return self._write(items)

    def close(self) -> None:
        """Close the connection."""
        with self._one_at_a_time:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def held(self) -> str | None:
        """What the running statement waits for, and which session blocks it; this uses another connection."""
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
        """Cancel the running statement; where the server does not react, cut the connection."""
        connection, session = self._connection, self._session
        if connection is None:
            return
        # psycopg2's own cancel() blocks every thread of this process while it waits for the server.
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
        """A cursor of another, short connection to the same server."""
        options = {**self.options, **holding.CONNECTION}
        with closing(connect(self._uri, **options)) as connection, connection.cursor() as cursor:
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
            # If the connection breaks during the commit, only the next call can find out whether these items are
            # stored.
            self._unconfirmed = known + refused
            if following:
                cursor.execute(_FOLLOWING, (self._prefix, *_columns_of(following), list(following.values())))
        self._worked = True
        self._written.update(following)
        self.nul_replaced += rows.nuls
        refused, self._unconfirmed = self._unconfirmed, []
        return refused

    def _connected(self) -> Connection:
        if self._connection is None:
            self._renew()
            connection = connect(self._uri, **self.options)
            # Each statement must see everything that was committed before it began, because forgetting.py relies on
            # this.
            connection.set_session(isolation_level="READ COMMITTED")
            self._connection = connection
        return self._connection

    def _renew(self) -> None:
        """Read the URI again."""
        if self._renewed is None:
            return
        try:
            self._take(self._renewed())
        except SinkError as error:
            if self._worked:  # the URI was right before; the file may be changing now
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
                connection.rollback()  # after a commit the rollback does nothing

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Turn psycopg2's errors into the port's, and close the connection: the next call opens another."""
        try:
            yield
        except psycopg2.Error as error:
            if error.pgcode == faults.CANCELLED:  # otherwise a statement that needs longer would fail every time
                self._statement_s = min(self._statement_s * 2, _STATEMENT_MOST_S)
            lost = self._connection is None or self._connection.closed != 0
            self.close()
            raise faults.translated(error, self.server, lost=lost, worked=self._worked) from None

    def _lock_offsets(self, cursor: Cursor, places: list[Place]) -> dict[Place, int]:
        """The stored offsets, locked: a second owner of the same partition waits until this batch is committed.

        `places` are sorted: transactions that lock in the same order cannot deadlock. Raises Rewound where an offset fell, and
        SinkError where another log has taken the tables over.
        """
        names, numbers = _columns_of(places)
        cursor.execute(_STORED, (self._prefix, names, numbers, self._prefix, tuple(places)))
        found = cursor.fetchall()
        self._refuse(found[0][-1])
        stored: dict[Place, int] = {(topic, partition): following for topic, partition, following, _ in found}
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
