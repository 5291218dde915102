"""What a gateway may put into a batch, both clients read: every compression."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords as OfWorkers
from kafka.record.memory_records import MemoryRecords as OfCommands

#: As Kafka numbers them in a batch.
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CLIENTS = {"workers": OfWorkers, "commands": OfCommands}
VALUES = [b"%d where is my suitcase" % n for n in range(40)]


def batch(codec: int, values: list[bytes]) -> bytes:
    """A batch of these values in this compression."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 24)
    for n, value in enumerate(values):
        builder.append(n, 1_000, b"key", value, [("name", b"1")])
    return bytes(builder.build())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("codec", CODECS)
def test_both_clients_read_a_batch_in_every_compression_that_kafka_takes(codec: str, client: str) -> None:
    found: list[Any] = list(CLIENTS[client](batch(CODECS[codec], VALUES)).next_batch())
    assert [(r.offset, r.value) for r in found] == list(enumerate(VALUES))
