"""Topics for benchmarks: create, fill in batches, count by their end offsets, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka import TopicPartition
from kafka.admin import NewTopic

from netcenter.broker import provisioning
from netcenter.broker.client import open_admin, open_consumer
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import TopicFollower, batches_of
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of

_BATCH_BYTES = 262_144
_IN_FLIGHT = 64
Pair = tuple[bytes | int, bytes]
"""(key, value) of a record; for a record without a key, (partition, value)."""


def create(kafka: KafkaConnection, topics: Mapping[str, int], *, compacted: bool = False) -> None:
    """Create topics with `partitions` partitions each, and wait until every partition has a leader."""
    config = {"cleanup.policy": "compact"} if compacted else {}
    with closing(open_admin(kafka)) as client:
        provisioning.create(client, [NewTopic(name, count, 1, topic_configs=config) for name, count in topics.items()])


def names(kafka: KafkaConnection, part: str) -> list[str]:
    """Return the topics whose name contains `part`."""
    client = open_admin(kafka)
    try:
        return sorted(name for name in client.list_topics() if part in name)
    finally:
        client.close()


def delete(kafka: KafkaConnection, topics: Iterable[str]) -> None:
    """Delete topics, so that a long run fills no disk."""
    client = open_admin(kafka)
    try:
        client.delete_topics(list(topics))
    finally:
        client.close()


def fill(kafka: KafkaConnection, topic: str, partitions: int, pairs: Iterable[Pair]) -> int:
    """Append records to the partitions of their keys, as Java's client chooses them; return the number of records."""
    return asyncio.run(_fill(kafka, topic, partitions, pairs))


def append(kafka: KafkaConnection, topic: str, partition: int, value: bytes) -> None:
    """Append a record without a key to one partition."""
    asyncio.run(_append(kafka, topic, partition, value))


async def _fill(kafka: KafkaConnection, topic: str, partitions: int, pairs: Iterable[Pair]) -> int:
    producer = AIOKafkaProducer(**kafka.for_aiokafka(), max_batch_size=_BATCH_BYTES, max_request_size=4 << 20)
    await producer.start()
    try:
        sent: list[asyncio.Future[Any]] = []
        batches = [producer.create_batch() for _ in range(partitions)]
        count = 0
        for place, value in pairs:
            number, key = (place, None) if isinstance(place, int) else (partition_of(place, partitions), place)
            if batches[number].append(timestamp=None, key=key, value=value) is None:
                sent.append(await producer.send_batch(batches[number], topic, partition=number))
                batches[number] = producer.create_batch()
                batches[number].append(timestamp=None, key=key, value=value)
            count += 1
            if len(sent) >= _IN_FLIGHT:
                await asyncio.gather(*sent)
                sent = []
        sent += [await producer.send_batch(b, topic, partition=n) for n, b in enumerate(batches) if b.record_count()]
        await asyncio.gather(*sent)
        return count
    finally:
        await producer.stop()


async def _append(kafka: KafkaConnection, topic: str, partition: int, value: bytes) -> None:
    producer = AIOKafkaProducer(**kafka.for_aiokafka(), enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=partition)
    finally:
        await producer.stop()


def read(kafka: KafkaConnection, topic: str, partitions: int) -> list[tuple[int, bytes | None, bytes | None, int]]:
    """Return (partition, key, value, offset) of every record committed until now, in each partition's order."""
    ranges = committed_ranges_at(kafka, [TopicPartition(topic, n) for n in range(partitions)])
    with closing(open_consumer(kafka)) as consumer:
        return [
            (tp.partition, r.key, r.value, r.offset)
            for batch in batches_of(consumer, ranges, 50_000)
            for tp, records in batch.items()
            for r in records
        ]


class Ends:
    """The size of a topic: the sum of its partitions' last stable offsets. A transaction's marker counts as a record."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self._kafka = kafka
        self._followers: dict[tuple[str, int], TopicFollower] = {}

    def of(self, topic: str, partitions: int) -> int:
        """Return the number of records and markers."""
        known = topic, partitions
        if known not in self._followers:
            self._followers[known] = TopicFollower(self._kafka, [TopicPartition(topic, n) for n in range(partitions)])
        return sum(self._followers[known].ends().values())

    def close(self) -> None:
        """Close the connection."""
        for follower in self._followers.values():
            follower.close()
