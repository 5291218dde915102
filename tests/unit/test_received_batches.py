"""What a gateway may put into a batch, both clients read: nothing that Kafka takes stops a role, or needs much memory."""

from __future__ import annotations

import hashlib
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import lz4.frame
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import example, given
from hypothesis import strategies as st
from kafka.record import memory_records

from streams import command_batches
from streams.raw_records import FetchedBatches
from streams.received_batches import LARGEST_BATCH, LARGEST_RECORD, ReceivedRecord, Withheld, fitting, record_size
from tests.support.examples import examples

#: As Kafka numbers them in a batch.
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
VALUES = [b"%d where is my suitcase" % n for n in range(40)]
HEAD = 61
CODEC_AT, ATTRIBUTES_AT = 22, 1


ODD = "@@"
"""As a header's name, it is sent as the bytes ff fe: no good producer can send them."""


def batch(codec: int, values: list[bytes], headers: Any = (("name", b"1"),), base: int = 0) -> bytes:
    """A batch of these values in this compression."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 30)
    for n, value in enumerate(values):
        builder.append(n, 1_000, b"key", value, list(headers))
    return packed(bytes(builder.build()).replace(ODD.encode(), b"\xff\xfe"), codec, base)


def packed(plain: bytes, codec: int, base: int = 0, after: bytes = b"") -> bytes:
    """A batch with its records in a compression, and what is put behind them."""
    content = compressed(codec, plain[HEAD:]) + after
    head = bytearray(plain[:HEAD])
    head[CODEC_AT] |= codec
    head[0:8], head[8:12] = base.to_bytes(8, "big"), (HEAD - 12 + len(content)).to_bytes(4, "big")
    return bytes(head) + content


def compressed(codec: int, content: bytes) -> bytes:
    """In the form of a Java producer."""
    from aiokafka import codec as known

    ways = [bytes, known.gzip_encode, known.snappy_encode, known.lz4_encode, known.zstd_encode]
    return bytes(ways[codec](content))


def by_workers(fetched: bytes) -> list[Any]:
    """As a worker's consumer reads a fetch."""
    batches, found = FetchedBatches(fetched), list[Any]()
    while batches.has_next():
        for chunk in batches.next_batch():
            found += chunk.records
    return found


def by_commands(fetched: bytes) -> list[Any]:
    """As a command's consumer reads a fetch."""
    command_batches.install()
    return [record for read in memory_records.MemoryRecords(fetched) for record in read]


BOTH = pytest.mark.parametrize("read", [by_workers, by_commands])
EVERY = pytest.mark.parametrize("codec", CODECS)


@BOTH
@EVERY
def test_a_batch_in_every_compression_that_kafka_knows_is_read(codec: str, read: Any) -> None:
    found = read(batch(CODECS[codec], VALUES) + batch(CODECS[codec], VALUES, base=40))
    assert [(r.offset, r.value) for r in found] == list(enumerate(VALUES + VALUES))


@BOTH
@EVERY
def test_a_header_name_that_is_not_utf_8_is_shown_with_its_bytes(codec: str, read: Any) -> None:
    found = read(batch(CODECS[codec], VALUES, [(ODD, b"1"), ("y", None)], base=7))
    assert [(r.offset, r.key, r.value, list(r.headers)) for r in found] == [
        (7 + n, b"key", value, [("\\xff\\xfe", b"1"), ("y", None)]) for n, value in enumerate(VALUES)
    ]
    assert {name.encode().decode() for r in found for name, _ in r.headers} == {"\\xff\\xfe", "y"}


