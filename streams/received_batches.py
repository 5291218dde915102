"""Reads the batches of records that a fetch brings, whatever their producers have put into them.

Kafka checks less than its clients for Python ask for: a header's name need not be UTF-8, a kilobyte may decompress to a
gigabyte, and what stands behind the last record is nobody's. A client that raises at such a batch would stop there for
ever. So each client reads a batch with its own parser, in bounded memory, and what that parser refuses is read here.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cramjam
import zstandard
from lz4.frame import LZ4FrameDecompressor

from schemas.headers import Headers

LARGEST_BATCH = 16 << 20
"""The most bytes that the records of a batch may have without compression. Kafka limits a batch as it is sent, to about
1 MiB, and texts become ten times as long at most.
"""
LARGEST_RECORD = 2 << 20
"""The most bytes of a record that are handed on: more than any topic takes."""

_HEAD = struct.Struct(">qiibIhiqqqhii")
_LENGTH_AT, _AFTER_LENGTH, _ATTRIBUTES_AT = 8, 12, 22
_LAST = slice(23, 27)
_COMPRESSION, _LOG_APPEND_TIME = 0x07, 0x08
_INT, _LONG = (1 << 32) - 1, (1 << 64) - 1
_XERIAL = b"\x82SNAPPY\0"
_XERIAL_HEAD = 16


class Unreadable(Exception):
    """A batch that cannot be read; the message says why."""


class Withheld(bytes):
    """The value of a record whose own bytes are not handed on: a line that says how many there are, and their SHA-256."""

    BEGINNING = b"withheld: "
    """How the line begins. No record begins so."""
    why: str
    """The reason."""

    def __new__(cls, content: Any, why: str) -> Withheld:
        """content: the bytes. why: the reason; it must not hold the words of a post."""
        size, digest = len(content), hashlib.sha256(content).hexdigest()
        withheld = super().__new__(
            cls, b"%s%d bytes, SHA-256 %s: %s" % (cls.BEGINNING, size, digest.encode(), why.encode())
        )
        withheld.why = f"{why}; in place of its {size} bytes stands their SHA-256"
        return withheld


class ReceivedRecord:
    """A record as both clients know it."""

    __slots__ = ("headers", "key", "offset", "timestamp", "timestamp_type", "value")
    checksum = None

    def __init__(
        self,
        offset: int,
        timestamp: int,
        timestamp_type: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        self.offset, self.timestamp, self.timestamp_type = offset, timestamp, timestamp_type
        self.key, self.value, self.headers = key, value, headers

    @property
    def size_in_bytes(self) -> int:
        """The bytes of key, value and headers."""
        return record_size(self)

    def validate_crc(self) -> bool:
        """True: the batch has the checksum."""
        return True


def record_size(record: Any) -> int:
    """The bytes of a record's key, value and headers."""
    named = sum(len(name) + len(value or b"") + 10 for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + named


def end_of_batch(fetched: memoryview, start: int) -> int:
    """Where the batch ends that begins at `start`."""
    return start + _AFTER_LENGTH + int.from_bytes(fetched[start + _LENGTH_AT : start + _AFTER_LENGTH], "big")


def read_batch(
    batch: memoryview, parse: Callable[[memoryview], Iterable[Any]], refusals: tuple[type[Exception], ...]
) -> list[Any]:
    """The records of a batch, in order. Where it cannot be read at all, one record stands for it, at its last offset.

    parse: the client's own reading of a batch without compression; refusals: the errors that it raises.
    """
    try:
        plain = uncompressed(batch) if batch[_ATTRIBUTES_AT] & _COMPRESSION else batch
        try:
            found = list(parse(plain))
        except refusals:
            found = list(_tolerant(plain))
        else:
            base = int.from_bytes(batch[:8], "big")
            if found and not base <= found[0].offset <= found[-1].offset <= base + int.from_bytes(batch[_LAST], "big"):
                found = list(_tolerant(plain))  # the client has taken one byte for another
    except Unreadable as error:
        return [_instead(batch, str(error))]
    if len(plain) <= LARGEST_RECORD:
        return found
    return [r if record_size(r) <= LARGEST_RECORD else _without_content(r) for r in found]


def uncompressed(batch: memoryview) -> memoryview:
    """A compressed batch without compression. Raises Unreadable."""
    try:
        content = _DECOMPRESS[batch[_ATTRIBUTES_AT] & _COMPRESSION](batch[_HEAD.size :])
    except (
        KeyError,
        ValueError,
        RuntimeError,
        EOFError,
        IndexError,  # a block of snappy that ends within its own size
        zlib.error,
        zstandard.ZstdError,
        cramjam.DecompressionError,
    ) as error:
        raise Unreadable(f"it cannot be decompressed ({type(error).__name__})") from None
    if len(content) > LARGEST_BATCH:
        raise Unreadable(f"it becomes more than {LARGEST_BATCH >> 20} MiB when it is decompressed")
    head = bytearray(batch[: _HEAD.size])
    head[_ATTRIBUTES_AT] &= ~_COMPRESSION
    head[_LENGTH_AT:_AFTER_LENGTH] = (_HEAD.size - _AFTER_LENGTH + len(content)).to_bytes(4, "big")
    return memoryview(bytes(head) + content)


def fitting(record: Any, room: int) -> tuple[bytes | None, bytes | None, Headers]:
    """(key, value, headers) of a record, which together have at most `room` bytes.

    Where they have more, a line stands in place of the value, then the headers are left out, then the key.
    """
    key, value = record.key, record.value
    if record_size(record) <= room:
        return key, value, list(record.headers)
    line = value if isinstance(value, Withheld) else Withheld(value or b"", f"above the {room} bytes of a dead letter")
    small = ReceivedRecord(record.offset, 0, 0, key, line, list(record.headers))
    if record_size(small) > room:
        small.headers = []
    if record_size(small) > room:
        small.key = None
    return small.key, line, list(small.headers)  # type: ignore[arg-type]


# --- decompression, never of more than one byte above LARGEST_BATCH ------------------------------------------------


def _gzip(data: memoryview) -> bytes:
    found, rest = b"", bytes(data)
    while (
        rest[:2] == b"\x1f\x8b" and len(found) <= LARGEST_BATCH
    ):  # Java reads member after member, and leaves what is none
        member = zlib.decompressobj(wbits=31)
        found += member.decompress(rest, LARGEST_BATCH + 1 - len(found))
        if not member.eof and len(found) <= LARGEST_BATCH:
            raise EOFError
        rest = member.unused_data
    return found


def _snappy(data: memoryview) -> bytes:
    blocks = [bytes(data)] if data[: len(_XERIAL)] != _XERIAL else list(_xerial_blocks(bytes(data)))
    if sum(_varint(block, 0, _INT)[0] for block in blocks) > LARGEST_BATCH:
        return bytes(LARGEST_BATCH + 1)
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _xerial_blocks(data: bytes) -> Iterator[bytes]:
    at = _XERIAL_HEAD
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _lz4(data: memoryview) -> bytes:
    return LZ4FrameDecompressor().decompress(data, max_length=LARGEST_BATCH + 1)  # type: ignore[no-any-return]


def _zstd(data: memoryview) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read(LARGEST_BATCH + 1)


_DECOMPRESS: dict[int, Callable[[memoryview], bytes]] = {1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}


# --- what a client's own parser refuses ------------------------------------------------------------------------------


def _tolerant(batch: memoryview) -> Iterator[ReceivedRecord]:
    """The records as Kafka's own parser in Java reads them. Raises Unreadable."""
    base, _, _, _, _, attributes, last, first_time, newest, _, _, _, count = _HEAD.unpack_from(batch)
    appended = attributes & _LOG_APPEND_TIME
    data, at, before = bytes(batch), _HEAD.size, -1
    try:
        for _ in range(count):
            size, at = _zigzag(data, at, _INT)
            end = at + size
            time, at = _zigzag(data, at + 1, _LONG)  # behind a byte of attributes
            delta, at = _zigzag(data, at, _INT)
            key, at = _content(data, at, end)
            value, at = _content(data, at, end)
            headers, at = _headers(data, at, end)
            if at != end or not before < delta <= last:
                raise Unreadable("its records are not as Kafka writes them")
            before = delta
            stamp, kind = (newest, 1) if appended else (first_time + time, 0)
            yield ReceivedRecord(base + delta, stamp, kind, key, value, headers)
    except IndexError:
        raise Unreadable("it ends within a record") from None


def _headers(data: bytes, at: int, end: int) -> tuple[list[tuple[str, bytes | None]], int]:
    """(headers, place behind them). A byte of a name that is not UTF-8 is shown by its number, as in a string of Python."""
    count, at = _zigzag(data, at, _INT)
    headers = []
    for _ in range(count):
        name, at = _content(data, at, end)
        value, at = _content(data, at, end)
        headers.append(((name or b"").decode("utf-8", "backslashreplace"), value))
    return headers, at


def _content(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    size, at = _zigzag(data, at, _INT)
    if size < 0:
        return None, at
    if at + size > end or end > len(data):
        raise IndexError
    return data[at : at + size], at + size


def _zigzag(data: bytes, at: int, mask: int) -> tuple[int, int]:
    number, at = _varint(data, at, mask)
    return (number >> 1) ^ -(number & 1), at


def _varint(data: bytes, at: int, mask: int) -> tuple[int, int]:
    """(number, place behind it); bits above the mask are dropped, as Java drops them. Raises IndexError."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & mask, at
        shift += 7
        if shift > 63:
            raise IndexError


def _instead(batch: memoryview, why: str) -> ReceivedRecord:
    """The record that stands for a batch."""
    base, _, _, _, _, attributes, last, _, newest, _, _, _, count = _HEAD.unpack_from(batch)
    said = f"a batch of {count} records, offsets {base} to {base + last}: {why}"
    kind = 1 if attributes & _LOG_APPEND_TIME else 0
    return ReceivedRecord(base + last, newest, kind, None, Withheld(batch, said), [])


def _without_content(record: Any) -> ReceivedRecord:
    """A record above LARGEST_RECORD, as `fitting` leaves it."""
    why = f"a record above {LARGEST_RECORD >> 20} MiB"
    small = ReceivedRecord(
        record.offset, record.timestamp, record.timestamp_type, record.key, None, list(record.headers)
    )
    small.value = Withheld(record.value or b"", why)
    small.key, small.value, small.headers = fitting(small, LARGEST_RECORD)
    return small
