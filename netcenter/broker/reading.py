"""Reads ranges of offsets to their end. Only this module polls a consumer. Only committed records are read."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from netcenter.broker.client import FETCH_WAIT_MS, open_consumer
from netcenter.broker.offsets import OffsetRange
from netcenter.errors import Unreachable
from streams.kafka_connection import KafkaConnection

#: Reading fails after this many seconds without progress in any partition: the broker or the topic no longer exists.
_STUCK_S = 60.0
_POLL_RECORDS = 2_000


class RangeReader:
    """Reads ranges of offsets by one consumer: at each call the partitions that the caller asks for, each in order.

    A partition that the caller does not ask for is not assigned, and this class keeps its position. The consumer's own
    `pause` is not used: kafka-python may never return the records that it had fetched of a partition before the pause.
    """

    def __init__(self, consumer: KafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange]) -> None:
        self._consumer = consumer
        self._left = {tp: offsets for tp, offsets in ranges.items() if offsets[0] < offsets[1]}
        self._assigned: set[TopicPartition] = set()
        self._moved_at = time.monotonic()

    def left(self) -> list[TopicPartition]:
        """The partitions whose ranges are not read to their end."""
        return list(self._left)

    def read(self, most: int, wanted: Collection[TopicPartition] | None = None) -> dict[TopicPartition, list[Any]]:
        """The next records, at most `most`; sometimes none. wanted: None means every unfinished partition.

        Raises Unreachable when no position has advanced for a minute, and KafkaError.
        """
        asked = self._left.keys() if wanted is None else self._left.keys() & set(wanted)
        if not asked:
            return {}
        self._assign(asked)
        found = {
            tp: [record for record in records if record.offset < self._left[tp][1]]
            for tp, records in self._consumer.poll(FETCH_WAIT_MS, max_records=most).items()
        }
        self._advance()
        return found

    def _assign(self, asked: Set[TopicPartition]) -> None:
        if self._assigned == asked:
            return
        self._consumer.assign(list(asked))
        for tp in asked - self._assigned:
            self._consumer.seek(tp, self._left[tp][0])
        self._assigned = set(asked)
        self._moved_at = time.monotonic()

    def _advance(self) -> None:
        """Store the consumer's positions. Transaction markers have offsets but are not records, so only the position
        shows that they were passed.
        """
        now = time.monotonic()
        for tp in self._assigned & self._left.keys():
            start, end = self._left[tp]
            position = self._consumer.position(tp, timeout_ms=FETCH_WAIT_MS)
            if position is None or position == start:
                continue
            self._moved_at = now
            if position < end:
                self._left[tp] = position, end
            else:
                del self._left[tp]
        if self._left and now - self._moved_at > _STUCK_S:
            tp, (start, end) = min(self._left.items())
            raise Unreachable(
                f"{tp.topic}/{tp.partition} has not been read beyond offset {start}, of {end}, for {_STUCK_S:.0f} s: "
                "is Kafka up, and the topic still there? See `netcenter doctor`"
            )


def records_of(kafka: KafkaConnection, ranges: Mapping[TopicPartition, OffsetRange]) -> Iterator[Any]:
    """The raw records of ranges, partition after partition, each in order of offsets."""
    if all(start >= end for start, end in ranges.values()):
        return
    with closing(open_consumer(kafka)) as consumer:
        for tp, offsets in ranges.items():
            yield from records_in(consumer, tp, offsets)


def records_in(consumer: KafkaConsumer, tp: TopicPartition, offsets: OffsetRange) -> Iterator[Any]:
    """The raw records of one range, in order of offsets."""
    reader = RangeReader(consumer, {tp: offsets})
    while reader.left():
        yield from reader.read(_POLL_RECORDS).get(tp, ())


def batches_of(
    consumer: KafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange], most: int = _POLL_RECORDS
) -> Iterator[dict[TopicPartition, list[Any]]]:
    """The raw records of ranges, all partitions at once, in batches of at most `most`; a batch may be empty."""
    reader = RangeReader(consumer, ranges)
    while reader.left():
        yield reader.read(most)


def any_record(kafka: KafkaConnection, ranges: Mapping[TopicPartition, OffsetRange]) -> bool:
    """Whether there is a record in any of the ranges. Markers of transactions are not records."""
    if all(start >= end for start, end in ranges.values()):
        return False
    with closing(open_consumer(kafka)) as consumer:
        return any(any(batch.values()) for batch in batches_of(consumer, ranges))


class TopicFollower:
    """Reads partitions from their first offset on, at each call up to their present end. A context manager."""

    def __init__(self, kafka: KafkaConnection, partitions: Iterable[TopicPartition], *, from_end: bool = False) -> None:
        """from_end: skip the records that exist now."""
        self._consumer = open_consumer(kafka)
        self._partitions = list(partitions)
        self._next = self.ends() if from_end else dict(self._consumer.beginning_offsets(self._partitions))

    def new_records(self) -> list[Any]:
        """The raw records that were committed since the last call; in order within each partition."""
        ends = self.ends()
        batches = batches_of(self._consumer, {tp: (self._next[tp], end) for tp, end in ends.items()})
        found = [record for batch in batches for records in batch.values() for record in records]
        self._next = ends
        return found

    def ends(self) -> dict[TopicPartition, int]:
        """The last stable offset of each partition: the end of its committed records."""
        return dict(self._consumer.end_offsets(self._partitions))

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
