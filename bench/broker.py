"""Topics for benchmarks: create, fill in batches, count by their end offsets, delete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from netcenter.broker.reading import spans
from netcenter.broker.topics import admin
from netcenter.errors import CommandError
from streams.partitioner import partition_of

_BATCH_BYTES = 262_144
_IN_FLIGHT = 64
_LEADERS_S = 30.0
Pair = tuple[bytes | int, bytes]
"""Key and value of a record; for a record without a key, the partition and the value."""


def create(kafka: str, topics: Mapping[str, int], *, compacted: bool = False) -> None:
    """Create topics with `partitions` partitions each, and return once every partition has a leader."""
    config = {"cleanup.policy": "compact"} if compacted else {}
    client = admin(kafka)
    try:
        client.create_topics([NewTopic(name, count, 1, topic_configs=config) for name, count in topics.items()])
        wanted = [TopicPartition(name, n) for name, count in topics.items() for n in range(count)]
        deadline = time.monotonic() + _LEADERS_S
        while True:
            try:
                spans(client, wanted)
                return
            except CommandError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        client.close()


def names(kafka: str, part: str) -> list[str]:
    """Return the topics whose name contains `part`."""
    client = admin(kafka)
    try:
        return sorted(name for name in client.list_topics() if part in name)
    finally:
        client.close()


def delete(kafka: str, topics: Iterable[str]) -> None:
    """Delete topics, so that a long run fills no disk."""
    client = admin(kafka)
    try:
        client.delete_topics(list(topics))
    finally:
        client.close()


def fill(kafka: str, topic: str, partitions: int, pairs: Iterable[Pair]) -> int:
    """Append records to the partitions of their keys, as Java's client chooses them; return the number of records."""
    return asyncio.run(_fill(kafka, topic, partitions, pairs))


def append(kafka: str, topic: str, partition: int, value: bytes) -> None:
    """Append a record without a key to one partition."""
    asyncio.run(_append(kafka, topic, partition, value))


async def _fill(kafka: str, topic: str, partitions: int, pairs: Iterable[Pair]) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_batch_size=_BATCH_BYTES, max_request_size=4 << 20)
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


async def _append(kafka: str, topic: str, partition: int, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=partition)
    finally:
        await producer.stop()


def read(kafka: str, topic: str, partitions: int) -> list[tuple[int, bytes | None, bytes | None, int]]:
    """Return (partition, key, value, offset) of every record committed until now, in each partition's order."""
    return asyncio.run(_read(kafka, topic, partitions))


async def _read(kafka: str, topic: str, partitions: int) -> list[tuple[int, bytes | None, bytes | None, int]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    try:
        tps = [aiokafka.TopicPartition(topic, n) for n in range(partitions)]
        ends = await consumer.end_offsets(tps)
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        found = []
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, batch in (await consumer.getmany(timeout_ms=200, max_records=50_000)).items():
                found += [(tp.partition, r.key, r.value, r.offset) for r in batch]
        return found
    finally:
        await consumer.stop()


class Ends:
    """The size of a topic: the sum of its partitions' last stable offsets. A transaction's marker counts as a record."""

    def __init__(self, kafka: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed", group_id=None)

    def of(self, topic: str, partitions: int) -> int:
        """Return the number of records and markers."""
        return sum(self._consumer.end_offsets([TopicPartition(topic, n) for n in range(partitions)]).values())

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
