"""Kafka headers: CloudEvents 1.0 binary mode, the trace that is passed on, and the input record that led to a
record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from schemas.codec import layout_of
from schemas.records import ClassifiedMention, PolicyChanged, Record, Tick
from schemas.times import LATEST, rfc3339

Headers = list[tuple[str, bytes]]
SOURCE = "source"
"""`topic/partition/offset` of the input record that led to a record."""
TRACE = "traceparent"
_TYPES: dict[type[Record], bytes] = {}


#: The most digits of an offset, so that it fits into a long.
_LONGEST_OFFSET = 18


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
    """Only the offset of `source_of`, for code that reads the header of every record."""
    source = next((value for name, value in headers if name == SOURCE), None) or b""
    offset = source.rpartition(b"/")[2]
    return int(offset) if _is_offset(offset) else None


def _is_offset(digits: bytes) -> bool:
    return digits.isdigit() and len(digits) <= _LONGEST_OFFSET


_SPEC = ("ce_specversion", b"1.0")
#: Avro after Confluent's five bytes. `application/avro` would mean Avro from the first byte on.
_CONTENT = ("content-type", b"application/vnd.confluent.avro")
#: Fields that may say when a record's event happened; the first of them that the record has counts. A SourceIdle has
#: none.
_TIMES = ("time", "created_at", "observed_at", "minute", "at", "applied_at")

Header = tuple[str, bytes]


def ce_source(writer: str) -> str:
    """A CloudEvents source. writer: the prefix and the role, as the consumer group is named, or the prefix and the command."""
    return f"/netcenter/{writer}"


def ce_dataschema(cls: type[Record]) -> str:
    """The URN of the schema with which a record is written now; its last part is the file's name in `schemas/avsc`."""
    return f"urn:netcenter:avsc:{cls.__name__}.v{layout_of(cls).version}"


#: The ids of records that have no field `id`. The id of a control record follows from its content, so its copies in
#: many partitions have one id.
_IDS: dict[type[Record], Callable[[Any], bytes]] = {
    ClassifiedMention: lambda record: record.mention.id.encode(),
    Tick: lambda record: f"tick/{record.role}/{record.partition}/{record.time}".encode(),
    PolicyChanged: lambda record: b"policy/%d" % record.version,
}


@cache
def _constant(cls: type[Record], writer: str) -> tuple[Header, Header, Header]:
    """The headers that are the same for all records of a class from one writer."""
    return (
        ("ce_type", ce_type(cls)),
        ("ce_source", ce_source(writer).encode()),
        ("ce_dataschema", ce_dataschema(cls).encode()),
    )


def of(
    record: Record, writer: str, time: int, source: bytes | None, trace: bytes | None = None, id: bytes | None = None
) -> Headers:
    """The headers of a record.

    writer: see `ce_source`. time: ms, see `time_of`; 0: unknown, so there is no `ce_time`. source:
    `topic/partition/offset` of the input record that led to this record; None: no record led to it. trace: the input
    record's traceparent. id: of a record that has none itself (a SourceIdle).
    """
    kind, whose, schema = _constant(type(record), writer)
    if id is None:
        made = _IDS.get(type(record))
        id = record.id.encode() if made is None else made(record)  # type: ignore[attr-defined]
    headers: Headers = [("ce_id", id), kind, whose, schema, _SPEC, _CONTENT]
    if time:
        headers.append(("ce_time", rfc3339(time).encode()))
    if source is not None:
        headers.append((SOURCE, source))
    if trace is not None:
        headers.append((TRACE, trace))
    return headers


def time_of(record: Record) -> int:
    """ms; when the record's event happened; 0 where the record does not say, or RFC 3339 cannot write the time."""
    if type(record) is ClassifiedMention:
        record = record.mention
    name = _time_field(type(record))
    value = getattr(record, name) if name else None
    return max(0, min(int(value), LATEST)) if value is not None else 0


@cache
def _time_field(kind: type[Record]) -> str | None:
    return next((name for name in _TIMES if name in kind.__struct_fields__), None)
