"""Kafka headers: CloudEvents 1.0 binary mode, the trace handed on, and where the record came from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache

from schemas.records import Record

Headers = list[tuple[str, bytes]]
SOURCE = "source"
"""`topic/partition/offset` of the input record that led to a record."""
TRACE = "traceparent"
_TYPES: dict[type[Record], bytes] = {}


#: Digits of an offset that fits into a long.
_LONGEST_OFFSET = 18
#: ms; 9999-12-31, the last time that RFC 3339 can write.
LAST = 253_402_300_799_999


def ce_type(cls: type[Record]) -> bytes:
    """`netcenter.<record>.v1`: the major version, which never changes under FULL_TRANSITIVE."""
    known = _TYPES.get(cls)
    if known is None:
        known = _TYPES[cls] = f"netcenter.{cls.__name__}.v1".encode()
    return known


def source_of(headers: Iterable[tuple[str, bytes | None]]) -> tuple[str, int, int] | None:
    """(topic, partition, offset) of the input record that led to a record; None where its headers do not say."""
    source = next((value for name, value in headers if name == SOURCE), None) or b""
    topic, _, place = source.decode("utf-8", "replace").partition("/")
    partition, _, offset = place.partition("/")
    if not (partition.isascii() and partition.isdigit() and _is_offset(offset.encode())):
        return None
    return topic, int(partition), int(offset)


def source_offset(headers: Iterable[tuple[str, bytes | None]]) -> int | None:
    """The offset alone of `source_of`, for places that read a header of every record."""
    source = next((value for name, value in headers if name == SOURCE), None) or b""
    offset = source.rpartition(b"/")[2]
    return int(offset) if _is_offset(offset) else None


def _is_offset(digits: bytes) -> bool:
    return digits.isdigit() and len(digits) <= _LONGEST_OFFSET


def rfc3339(ms: int) -> str:
    """A time in milliseconds since the epoch as RFC 3339, UTC; whole seconds without a fraction."""
    minute, rest = divmod(ms, 60_000)
    second, fraction = divmod(rest, 1000)
    return _minute(minute) + _SECONDS[second] + _FRACTIONS[fraction]


_SECONDS = [f":{second:02d}" for second in range(60)]
_FRACTIONS = ["Z", *(f".{fraction:03d}Z" for fraction in range(1, 1000))]


@lru_cache(maxsize=8_192)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")


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
