"""What only the live tables still have, taken over into a projection that is read anew from the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import msgspec
from psycopg2.extensions import cursor as Cursor

from schemas.records import BY_NAME, Decided, subject_of
from sinks.postgres import tables
from sinks.postgres.copytext import Rows
from sinks.postgres.current import FOLD_OF, FOLDS
from sinks.postgres.tables import TABLES, Table
from sinks.postgres.writing import write_current

#: Where the log of a partition begins, by topic and partition.
Places = dict[tuple[str, int], int]

#: Events folded at a time: a transaction each.
_AT_ONCE = 5_000
#: Whose events tell the current rows, and by which column an event names its aggregate.
_FOLDED = ((tables.CASE_EVENTS, "case_id"), (tables.SURGE_EVENTS, "surge_id"))

_COLUMNS = """
select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped
"""
# A row without a place was written before places were kept: older than the log, as far as anybody knows.
_OLDER = """
insert into {table} ({columns}) select {columns} from {live}.{table} l
where l."offset" is null or l."offset" < coalesce(
    (select f.first from unnest(%s::int[], %s::bigint[]) as f (number, first) where f.number = l."partition"), 0
)
"""
# Of a customer who was forgotten the events tell no more what his case's rows do.
_NAMELESS = """
insert into {table} ({columns}) select {columns} from {live}.{table} l
where l.author_id = '' and l.case_id in (select case_id from case_events where author_id = '')
"""
_EVENTS = """
select {values} from {table} where ({subject}, seq) > (%s, %s){named} order by {subject}, seq limit {most}
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
    """Copies from the schema `live` (quoted) into the tables that the cursor's search path finds first."""

    def __init__(self, cursor: Cursor, live: str) -> None:
        self._cursor, self._live = cursor, live
        #: Rows copied by table.
        self.copied: Counter[str] = Counter()

    def before(self, firsts: Places) -> None:
        """The rows that stood in the log before where it begins now; to be done before any record is read."""
        for table in TABLES:
            if table.topic is not None and table is not tables.ALERT_EVENTS:
                own = {number: first for (topic, number), first in firsts.items() if topic == table.topic}
                self._copy(table.name, _OLDER, (list(own), list(own.values())))
        for table in (tables.CASES, tables.CLOCKS):
            self._copy(table.name, _NAMELESS, ())

    def fold(self) -> None:
        """The current rows that follow from the events that are there; a transaction for every few thousand."""
        for table, subject in _FOLDED:
            rows = Rows()
            for events in self._events(table, subject):
                for how in FOLDS:
                    own = [event for event in events if FOLD_OF.get(type(event)) is how]
                    if own:
                        write_current(self._cursor, how, own, rows)
                self._cursor.connection.commit()

    def missing(self, trimmed: Collection[tuple[str, int]]) -> None:
        """What tells no place of its own, or may be gone from the middle of the log: after all was read.

        trimmed: the partitions of whose beginning the log has lost something.
        """
        if any(topic == "volumes" for topic, _ in trimmed):
            self._copy("volumes", _MISSING, (), where="")
        dead = [(topic, n) for topic, n in trimmed if topic.endswith(".dead")]
        # One that does not say where it stood is named by its own place.
        letters = [*dead, *((topic.removesuffix(".dead"), n) for topic, n in dead)]
        if letters:
            self._copy("dead_letters", _MISSING, tuple(map(list, zip(*letters, strict=True))), where=_LETTERS)
        # The log of alerts keeps the newest of each fingerprint, and in the end none.
        self._copy("alert_events", _MISSING, (), where="")
        names = [name for name, _ in tables.ALERTS.columns]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != "fingerprint")
        self._cursor.execute(_NEWEST.format(columns=", ".join(names), changes=changes))

    def _copy(self, table: str, how: str, values: tuple[Any, ...], **parts: str) -> None:
        self._cursor.execute(_COLUMNS, (table,))
        [(columns,)] = self._cursor.fetchall()
        self._cursor.execute(how.format(table=table, live=self._live, columns=columns, **parts), values)
        self.copied[table] += self._cursor.rowcount

    def _events(self, table: Table, subject: str) -> Iterator[list[Any]]:
        """The events in the order of aggregates and their sequence."""
        named = " and author_id <> ''" if table is tables.CASE_EVENTS else ""
        ask = _EVENTS.format(values=table.values(), table=table.name, subject=subject, named=named, most=_AT_ONCE)
        last: tuple[str, int] = ("", 0)
        while True:
            self._cursor.execute(ask, last)
            found = [event(table, subject, row) for row in self._cursor]
            if not found:
                return
            last = (found[-1].aggregate, found[-1].seq)
            yield found


def event(table: Table, subject: str, row: tuple[Any, ...]) -> Any:
    """The record of which an event table's row was made."""
    values = dict(zip((name for name, _ in table.columns), row, strict=True))
    kind: type[Decided] = BY_NAME[values["type"]]  # type: ignore[assignment]
    return msgspec.convert({**msgspec.json.decode(values["detail"]), **values, subject_of(kind): values[subject]}, kind)
