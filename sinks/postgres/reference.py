"""The list of tables, views and columns as Markdown, read from PostgreSQL's own catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

from sinks.postgres.connecting import connect

_COLUMNS = """
select c.relname, c.relkind = 'v', obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod),
    col_description(c.oid, a.attnum), not a.attnotnull and c.relkind <> 'v',
    coalesce(a.attnum = any(k.conkey), false)
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_constraint k on k.conrelid = c.oid and k.contype = 'p'
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'v') and c.relname not like '\\_yoyo%'
order by c.relkind = 'v', c.relname, a.attnum
"""
_TYPES = {"timestamp with time zone": "timestamptz", "double precision": "float8", "double precision[]": "float8[]"}


def markdown(uri: str) -> str:
    """A heading and a table for each table and view of the projection at `uri`. Raises psycopg2's errors."""
    with closing(connect(uri)) as connection, connection.cursor() as cursor:
        cursor.execute(_COLUMNS)
        return "\n".join(_sections(cursor.fetchall()))


def _sections(rows: list[tuple[Any, ...]]) -> Iterator[str]:
    for (name, is_view, about), columns in groupby(rows, lambda row: row[:3]):
        yield f"\n### {'View' if is_view else 'Table'} `{name}`\n{about}\n"
        yield "| column | type | what it says |\n|---|---|---|"
        for _, _, _, column, kind, words, nullable, in_key in columns:
            form = _TYPES.get(kind, kind) + (", key" if in_key else ", or null" if nullable else "")
            yield f"| `{column}` | {form} | {words.replace('|', chr(92) + '|')} |"
