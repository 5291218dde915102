"""Comments on the tables and their columns, made from `tables.py` and the records; the comments on views are in their
migrations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_type_hints

from schemas.avro import words
from schemas.compiled import attributes
from sinks.postgres.table import ProjectionTable
from sinks.postgres.tables import KEPT, TABLES

#: Parts of a field's text that make no sense for a column: about its wire form or the fields next to it.
_OF_THE_WIRE = re.compile(r"^ms; |,? as all below")


def statements() -> str:
    """SQL that puts a comment on every table and column of the search path's projection."""
    return ";\n".join(f"comment on {what} is {_quoted(words)}" for what, words in _comments())


def _comments() -> Iterator[tuple[str, str]]:
    for table in TABLES:
        yield f"table {table.name}", table.about
        for name, said in of_columns(table).items():
            yield f'column {table.name}."{name}"', said
    for kept, (about, columns) in KEPT.items():
        yield f"table {kept}", about
        for name, said in columns.items():
            yield f'column {kept}."{name}"', said


def of_columns(table: ProjectionTable) -> dict[str, str]:
    """The comment on each column. Raises LookupError where no record has such a field and the table says nothing."""
    fields = _fields(table)
    place = {} if table.topic is None else _place(table.topic)
    names = [name for name, _ in table.columns]
    said = {**place, **table.words}
    # These columns are filled later, when an observation of the post arrives.
    names += [name for name in table.words if name not in names]
    missing = [name for name in names if name not in said and name not in fields]
    if missing:
        raise LookupError(f"no words for {table.name}.{missing[0]}: add them in sinks/postgres/tables.py")
    return {name: said.get(name) or fields[name] for name in names}


def _fields(table: ProjectionTable) -> dict[str, str]:
    """The texts of the fields of the table's records; if several records have a field, the text of the first record."""
    found: dict[str, str] = {}
    for record in table.records:
        hints = get_type_hints(record, include_extras=True)
        for name, attribute in attributes(record).items():
            found.setdefault(name, _OF_THE_WIRE.sub("", words(hints[attribute])))
    return found


def _place(topic: str) -> dict[str, str]:
    return {
        "partition": f"partition of topic {topic} in which the row's record stands",
        "offset": f"offset of the row's record in that partition of topic {topic}",
    }


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