@cache
def bomb_of(codec: str) -> bytes:
    """One record that becomes larger than any batch may be."""
    return batch(CODECS[codec], [b"\0" * LARGEST_BATCH])


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """The memory that Python takes meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@BOTH
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_of_a_batch_that_becomes_huge_a_line_is_left_and_the_next_batch_is_read(codec: str, read: Any) -> None:
    bomb = bomb_of(codec)
    with at_most(3 * LARGEST_BATCH):
        first, *rest = read(bomb + batch(CODECS[codec], VALUES, base=1))
    assert (first.offset, first.key, type(first.value)) == (0, None, Withheld)
    assert first.value.startswith(b"withheld: %d bytes, SHA-256 %s: " % (len(bomb), sha(bomb)))
    assert "1 records, offsets 0 to 0: it becomes more than 16 MiB" in first.value.why
    assert [r.value for r in rest] == VALUES


@BOTH
def test_a_batch_as_large_as_may_be_needs_a_few_times_its_size(read: Any) -> None:
    largest = batch(1, [b"\0" * (1 << 20)] * 15, [(ODD, b"1")])
    with at_most(4 * LARGEST_BATCH):
        assert [len(r.value) for r in read(largest)] == [1 << 20] * 15


@BOTH
def test_of_a_record_above_every_topics_limit_a_line_is_left_and_its_neighbours_are_read(read: Any) -> None:
    large = b"\0" * (LARGEST_RECORD + 1)
    first, second, third = read(batch(1, [b"a", large, b"b"]))
    assert (first.value, second.key, list(second.headers), third.value) == (b"a", b"key", [("name", b"1")], b"b")
    assert second.value.startswith(b"withheld: %d bytes, SHA-256 %s: " % (len(large), sha(large)))


def sha(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


@BOTH
def test_what_stands_behind_the_last_member_of_gzip_is_nobodys(read: Any) -> None:
    """Kafka leaves it unread."""
    plain = batch(0, VALUES)
    assert [r.value for r in read(packed(plain, 1, after=b"no gzip"))] == VALUES


@BOTH
def test_a_batch_that_cannot_be_decompressed_becomes_a_line(read: Any) -> None:
    """Kafka does not compare the checksum at the end of lz4."""
    plain = batch(0, VALUES)
    content = bytearray(lz4.frame.compress(plain[HEAD:], content_checksum=True))
    content[-1] ^= 1
    bad = bytearray(packed(plain, 0)[:HEAD])
    bad[CODEC_AT] |= 3
    bad[8:12] = (HEAD - 12 + len(content)).to_bytes(4, "big")
    (record,) = read(bytes(bad + content))
    assert (record.offset, type(record.value)) == (len(VALUES) - 1, Withheld)
    assert "40 records, offsets 0 to 39: it cannot be decompressed" in record.value.why


@BOTH
def test_the_attributes_of_a_record_are_one_byte(read: Any) -> None:
    """Whatever it is: Kafka does not look at it, and the clients take it for the beginning of a longer number."""
    plain = bytearray(batch(0, [b"1", b"2"]))
    plain[HEAD + ATTRIBUTES_AT] = 0x80
    assert [(r.offset, r.value) for r in read(bytes(plain))] == [(0, b"1"), (1, b"2")]


@examples(300)
@given(
    codec=st.sampled_from(sorted(CODECS.values())),
    wrong=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
)
@example(codec=2, wrong=[(91, 0), (131, 0), (165, 0)])  # an empty block of snappy
def test_whatever_stands_in_a_batch_it_is_read_and_the_position_stays_in_it(
    codec: int, wrong: list[tuple[int, int]]
) -> None:
    content = bytearray(batch(0, VALUES[:9], base=5))
    for place, byte in wrong:
        content[HEAD + place % (len(content) - HEAD)] = byte
    sent = packed(bytes(content), codec, base=5)
    broken = bytearray(sent)
    for place, byte in wrong:
        broken[HEAD + place % (len(sent) - HEAD)] = byte
    for fetched in (sent, bytes(broken)):
        for read in (by_workers, by_commands):
            found = read(fetched + batch(0, VALUES, base=14))
            assert 5 <= found[0].offset <= found[-41].offset < 14
            assert [r.value for r in found[-40:]] == VALUES


def test_a_dead_letter_has_room_for_what_is_left_of_its_record() -> None:
    """The value goes first, then the headers, then the key."""
    large = b"x" * 5_000
    sent = [("name", b"1")]
    assert fitting(ReceivedRecord(0, 0, 0, b"k", b"v", list(sent)), 4_000) == (b"k", b"v", sent)
    key, value, headers = fitting(ReceivedRecord(0, 0, 0, b"k", large, list(sent)), 4_000)
    assert (key, headers) == (b"k", sent)
    assert value is not None and value.startswith(b"withheld: 5000 bytes, SHA-256 " + sha(large))
    assert fitting(ReceivedRecord(0, 0, 0, b"k", b"v", [("name", large)]), 4_000)[::2] == (b"k", [])
    key, value, headers = fitting(ReceivedRecord(0, 0, 0, large, None, list(sent)), 4_000)
    assert (key, headers) == (None, [])
    assert record_size(ReceivedRecord(0, 0, 0, key, value, headers)) <= 4_000


def test_gzip_of_several_members_is_one_content() -> None:
    """As Java reads it."""
    plain = batch(0, VALUES)
    half = HEAD + 100

    def member(content: bytes) -> bytes:
        maker = zlib.compressobj(wbits=31)
        return maker.compress(content) + maker.flush()

    two = member(plain[HEAD:half]) + member(plain[half:])
    head = bytearray(plain[:HEAD])
    head[CODEC_AT] |= 1
    head[8:12] = (HEAD - 12 + len(two)).to_bytes(4, "big")
    assert [r.value for r in by_workers(bytes(head) + two)] == VALUES
