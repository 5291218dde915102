"""Records as JSON for people and programs: fields by their names in Avro, times in RFC 3339, the record's name as `type`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar, get_type_hints

import msgspec

from schemas.avro import is_time
from schemas.codec import nested
from schemas.compiled import attributes
from schemas.records import Record
from schemas.times import rfc3339

R = TypeVar("R", bound=Record)
_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def fields(record: Record) -> dict[str, Any]:
    """A record's fields by name: nested records as dicts, times in RFC 3339. Raises ValueError for times past the year 9999."""
    try:
        return _form(type(record))(record)
    except (OverflowError, OSError):
        raise ValueError("a time that RFC 3339 cannot write") from None


def record_of(cls: type[R], values: dict[str, Any]) -> R:
    """The inverse of `fields`: makes the record from the values; unknown names are ignored. Raises ValueError for a
    text that is not a time, and msgspec.ValidationError.
    """
    return msgspec.convert(_in_ms(cls, values), cls)


def _in_ms(cls: type[Record], values: dict[str, Any]) -> dict[str, Any]:
    """The values with their RFC 3339 times as milliseconds since the epoch."""
    times, inner = _times(cls), _inner(cls)
    found = dict(values)
    for name, value in values.items():
        if name in times and isinstance(value, str):
            found[name] = (datetime.fromisoformat(value) - _EPOCH) // _MS
        elif name in inner and value is not None:
            kind = inner[name]
            found[name] = [_in_ms(kind, item) for item in value] if isinstance(value, list) else _in_ms(kind, value)
    return found


@cache
def _times(cls: type[Record]) -> frozenset[str]:
    """The fields that are times."""
    hints = get_type_hints(cls, include_extras=True)
    return frozenset(name for name, attribute in attributes(cls).items() if is_time(hints[attribute]))


@cache
def _inner(cls: type[Record]) -> dict[str, type[Record]]:
    """The fields that hold a record or a list of records, each with the record's class."""
    return {name: how[1] for name, kind in get_type_hints(cls).items() if (how := nested(kind)) is not None}


def event(record: Record, key: str) -> dict[str, Any]:
    """The record's `type` and `key`, followed by its fields as `fields` returns them."""
    return _event(type(record))(record, key)


@cache
def _event(cls: type[Record]) -> Callable[[Any, str], dict[str, Any]]:
    """A version of `event` for one class, made from source text for speed, because a replay makes millions of
    events.
    """
    parts, names = _parts(cls)
    first = [f'"type": {cls.__name__!r}', '"key": key', *parts]
    made: Callable[[Any, str], dict[str, Any]] = eval(f"lambda r, key: {{{', '.join(first)}}}", names)
    return made


@cache
def _form(cls: type[Record]) -> Callable[[Any], dict[str, Any]]:
    """A version of `fields` for one class, made from source text for speed."""
    parts, names = _parts(cls)
    made: Callable[[Any], dict[str, Any]] = eval(f"lambda r: {{{', '.join(parts)}}}", names)
    return made


def _parts(cls: type[Record]) -> tuple[list[str], dict[str, Any]]:
    """(`"name": value` of each field as Python source, the values that the source refers to)."""
    times, hints = _times(cls), get_type_hints(cls)
    parts: list[str] = []
    names: dict[str, Any] = {"rfc3339": rfc3339}
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
