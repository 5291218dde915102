"""Writes a batch's rows: copies mentions straight into their table, stages and merges all other rows, and folds events
into current rows.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg2
from psycopg2.extensions import cursor as Cursor

from schemas import ids
from schemas.records import ClassifiedMention, MentionUpdated
from sinks.port import RefusedItem, SinkItem
from sinks.postgres import faults
from sinks.postgres.copybinary import COPY as COPY_MENTIONS
from sinks.postgres.copybinary import MentionRows, Unfit
from sinks.postgres.copytext import TextRows
from sinks.postgres.current import FOLD_OF, FOLDS, RowFold, fold
from sinks.postgres.rows import Unwritable, rows_of
from sinks.postgres.table import ProjectionTable
from sinks.postgres.tables import CREATE_STAGES, TABLES

_COPY_CHUNK = 1 << 20

# A separate query: in a larger one PostgreSQL would not expect that few mentions have updates, and would read all of
# them.
_OBSERVED = "select distinct mention_id::text from mention_updates where mention_id = any(%s::uuid[])"

# An update may be read before its mention, so both are looked up. For each field the newest observation counts.
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


class _Ready(msgspec.Struct, frozen=True):
    """An item with its rows encoded as lines of COPY."""

    item: SinkItem
    lines: list[tuple[ProjectionTable, str]]
    fold: RowFold | None


def apply(cursor: Cursor, items: Sequence[SinkItem], rows: TextRows) -> list[RefusedItem]:
    """Write the items and return the refused ones.

    1. Mentions are copied straight into their table, and the others staged. 2. Where any row is refused, or a mention
       is there already, step 1 is undone and all rows are staged. A refused batch is halved until each refused row is
       alone.
    """
    mentions = [item for item in items if type(item.record) is ClassifiedMention]
    others = (
        [item for item in items if type(item.record) is not ClassifiedMention] if len(mentions) < len(items) else []
    )
    ready, refused = _prepare(others, rows)
    if ready:
        cursor.execute(CREATE_STAGES)
    if mentions:
        if _straight(cursor, mentions, ready, rows):
            return refused
        cursor.execute(CREATE_STAGES)
        ready = _prepare(mentions, rows)[0] + ready
    if ready:
        refused += _apply_or_halve(cursor, ready, rows)
    return refused


def _apply_or_halve(cursor: Cursor, ready: list[_Ready], rows: TextRows) -> list[RefusedItem]:
    """Apply the items in order; halve a refused batch until each row that PostgreSQL refuses is alone."""
    cursor.execute("savepoint batch")
    try:
        _staged(cursor, ready, rows)
    except (psycopg2.Error, ValueError) as error:
        if not faults.is_row(error):
            raise
        cursor.execute("rollback to savepoint batch; release savepoint batch")
        if len(ready) == 1:
            return [faults.refused(ready[0].item, error)]
        half = len(ready) // 2
        first = _apply_or_halve(cursor, ready[:half], rows)
        for table in TABLES:  # a commit would empty the temporary tables, but there is no commit between the halves
            cursor.execute(f"delete from {table.stage}")
        return first + _apply_or_halve(cursor, ready[half:], rows)
    cursor.execute("release savepoint batch")
    return []


def _customer(item: SinkItem) -> bytes:
    return item.key or b""


def _prepare(items: list[SinkItem], rows: TextRows) -> tuple[list[_Ready], list[RefusedItem]]:
    ready: list[_Ready] = []
    refused: list[RefusedItem] = []
    for item in items:
        try:
            lines = [(table, rows.line(table, row)) for table, row in rows_of(item)]
        except Unwritable as error:
            refused.append(RefusedItem(item=item, stage="sink", error=type(error).__name__, message=str(error)))
            continue
        ready.append(_Ready(item=item, lines=lines, fold=FOLD_OF.get(type(item.record))))  # type: ignore[arg-type]
    return ready, refused


def _straight(cursor: Cursor, mentions: list[SinkItem], others: list[_Ready], rows: TextRows) -> bool:
    """Copy the mentions into their table, then stage the others. Returns False where a row is refused; nothing is written then."""
    # Sorted by customer: a search in the index over three texts is cheap if it is near the search before it.
    ordered = sorted(mentions, key=_customer)
    binary = MentionRows()
    try:
        data = binary.data(ordered)
    except Unfit:
        return False
    cursor.execute("savepoint straight")
    try:
        cursor.copy_expert(COPY_MENTIONS, io.BytesIO(data), size=_COPY_CHUNK)
        _stage(cursor, others, rows)
        _overlay(cursor, [item.record for item in (*ordered, *(one.item for one in others))])
    except (psycopg2.Error, ValueError) as error:
        if not faults.is_row(error):
            raise
        cursor.execute("rollback to savepoint straight; release savepoint straight")
        return False
    cursor.execute("release savepoint straight")
    rows.nuls += binary.nuls
    return True


def _staged(cursor: Cursor, ready: list[_Ready], rows: TextRows) -> None:
    _stage(cursor, ready, rows)
    _overlay(cursor, [one.item.record for one in ready])


def _stage(cursor: Cursor, ready: list[_Ready], rows: TextRows) -> None:
    """Copy rows into the temporary tables and merge each table."""
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
            _merge(cursor, table, lines[table.name])


def _merge(cursor: Cursor, table: ProjectionTable, lines: list[str]) -> None:
    cursor.copy_expert(table.copy(), io.BytesIO("".join(lines).encode()), size=_COPY_CHUNK)
    cursor.execute(table.merge())


def _overlay(cursor: Cursor, records: list[Any]) -> None:
    """Put the newest observations into the mentions, where either the mention or its update was just read."""
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
    # Quoted, because PostgreSQL accepts a UUID in braces too. Ids that are not UUIDs were refused before.
    cursor.execute(_OBSERVED, ('{"' + '","'.join([*mentions, *updated]) + '"}',))
    observed = [row[0] for row in cursor]
    if observed:
        cursor.execute(_OVERLAY, (observed,))


def write_current(cursor: Cursor, how: RowFold, events: list[Any], rows: TextRows) -> None:
    """Fold events, in their order, into the current rows of one table."""
    _merge(cursor, how.table, _folded(cursor, how, events, rows))


def _folded(cursor: Cursor, how: RowFold, events: list[Any], rows: TextRows) -> list[str]:
    """The current rows that the events change, as lines of COPY."""
    cursor.execute(how.table.load(), (tuple({how.key(event) for event in events}),))
    stored = {}
    columns = how.table.columns
    for values in cursor:
        row = how.row(**{n: v.encode() if k == "json" and v else v for (n, k), v in zip(columns, values, strict=True)})
        stored[tuple(values[: len(how.table.key)])] = row
    changed = fold(how, events, stored)
    return [rows.line(how.table, msgspec.structs.astuple(row)) for row in changed.values()]


def record_refused(cursor: Cursor, refused: list[RefusedItem]) -> None:
    """Write the refused items into dead_letters. When the record of the dead letter is read from its topic, it replaces
    the row.
    """
    for one in refused:
        item = one.item
        cursor.execute(
            'insert into dead_letters (topic, partition, "offset", stage, error, message, at)'
            " values (%s, %s, %s, %s, %s, %s, to_timestamp(%s / 1000::float8)) on conflict do nothing",
            (item.topic, item.partition, item.offset, one.stage, one.error, one.message, item.stamp),
        )
