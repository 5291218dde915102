"""Promises of reading by the chunk: the records that aiokafka gives one by one, in any cut, from any offset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streams.raw_records import CHUNK, FetchedBatches, _FetchResult, _PartitionRecords
from tests.support.examples import examples

TP = TopicPartition("input_topic", 0)
#: aiokafka's own, also where an earlier test of this process has put ours in its place.
PLAIN = _PartitionRecords.__base__
SIZES = st.lists(st.integers(1, 3 * CHUNK), min_size=1, max_size=4)


def log(sizes: list[int]) -> bytes:
    """Batches of so many records, offsets from 0 on."""
    out, base = b"", 0
    for size in sizes:
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 24)
        for number in range(size):
            builder.append(number, 1_000, b"key", b"%d" % (base + number), [])
        batch = builder.build()
        batch[0:8] = base.to_bytes(8, "big")  # not part of what is summed up
        out, base = out + bytes(batch), base + size
    return out


class Assigned:
    """An assignment that stays; knows the position."""

    active = True

    def __init__(self, position: int) -> None:
        self.paused, self.position = False, position

    def state_value(self, tp: TopicPartition) -> Any:
        """Of the one partition."""
        return SimpleNamespace(paused=False, position=self.position, consumed_to=self.consumed_to)

    def consumed_to(self, position: int) -> None:
        """Where it goes on."""
        self.position = position


def records(kind: Any, data: bytes, first: int) -> Any:
    """What was fetched from the offset `first`."""
    fetched = MemoryRecords(data) if kind is PLAIN else FetchedBatches(data)
    return kind(TP, fetched, [], first, None, None, True, fetcher.READ_COMMITTED)


def test_what_is_small_on_the_wire_comes_by_the_batch_where_its_records_are_large() -> None:
    """However many are fetched at once: a record of a thousandth of its size cannot fill the memory."""
    value = b"\0" * (1 << 20)
    content = b""
    for base in range(0, 60, 15):
        builder = DefaultRecordBatchBuilder(2, 1, False, -1, -1, -1, 1 << 30)
        for number in range(15):
            builder.append(number, 1_000, b"key", value, [])
        batch = builder.build()
        batch[0:8] = base.to_bytes(8, "big")
        content += bytes(batch)
    assigned = Assigned(0)
    result = _FetchResult(TP, assignment=assigned, partition_records=records(_PartitionRecords, content, 0), backoff=0)
    found = []
    while result.has_more():
        some = result.getall()
        found.append([r.offset for r in some])
        assert assigned.position == sum(map(len, found))
    assert [len(some) for some in found] == [30, 30, 0]
    assert [offset for some in found for offset in some] == list(range(60))


@examples(60)
@given(sizes=SIZES, data=st.data())
def test_chunks_hold_what_comes_record_by_record(sizes: list[int], data: Any) -> None:
    """And no more than was asked for, and the position follows."""
    # A broker's answer begins with the batch that holds the offset asked for.
    first, most = data.draw(st.integers(0, sizes[0] - 1)), data.draw(st.none() | st.integers(CHUNK, 4 * CHUNK))
    told = [(r.offset, r.key, r.value, r.timestamp) for r in records(PLAIN, log(sizes), first)]
    assigned = Assigned(first)
    result = _FetchResult(
        TP, assignment=assigned, partition_records=records(_PartitionRecords, log(sizes), first), backoff=0
    )
    found = []
    while result.has_more():
        some = result.getall(most)
        assert most is None or len(some) <= most
        found += [(r.offset, r.key, r.value, r.timestamp) for r in some]
        assert assigned.position == (found[-1][0] + 1 if found else first)
    assert found == told == [(n, b"key", b"%d" % n, 1_000) for n in range(first, sum(sizes))]
