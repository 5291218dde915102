"""The PostgreSQL sink: COPY straight or into temporary tables and merge, and the offsets, all in one transaction."""

from __future__ import annotations

import io
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import parse_dsn

from schemas import ids
from schemas.records import ClassifiedMention, MentionUpdated
from sinks.port import Item, Refused, SinkError
from sinks.postgres import faults
from sinks.postgres.copybinary import COPY as COPY_MENTIONS
from sinks.postgres.copybinary import MentionRows, Unfit
from sinks.postgres.copytext import Rows
from sinks.postgres.current import FOLD_OF, FOLDS, Fold, fold
from sinks.postgres.migrate import migrate
from sinks.postgres.rows import Unexpected, rows_of
from sinks.postgres.tables import TABLES, Table

#: A server that vanishes without a word is noticed within about half a minute.
_CONNECTION = {
    "application_name": "netcenter sink",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_SESSION = "set client_encoding to 'UTF8'; set time zone 'UTC'; set client_min_messages to warning"
_COPY_CHUNK = 1 << 20

# Asked apart: that only a few of a batch's mentions are in it PostgreSQL cannot foresee, and would read all mentions.
_OBSERVED = "select distinct mention_id::text from mention_updates where mention_id = any(%s::uuid[])"

# An update may be read before its mention, so both sides are looked at. Of each field the newest observation
# counts.
_OVERLAY = """
with latest as (
    select mention_id, {latest}
    from mention_updates where mention_id = any(%s::uuid[])
    group by mention_id
)
update mentions m set {changes} from latest l where m.id = l.mention_id
""".format(
    latest=", ".join(
        f"(array_agg({name} order by observed_at desc, id) filter (where {name} is not null))[1] as {name}"
        for name in ("reach", "shares", "promoted", "deleted", "hidden", "text")
    ),
    changes=", ".join(
        f"{name} = coalesce(l.{name}, m.{name})"
        for name in ("reach", "shares", "promoted", "deleted", "hidden", "text")
    ),
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


class _Ready(msgspec.Struct, frozen=True):
    """An item with its rows encoded."""

    item: Item
    lines: list[tuple[Table, str]]
    fold: Fold | None


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
        self._options: dict[str, Any] = {name: value for name, value in _CONNECTION.items() if name not in parts}
        host = parts.get("host") or parts.get("hostaddr") or "the local socket"
        self._server = f"PostgreSQL at {host}:{parts.get('port') or 5432}, database {parts.get('dbname') or 'default'}"

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
            refused = self._apply(cursor, new, rows)
            _set_aside(cursor, refused)
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
            connection = psycopg2.connect(self._uri, **self._options)
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
            raise faults.translated(error, self._server, lost) from None

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
                    f"{self._server}: its offset of {place[0]}/{place[1]} fell from {self._written[place]}"
                    f" to {following}; it was restored or failed over to a copy that is behind:"
                    " restart this worker"
                )
        return stored

    def _apply(self, cursor: Cursor, items: list[Item], rows: Rows) -> list[Refused]:
        """Mentions straight into their table; where a row among all is refused, or was there before, all staged."""
        mentions = [item for item in items if type(item.record) is ClassifiedMention]
        others = (
            [item for item in items if type(item.record) is not ClassifiedMention] if len(mentions) < len(items) else []
        )
        ready, refused = _prepare(others, rows)
        if mentions:
            if _straight(cursor, mentions, ready, rows):
                return refused
            ready = _prepare(mentions, rows)[0] + ready
        if ready:
            refused += self._apply_or_halve(cursor, ready, rows)
        return refused

    def _apply_or_halve(self, cursor: Cursor, ready: list[_Ready], rows: Rows) -> list[Refused]:
        """Apply in order, halving until each row that PostgreSQL refuses stands alone."""
        cursor.execute("savepoint batch")
        try:
            _staged(cursor, ready, rows)
        except psycopg2.Error as error:
            if not faults.is_row(error):
                raise
            cursor.execute("rollback to savepoint batch; release savepoint batch")
            if len(ready) == 1:
                return [faults.refused(ready[0].item, error)]
            half = len(ready) // 2
            first = self._apply_or_halve(cursor, ready[:half], rows)
            for table in TABLES:  # a commit would empty them, but there is none between the halves
                cursor.execute(f"delete from {table.stage}")
            return first + self._apply_or_halve(cursor, ready[half:], rows)
        cursor.execute("release savepoint batch")
        return []


def _place(item: Item) -> Place:
    return item.topic, item.partition


def _customer(item: Item) -> bytes:
    return item.key or b""


def _columns_of(places: Iterable[Place]) -> tuple[list[str], list[int]]:
    """Topics and partitions."""
    return [topic for topic, _ in places], [partition for _, partition in places]


def _prepare(items: list[Item], rows: Rows) -> tuple[list[_Ready], list[Refused]]:
    ready: list[_Ready] = []
    refused: list[Refused] = []
    for item in items:
        try:
            lines = [(table, rows.line(table, row)) for table, row in rows_of(item)]
        except Unexpected as error:
            refused.append(Refused(item=item, stage="sink", error=type(error).__name__, message=str(error)))
            continue
        ready.append(_Ready(item=item, lines=lines, fold=FOLD_OF.get(type(item.record))))  # type: ignore[arg-type]
    return ready, refused


def _straight(cursor: Cursor, mentions: list[Item], others: list[_Ready], rows: Rows) -> bool:
    """Copy the mentions into their table itself, then the others; False, and nothing done, where that cannot be."""
    # By customer: the index over three texts is dear to search, unless what is wanted lies where the last one lay.
    records: list[Any] = [item.record for item in sorted(mentions, key=_customer)]
    binary = MentionRows()
    try:
        data = binary.data(records)
    except Unfit:
        return False
    cursor.execute("savepoint straight")
    try:
        cursor.copy_expert(COPY_MENTIONS, io.BytesIO(data), size=_COPY_CHUNK)
        _stage(cursor, others, rows)
        _overlay(cursor, [*records, *(one.item.record for one in others)])
    except psycopg2.Error as error:
        if not faults.is_row(error):
            raise
        cursor.execute("rollback to savepoint straight; release savepoint straight")
        return False
    cursor.execute("release savepoint straight")
    rows.nuls += binary.nuls
    return True


def _staged(cursor: Cursor, ready: list[_Ready], rows: Rows) -> None:
    _stage(cursor, ready, rows)
    _overlay(cursor, [one.item.record for one in ready])


def _stage(cursor: Cursor, ready: list[_Ready], rows: Rows) -> None:
    """Copy rows into the temporary tables and merge each."""
    lines: dict[str, list[str]] = defaultdict(list)
    events: dict[str, list[Any]] = defaultdict(list)
    for one in ready:
        for table, line in one.lines:
            lines[table.name].append(line)
        if one.fold is not None:
            events[one.fold.table.name].append(one.item.record)
    for how in FOLDS:
        if how.table.name in events:
            lines[how.table.name] = _folded(cursor, how, events[how.table.name], rows)
    for table in TABLES:
        if lines.get(table.name):
            data = io.BytesIO("".join(lines[table.name]).encode())
            cursor.copy_expert(table.copy(), data, size=_COPY_CHUNK)
            cursor.execute(table.merge())


def _overlay(cursor: Cursor, records: list[Any]) -> None:
    """Bring the mentions up to what was observed of them, whichever of the two came last."""
    mentions = [record.mention.id for record in records if type(record) is ClassifiedMention]
    updated = [
        ids.mention(record.brand, record.channel, record.native_id)
        for record in records
        if type(record) is MentionUpdated
    ]
    if not updated:
        if not mentions:
            return
        cursor.execute("select exists (select from mention_updates)")
        if cursor.fetchone() == (False,):
            return
    # Quoted, for PostgreSQL takes a UUID in braces too; what is no UUID it has refused before.
    cursor.execute(_OBSERVED, ('{"' + '","'.join([*mentions, *updated]) + '"}',))
    observed = [row[0] for row in cursor]
    if observed:
        cursor.execute(_OVERLAY, (observed,))


def _folded(cursor: Cursor, how: Fold, events: list[Any], rows: Rows) -> list[str]:
    """The lines of the current rows that the events change."""
    cursor.execute(how.table.load(), (tuple({how.key(event) for event in events}),))
    stored = {}
    columns = how.table.columns
    for values in cursor:
        row = how.row(**{n: v.encode() if k == "json" and v else v for (n, k), v in zip(columns, values, strict=True)})
        stored[tuple(values[: len(how.table.key)])] = row
    changed = fold(how, events, stored)
    return [rows.line(how.table, msgspec.structs.astuple(row)) for row in changed.values()]


def _set_aside(cursor: Cursor, refused: list[Refused]) -> None:
    """Name the refused in dead_letters; the dead letter's own record, once read, replaces this row."""
    for one in refused:
        item = one.item
        cursor.execute(
            'insert into dead_letters (topic, partition, "offset", stage, error, message, at)'
            " values (%s, %s, %s, %s, %s, %s, to_timestamp(%s / 1000::float8)) on conflict do nothing",
            (item.topic, item.partition, item.offset, one.stage, one.error, one.message, item.stamp),
        )
