"""Makes the tables ready for a log that continues the log they were filled from: another prefix, offsets from 0 again."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from sinks.postgres.tables import TABLES

#: Columns that hold an offset of the log.
_OFFSETS = ("offset", "source_offset")


def stored_offsets(cursor: Cursor) -> dict[tuple[str, int], int]:
    """The first offset that is not in the tables yet, by (topic without a prefix, partition). No sink writes until the
    cursor's transaction ends, and none that reads another log afterwards.
    """
    cursor.execute("lock table sink_offsets in access exclusive mode")
    cursor.execute("select topic, partition, next from sink_offsets where next > 0")
    return {(topic, partition): following for topic, partition, following in cursor}


def belong_to(cursor: Cursor, prefix: str) -> None:
    """Makes the tables, in which no position of a log stands, those of the log under a prefix."""
    cursor.execute("update sink_offsets set next = 0, prefix = %s", (prefix,))


def begin_next_log(cursor: Cursor, prefix: str) -> int:
    """Moves every offset in the tables below 0, and forgets how far the log was read. Returns the number of changed rows.

    prefix: of the next log's topics; from now on a sink of another log refuses the tables. The order of offsets stays, so
    that what came before a request to forget is before it still, and everything in the next log comes after it.
    Call it in the transaction of `stored_offsets`.
    """
    tables = {
        table.name: [name for name, _ in table.columns if name in _OFFSETS]
        for table in TABLES
        if any(name in _OFFSETS for name, _ in table.columns)
    } | {"forgotten": ["offset"]}
    highest = ", ".join(f'(select max("{name}") from {table})' for table, names in tables.items() for name in names)
    cursor.execute(f"select 1 + coalesce(greatest(0, {highest}, (select max(next) from sink_offsets)), 0)")
    [(base,)] = cursor.fetchall()
    belong_to(cursor, prefix)
    changed = 0
    for table, names in tables.items():
        cursor.execute(
            f"update {table} set " + ", ".join(f'"{name}" = "{name}" - %(base)s' for name in names), {"base": base}
        )
        changed += cursor.rowcount
    return changed
