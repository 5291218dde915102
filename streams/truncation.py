"""Truncates a decided record that is larger than its topic allows: its longest lists are halved, and its reason says so."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from schemas import codec
from schemas.records import Decided, Record

D = TypeVar("D", bound=Decided)


class TooLarge(ValueError):
    """A record that is above its size limit and has no list to cut."""


def truncate(record: D, limit: int) -> D:
    """Returns the record with its longest lists halved until it has at most `limit` bytes; its reason then says so.

    Raises TooLarge when no list is left to cut.
    """
    if len(codec.encode(record)) <= limit:
        return record
    record = msgspec.structs.replace(record, reason=record.reason + " (lists cut to fit)")
    while (size := len(codec.encode(record))) > limit:
        longest = max(_lists(record, ()), key=lambda found: found[1], default=((), 0))
        if longest[1] == 0:
            raise TooLarge(f"{type(record).__name__} of {size} bytes, the limit is {limit}: no list left to cut")
        record = _halve(record, longest[0])
    return record


def _lists(record: Record, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
    """(path of field names, length) of every list and map in the record."""
    found = []
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, (list, dict)):
            found.append(((*path, name), len(value)))
        elif isinstance(value, Record):
            found += _lists(value, (*path, name))
    return found


def _halve(record: Any, path: tuple[str, ...]) -> Any:
    value = getattr(record, path[0])
    if len(path) > 1:
        return msgspec.structs.replace(record, **{path[0]: _halve(value, path[1:])})
    half = dict(list(value.items())[: len(value) // 2]) if isinstance(value, dict) else value[: len(value) // 2]
    return msgspec.structs.replace(record, **{path[0]: half})
