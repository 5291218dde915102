"""Makes aiokafka's consumers return fetched records in chunks, without a Python object and a call for each record.

The records are those of aiokafka's batch: they have offset, timestamp, key, value and headers. `install` changes the whole
process, because Faust and our own readers build their consumers themselves. aiokafka still decides which records are
committed or aborted: it is given chunks where it expects records. What its parser refuses is read by received_batches.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from streams.received_batches import LARGEST_BATCH, end_of_batch, read_batch

#: The most records in a chunk. One message to a role carries one chunk, so this limits how long the event loop is
#: blocked.
CHUNK = 500
#: What aiokafka's parser raises at records that Kafka has taken.
_REFUSALS = (UnicodeDecodeError, CorruptRecordException)


class _RecordChunk:
    """Consecutive records of one batch. aiokafka handles the chunk as if it were one record."""

    __slots__ = ("offset", "records", "size")

    def __init__(self, records: list[Any], size: int) -> None:
        """size: their bytes, without compression."""
        self.records, self.size = records, size
        self.offset = records[-1].offset


class _ChunkedBatch:
    """A batch that yields chunks instead of records."""

    __slots__ = ("_batch", "_bytes", "_size")

    def __init__(self, batch: Any, content: memoryview) -> None:
        self._batch, self._bytes, self._size = batch, content, len(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[_RecordChunk]:
        records = read_batch(self._bytes, self._parse, _REFUSALS) if self._batch.magic > 1 else list(self._batch)
        each = self._size // max(1, len(records))
        parts = (records[start : start + CHUNK] for start in range(0, len(records), CHUNK))
        return (_RecordChunk(part, each * len(part)) for part in parts)

    def _parse(self, batch: memoryview) -> Any:
        self._size = len(batch)
        return self._batch if batch is self._bytes else DefaultRecordBatch(batch)


class FetchedBatches:
    """The batches of one fetch."""

    def __init__(self, fetched: bytes) -> None:
        self._records, self._bytes, self._at = MemoryRecords(fetched), memoryview(fetched), 0
        self.has_next, self.size_in_bytes = self._records.has_next, self._records.size_in_bytes

    def next_batch(self) -> _ChunkedBatch:
        """The next batch."""
        batch, start = self._records.next_batch(), self._at
        self._at = end_of_batch(self._bytes, start)
        return _ChunkedBatch(batch, self._bytes[start : self._at])


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Iterates over lists of records."""

    size = 0
    """The bytes of all records so far, without compression."""

    def _consumer_record(self, tp: Any, chunk: _RecordChunk) -> list[Any]:
        self.size += chunk.size
        first = self.next_fetch_offset
        if chunk.records[0].offset >= first:
            return chunk.records
        return [record for record in chunk.records if record.offset >= first]


class _FetchResult(fetcher.FetchResult):  # type: ignore[misc]
    """Returns whole chunks."""

    _partition_records: Any

    def getone(self) -> Any:
        """Raises NotImplementedError: neither Faust nor our code reads single records."""
        raise NotImplementedError("records come by the chunk here: getmany")

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Returns as many whole chunks as fit into `max_records`, and no more when they have LARGEST_BATCH bytes; none after a
        rebalance.
        """
        found: list[Any] = []
        if max_records is not None and max_records < CHUNK:
            return found
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return found
        records = self._partition_records
        most = records.size + LARGEST_BATCH
        for chunk in iter(partial(next, records, None), None):
            found += chunk
            if records.size >= most or (max_records is not None and len(found) + CHUNK > max_records):
                self._update_position()
                return found
        self._update_position()
        self._partition_records = None
        return found


def install() -> None:
    """Makes all consumers of this process read in chunks."""
    fetcher.MemoryRecords = FetchedBatches
    fetcher.PartitionRecords, fetcher.FetchResult = _PartitionRecords, _FetchResult
