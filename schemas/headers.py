"""Kafka headers: CloudEvents 1.0 binary mode, the trace handed on, and where the record came from."""

from __future__ import annotations

from functools import cache

from schemas.records import Record
from schemas.times import rfc3339

Headers = list[tuple[str, bytes]]
SOURCE = "source"
TRACE = "traceparent"
LETTER = "netcenter.letter"
"""On a record that was put back: the dead letter that it was, `topic/partition/offset`. On a mark: the one it is about."""
STATE = "netcenter.state"
"""On a mark, a record of a `.dead` topic that is no letter: what became of a letter before it."""
_TYPES: dict[type[Record], bytes] = {}


def ce_type(cls: type[Record]) -> bytes:
    """`netcenter.<record>.v1`: the major version, which never changes under FULL_TRANSITIVE."""
    known = _TYPES.get(cls)
    if known is None:
        known = _TYPES[cls] = f"netcenter.{cls.__name__}.v1".encode()
    return known


_SPEC = ("ce_specversion", b"1.0")
_CONTENT = ("content-type", b"application/avro")


@cache
def _writer(cls: type[Record], role: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return ("ce_type", ce_type(cls)), ("ce_source", f"/netcenter/{role}".encode())


def of(record: Record, role: str, time: int, source: bytes, trace: bytes | None) -> Headers:
    """The headers of a record that `role` writes.

    time: ms, the record's own. source: `topic/partition/offset` of the record that led to it. trace: its traceparent.
    """
    id = getattr(record, "id", None)
    kind, writer = _writer(type(record), role)
    headers: Headers = [
        ("ce_id", source if id is None else id.encode()),
        kind,
        writer,
        ("ce_time", rfc3339(time).encode()),
        _SPEC,
        _CONTENT,
        (SOURCE, source),
    ]
    if trace is not None:
        headers.append((TRACE, trace))
    return headers
