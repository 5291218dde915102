"""Records as JSON for people and programs: times in RFC 3339, the record's name as `type`."""

from __future__ import annotations

from functools import cache
from typing import Any

from schemas.avro import schema_of
from schemas.headers import rfc3339
from schemas.records import ClockChanged, Record


@cache
def _times(cls: type[Record]) -> frozenset[str]:
    return frozenset(f["name"] for f in schema_of(cls)["fields"] if "timestamp-millis" in repr(f["type"]))


def _form(record: Record) -> dict[str, Any]:
    times, data = _times(type(record)), {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Record):
            value = _form(value)
        elif isinstance(value, list):
            value = [_form(v) if isinstance(v, Record) else v for v in value]
        elif name in times and isinstance(value, int):
            value = rfc3339(value)
        data[name] = value
    return data


def event(record: Record, key: str) -> dict[str, Any]:
    """A record with its `type` and `key`; an SLA clock's event names its case too."""
    form = {"type": type(record).__name__, "key": key, **_form(record)}
    if isinstance(record, ClockChanged):
        form["case_id"] = record.aggregate
    return form
