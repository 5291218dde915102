"""Makes aiokafka's consumers return fetched records in chunks, without a Python object and a call for each record.

The records are those of aiokafka's batch: they have offset, timestamp, key, value and headers. `install` changes the whole
process, because Faust and our own readers build their consumers themselves. aiokafka still decides which records are
committed, aborted or broken: it is given chunks where it expects records.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from aiokafka.consumer import fetcher

#: The most records in a chunk. One message to a role carries one chunk, so this limits how long the event loop is
#: blocked.
CHUNK = 500


class _RecordChunk:
    """Consecutive records of one batch. aiokafka handles the chunk as if it were one record."""

    __slots__ = ("offset", "records")

    def __init__(self, records: list[Any]) -> None:
        self.records = records
        self.offset = records[-1].offset


class _ChunkedBatch:
    """A batch that yields chunks instead of records."""

    __slots__ = ("_batch",)

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[_RecordChunk]:
        records = list(self._batch)
        return (_RecordChunk(records[start : start + CHUNK]) for start in range(0, len(records), CHUNK))


class _ChunkedBatches:
    """The batches of one fetch."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.has_next, self.size_in_bytes = records.has_next, records.size_in_bytes

    def next_batch(self) -> _ChunkedBatch:
        """The next batch."""
        return _ChunkedBatch(self._records.next_batch())


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Iterates over lists of records."""

    def __init__(self, tp: Any, records: Any, *rest: Any) -> None:
        super().__init__(tp, _ChunkedBatches(records), *rest)

    def _consumer_record(self, tp: Any, chunk: _RecordChunk) -> list[Any]:
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
        """Returns as many whole chunks as fit into `max_records`; none after a rebalance."""
        found: list[Any] = []
        if max_records is not None and max_records < CHUNK:
            return found
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return found
        for chunk in iter(partial(next, self._partition_records, None), None):
            found += chunk
            if max_records is not None and len(found) + CHUNK > max_records:
                self._update_position()
                return found
        self._update_position()
        self._partition_records = None
        return found


def install() -> None:
    """Makes all consumers of this process read in chunks."""
    fetcher.PartitionRecords, fetcher.FetchResult = _PartitionRecords, _FetchResult
