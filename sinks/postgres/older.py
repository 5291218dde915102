"""Copies rows that only the live tables still have into a projection that is built again from the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from psycopg2.extensions import cursor as Cursor

from schemas import jsonform
from schemas.records import BY_NAME
from sinks.postgres import tables
from sinks.postgres.copytext import TextRows
from sinks.postgres.current import FOLD_OF, FOLDS
from sinks.postgres.table import ProjectionTable
from sinks.postgres.tables import TABLES
from sinks.postgres.writing import write_current

#: Offsets by topic and partition, such as where the log of each partition begins.
Places = dict[tuple[str, int], int]

#: The number of events that are folded in one transaction.
_AT_ONCE = 5_000
#: The least uuid, which no aggregate has.
_NO_ID = "00000000-0000-0000-0000-000000000000"
#: The event tables from which current rows are folded: each with the column of the aggregate, and a condition for the
#: events.
_FOLDED = (
    (tables.CASE_EVENTS, "case_id", "author_id <> ''"),
    (tables.SURGE_EVENTS, "surge_id", "type in ('SurgeOpened', 'SurgeUpdated', 'SurgeClosed')"),
)

_COLUMNS = """
select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped
"""
_OLDER = """
insert into {table} ({columns}) select {columns} from {live}.{table} l
where l."offset" < coalesce(
    (select f.first from unnest(%s::int[], %s::bigint[]) as f (number, first) where f.number = l."partition"), 0
)
"""
# The events of a forgotten customer lack values that the rows of the case need, so these rows are copied.
_NAMELESS = """
insert into {table} ({columns}) select {columns} from {live}.{table} l
where l.author_id = '' and l.case_id in (select case_id from case_events where author_id = '')
"""
_EVENTS = """
select {values} from {table} where ({subject}, seq) > (%s, %s) and {which} order by {subject}, seq limit {most}
"""
_MISSING = "insert into {table} ({columns}) select {columns} from {live}.{table} l {where} on conflict do nothing"
_LETTERS = """
where exists (
    select from unnest(%s::text[], %s::int[]) as t (topic, number) where (t.topic, t.number) = (l.topic, l.partition)
)
"""
_NEWEST = """
insert into alerts ({columns})
select distinct on (fingerprint) {columns} from alert_events order by fingerprint, starts_at desc, version desc
on conflict (fingerprint) do update set {changes}
where (excluded.starts_at, excluded.version) > (alerts.starts_at, alerts.version)
"""


class Older:
    """Copies from the schema `live` (quoted as SQL) into the tables that the cursor's search path finds first."""

    def __init__(self, cursor: Cursor, live: str) -> None:
        self._cursor, self._live = cursor, live
        #: TextRows copied by table.
        self.copied: Counter[str] = Counter()

    def before(self, firsts: Places) -> None:
        """Copy the rows whose records the log no longer has. Must run before any record is read."""
        for table in TABLES:
            if table.topic is not None and table is not tables.ALERT_EVENTS:
                own = {number: first for (topic, number), first in firsts.items() if topic == table.topic}
                self._copy(table.name, _OLDER, (list(own), list(own.values())))
        for table in (tables.CASES, tables.CLOCKS):
            self._copy(table.name, _NAMELESS, ())

    def fold(self) -> None:
        """Fold the copied events into current rows, a few thousand events in each transaction."""
        for table, subject, which in _FOLDED:
            rows = TextRows()
            for events in self._events(table, subject, which):
                for how in FOLDS:
                    own = [event for event in events if FOLD_OF.get(type(event)) is how]
                    if own:
                        write_current(self._cursor, how, own, rows)
                self._cursor.connection.commit()

    def missing(self, trimmed: Collection[tuple[str, int]]) -> None:
        """Copy rows without a place in the log, and rows whose records may be gone from its middle. Run it after
        everything was read.

        trimmed: the partitions whose beginning the log has lost.
        """
        # Offsets below 0 are of a log that this log continues.
        self._copy("dead_letters", _MISSING, (), where='where l."offset" < 0')
        whole = any(topic == "volumes" for topic, _ in trimmed)
        self._copy("volumes", _MISSING, (), where="" if whole else 'where l."offset" < 0')
        dead = [(topic, n) for topic, n in trimmed if topic.endswith(".dead")]
        # A dead letter that does not say where its record was is stored under its own place.
        letters = [*dead, *((topic.removesuffix(".dead"), n) for topic, n in dead)]
        if letters:
            self._copy("dead_letters", _MISSING, tuple(map(list, zip(*letters, strict=True))), where=_LETTERS)
        # The log of alerts is compacted: it keeps only the newest version of each fingerprint, and drops it later.
        self._copy("alert_events", _MISSING, (), where="")
        # A delivery is one of several records about a version: it has no place, and the log keeps it for some months.
        self._copy("alert_deliveries", _MISSING, (), where="")
        names = [name for name, _ in tables.ALERTS.columns]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != "fingerprint")
        self._cursor.execute(_NEWEST.format(columns=", ".join(names), changes=changes))

    def _copy(self, table: str, how: str, values: tuple[Any, ...], **parts: str) -> None:
        self._cursor.execute(_COLUMNS, (table,))
        [(columns,)] = self._cursor.fetchall()
        self._cursor.execute(how.format(table=table, live=self._live, columns=columns, **parts), values)
        self.copied[table] += self._cursor.rowcount

    def _events(self, table: ProjectionTable, subject: str, which: str) -> Iterator[list[Any]]:
        """The events in lists of at most `_AT_ONCE`, ordered by aggregate and seq."""
        ask = _EVENTS.format(values=table.values(), table=table.name, subject=subject, which=which, most=_AT_ONCE)
        last: tuple[str, int] = (_NO_ID, 0)
        while True:
            self._cursor.execute(ask, last)
            found = [event(table, subject, row) for row in self._cursor]
            if not found:
                return
            last = (found[-1].aggregate, found[-1].seq)
            yield found


def event(table: ProjectionTable, subject: str, row: tuple[Any, ...]) -> Any:
    """The record from which the row of an event table was made."""
    values = dict(zip((name for name, _ in table.columns), row, strict=True))
    return jsonform.record_of(BY_NAME[values["type"]], {**msgspec.json.decode(values["detail"]), **values})
