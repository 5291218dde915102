"""Makes kafka-python's consumers, which commands use, read every batch that Kafka has taken, as workers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

from streams.received_batches import read_batch


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch of which every record is read."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(read_batch(memoryview(self._buffer), DefaultRecordBatch, (CorruptRecordError,)))


def install() -> None:
    """Makes all consumers of this process read so."""
    memory_records.DefaultRecordBatch = _Batch
