"""Reading stretches of topics, committed records only."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from contextlib import closing
from typing import Any

from kafka import IsolationLevel, KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from netcenter.errors import CommandError, Unreachable

Span = tuple[int, int]


def spans(client: KafkaAdminClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Span]:
    """(first offset, end of what is committed) of each partition. Raises CommandError."""
    partitions = list(partitions)
    try:
        first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        end = client.list_partition_offsets(
            dict.fromkeys(partitions, OffsetSpec.LATEST), isolation_level=IsolationLevel.READ_COMMITTED
        )
    except KafkaError as error:
        raise CommandError(f"offsets cannot be read: {type(error).__name__}: {error}") from None
    return {tp: (first[tp].offset, end[tp].offset) for tp in partitions}


def ends(client: KafkaAdminClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The end of each partition, what stands in open transactions among it. Raises CommandError."""
    try:
        found = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    except KafkaError as error:
        raise CommandError(f"offsets cannot be read: {type(error).__name__}: {error}") from None
    return {tp: at.offset for tp, at in found.items()}


#: ms; a poll that finds only a transaction's marker waits so long for more before the position is looked at again.
_POLL_MS = 50
#: Seconds for which no position moves, after which a reading ends: the broker, or what is to be read, has gone.
_STUCK_S = 60.0
_MOST = 2_000


class Stretches:
    """The records of stretches, of those partitions that are asked for; each one's in order.

    A partition that is left out rests: it is not assigned, and its place is kept here. A consumer's own `pause` is not
    used: what kafka-python has fetched of a paused partition, it may never give.
    """

    def __init__(self, consumer: KafkaConsumer, stretches: Mapping[TopicPartition, Span]) -> None:
        self._consumer = consumer
        self._left = {tp: span for tp, span in stretches.items() if span[0] < span[1]}
        self._assigned: set[TopicPartition] = set()
        self._moved_at = time.monotonic()

    def left(self) -> list[TopicPartition]:
        """The partitions that are not read to their end."""
        return list(self._left)

    def read(self, most: int, wanted: Collection[TopicPartition] | None = None) -> dict[TopicPartition, list[Any]]:
        """Some more, `most` at a time, at times none; of all that are left, or of those that are wanted.

        Raises Unreachable when nothing has moved for a minute, and KafkaError.
        """
        asked = self._left.keys() if wanted is None else self._left.keys() & set(wanted)
        if not asked:
            return {}
        self._assign(asked)
        found = {
            tp: [record for record in records if record.offset < self._left[tp][1]]
            for tp, records in self._consumer.poll(_POLL_MS, max_records=most).items()
        }
        self._move()
        return found

    def _assign(self, asked: Set[TopicPartition]) -> None:
        if self._assigned == asked:
            return
        self._consumer.assign(list(asked))
        for tp in asked - self._assigned:
            self._consumer.seek(tp, self._left[tp][0])
        self._assigned = set(asked)
        self._moved_at = time.monotonic()

    def _move(self) -> None:
        """The markers of transactions take offsets and are no records: the position passes them."""
        now = time.monotonic()
        for tp in self._assigned & self._left.keys():
            place, end = self._left[tp]
            position = self._consumer.position(tp, timeout_ms=_POLL_MS)
            if position is None or position == place:
                continue
            self._moved_at = now
            if position < end:
                self._left[tp] = position, end
            else:
                del self._left[tp]
        if self._left and now - self._moved_at > _STUCK_S:
            tp, (place, end) = min(self._left.items())
            raise Unreachable(
                f"{tp.topic}/{tp.partition} has not been read beyond offset {place}, of {end}, for {_STUCK_S:.0f} s: "
                "is Kafka up, and the topic still there? See `netcenter doctor`"
            )


def records(kafka: str, stretches: Mapping[TopicPartition, Span]) -> Iterator[Any]:
    """The records of stretches, partition by partition in order of offsets."""
    with closing(open_consumer(kafka)) as consumer:
        for tp, span in stretches.items():
            yield from in_order(consumer, tp, span)


def in_order(consumer: KafkaConsumer, tp: TopicPartition, span: Span) -> Iterator[Any]:
    """The records of one stretch."""
    reading = Stretches(consumer, {tp: span})
    while reading.left():
        yield from reading.read(_MOST).get(tp, ())


def as_they_come(
    consumer: KafkaConsumer, stretches: Mapping[TopicPartition, Span], most: int
) -> Iterator[dict[TopicPartition, list[Any]]]:
    """The records of stretches, all partitions at once, each one's in order; at most `most` at a time, at times none."""
    reading = Stretches(consumer, stretches)
    while reading.left():
        yield reading.read(most)


def any_record(kafka: str, stretches: Mapping[TopicPartition, Span]) -> bool:
    """Whether a record stands in any of the stretches; the markers of transactions are none."""
    if all(start >= end for start, end in stretches.values()):
        return False
    with closing(open_consumer(kafka)) as consumer:
        return any(any(found.values()) for found in as_they_come(consumer, stretches, _MOST))


def open_consumer(kafka: str, fetch_bytes: int = 4 << 20, reset: str = "earliest") -> KafkaConsumer:
    """A consumer without a group, of committed records; fetch_bytes: of a partition at once, at most.

    reset: where retention has deleted what is to be read, `earliest` goes on with what is left, `none` raises.
    """
    return KafkaConsumer(
        bootstrap_servers=kafka.split(","),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset=reset,
        max_partition_fetch_bytes=fetch_bytes,
        # Stretches end where something stands; to wait for more at their end would hold up the next one.
        fetch_max_wait_ms=_POLL_MS,
    )
