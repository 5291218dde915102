"""The tables of docs/names.md, made from the records and from the rows that the PostgreSQL sink makes of them."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

from netcenter.pipeline import PIPELINE
from schemas.avro import Schema, schema_of
from schemas.codec import nested
from schemas.compiled import attributes
from schemas.records import ENUMS, RECORDS, ClassifiedMention, Mention, Record
from sinks.port import SinkItem
from sinks.postgres.current import FOLD_OF
from sinks.postgres.rows import Unexpected, rows_of
from sinks.postgres.tables import MENTIONS


def tables() -> str:
    """Every record, part of a record and enumeration with its fields or symbols, as Markdown."""
    parts = ["## Records", *map(_record, RECORDS), "## Parts of records", *map(_part, _parts())]
    return "\n\n".join([*parts, "## Enumerations", _enums()])


def _record(cls: type[Record]) -> str:
    topics = ", ".join(f"`{t.name}`" for t in PIPELINE.topics if cls in t.records)
    where = _columns(cls)
    rows = [
        f"| `{f['name']}` | {_avro(f['type'])} | {_json(f['type'])} | {', '.join(where.get(f['name'], ()))} | {_words(f)} |"
        for f in schema_of(cls)["fields"]
    ]
    head = ["| field | Avro | JSON | PostgreSQL | meaning, unit, who sets it |", "|---|---|---|---|---|"]
    return "\n".join([f"### {cls.__name__}", f"{_about(cls)} Topics: {topics or 'none'}.", "", *head, *rows])


def _part(cls: type[Record]) -> str:
    rows = [
        f"| `{f['name']}` | {_avro(f['type'])} | {_json(f['type'])} | {_words(f)} |" for f in schema_of(cls)["fields"]
    ]
    head = ["| field | Avro | JSON | meaning, unit, who sets it |", "|---|---|---|---|"]
    return "\n".join([f"### {cls.__name__}", _about(cls), "", *head, *rows])


def _words(field: Schema) -> str:
    return str(field["doc"]).replace("|", "\\|")


def _about(cls: type[Record]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _parts() -> list[type[Record]]:
    """The records that occur only inside other records, in order of first occurrence."""
    found: dict[type[Record], None] = {}

    def walk(cls: type[Record]) -> None:
        for kind in get_type_hints(cls).values():
            how = nested(kind)
            if how is not None and how[1] not in RECORDS:
                found[how[1]] = None
                walk(how[1])

    for cls in RECORDS:
        walk(cls)
    return list(found)


def _enums() -> str:
    rows = [
        f"| {name} | {', '.join(f'`{s}`' for s in get_args(symbols))} | `{default}` |"
        for symbols, (name, default) in ENUMS.items()
    ]
    head = ["| enumeration | symbols | a reader takes a symbol that it does not know for |", "|---|---|---|"]
    return "\n".join([*head, *rows])


# --- types ---------------------------------------------------------------------------------------------------------


def _avro(kind: Any) -> str:
    match kind:
        case ["null", inner]:
            return f"null or {_avro(inner)}"
        case {"logicalType": logical}:
            return str(logical)
        case {"type": "array", "items": items}:
            return f"array of {_avro(items)}"
        case {"type": "map", "values": values}:
            return f"map of {_avro(values)}"
        case {"name": name}:
            return str(name)
    return str(kind).removeprefix("netcenter.")


def _json(kind: Any) -> str:
    match kind:
        case ["null", inner]:
            return f"null or {_json(inner)}"
        case {"logicalType": _}:
            return "RFC 3339"
        case {"type": "array"}:
            return "list"
        case {"type": "map"} | {"type": "record"}:
            return "object"
        case {"type": "enum"}:
            return "text"
        case str() as name if name.startswith("netcenter."):
            return "text" if name.removeprefix("netcenter.") in {n for n, _ in ENUMS.values()} else "object"
    return {"string": "text", "boolean": "boolean", "long": "number", "double": "number"}[str(kind)]


# --- columns -------------------------------------------------------------------------------------------------------


def _columns(cls: type[Record]) -> dict[str, list[str]]:
    """The columns that hold each field, as `table.column`, found in the rows that the sink makes of an example
    record.
    """
    if cls is Mention:
        own = ClassifiedMention.__struct_fields__
        return {name: [f"mentions.{name}"] for name, _ in MENTIONS.columns if name not in own}
    found: dict[str, list[str]] = {name: [] for name in attributes(cls)}
    try:
        rows = rows_of(SinkItem("", 0, 0, None, _example(cls), [], 0))
    except Unexpected:
        return found
    tables = [(table.name, dict(zip(_names(table), row, strict=True))) for table, row in rows]
    if cls in FOLD_OF:
        tables.append((FOLD_OF[cls].table.name, dict.fromkeys(_names(FOLD_OF[cls].table))))
    for table, row in tables:
        detail = json.loads(row.get("detail") or "{}")
        for name, columns in found.items():
            if name in row:
                columns.append(f"{table}.{name}")
            elif name in detail:
                columns.append(f"{table}.detail")
    return found


def _names(table: Any) -> list[str]:
    return [name for name, _ in table.columns]


def _example(cls: type[Record]) -> Record:
    """A record with a value in every field."""
    hints, names = get_type_hints(cls), attributes(cls)
    given: dict[str, Any] = {}
    for field in schema_of(cls)["fields"]:
        attribute = names[field["name"]]
        how = nested(hints[attribute])
        value = _value(field["type"]) if how is None else _example(how[1])
        given[attribute] = [value] if how is not None and how[0] == "list" else value
    return cls(**given)


def _value(kind: Any) -> Any:
    match kind:
        case ["null", inner]:
            return _value(inner)
        case {"type": "array"}:
            return []
        case {"type": "map"}:
            return {}
        case {"type": "enum", "symbols": symbols}:
            return symbols[0]
        case {"type": "long"}:
            return 0
    return {"boolean": False, "long": 0, "double": 0.0}.get(kind, "x")
