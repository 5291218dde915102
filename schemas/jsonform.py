"""Records as JSON for people and programs: times in RFC 3339, the record's name as `type`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from schemas.avro import schema_of
from schemas.codec import nested
from schemas.compiled import attributes
from schemas.headers import rfc3339
from schemas.records import Record


def event(record: Record, key: str) -> dict[str, Any]:
    """A record with its `type` and `key`, its fields by their names in Avro."""
    return _event(type(record))(record, key)


@cache
def _event(cls: type[Record]) -> Callable[[Any, str], dict[str, Any]]:
    """What makes a dict of a class's events: a function written for it, for a replay makes millions."""
    parts, names = _parts(cls)
    first = [f'"type": {cls.__name__!r}', '"key": key', *parts]
    made: Callable[[Any, str], dict[str, Any]] = eval(f"lambda r, key: {{{', '.join(first)}}}", names)
    return made


@cache
def _form(cls: type[Record]) -> Callable[[Any], dict[str, Any]]:
    """The same of a record inside another."""
    parts, names = _parts(cls)
    made: Callable[[Any], dict[str, Any]] = eval(f"lambda r: {{{', '.join(parts)}}}", names)
    return made


def _parts(cls: type[Record]) -> tuple[list[str], dict[str, Any]]:
    """`"name": value` of each field, as Python, and what that refers to."""
    times = {f["name"] for f in schema_of(cls)["fields"] if "timestamp-millis" in repr(f["type"])}
    parts: list[str] = []
    names: dict[str, Any] = {"rfc3339": rfc3339}
    hints = get_type_hints(cls)
    for name, attribute in attributes(cls).items():
        value, how = f"r.{attribute}", nested(hints[attribute])
        if how is not None:
            names[f"form_{name}"] = _form(how[1])
            made = f"form_{name}({value})"
            value = f"[form_{name}(item) for item in {value}]" if how[0] == "list" else f"{value} and {made}"
        elif name in times:
            value = f"None if {value} is None else rfc3339({value})"
        parts.append(f"{name!r}: {value}")
    return parts, names
