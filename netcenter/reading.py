"""Reading stretches of topics, committed records only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kafka import IsolationLevel, KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from netcenter.errors import CommandError

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


#: ms; a poll that finds only a transaction's marker waits so long for more before the position is looked at again.
_POLL_MS = 50


def records(kafka: str, stretches: dict[TopicPartition, Span]) -> Iterator[Any]:
    """The records of stretches, partition by partition in order of offsets."""
    consumer = open_consumer(kafka)
    try:
        for tp, (start, end) in stretches.items():
            if start >= end:
                continue
            consumer.assign([tp])
            consumer.seek(tp, start)
            while consumer.position(tp) < end:
                for record in consumer.poll(_POLL_MS, max_records=2_000).get(tp, ()):
                    if record.offset < end:
                        yield record
    finally:
        consumer.close()


def as_they_come(
    consumer: KafkaConsumer, stretches: dict[TopicPartition, Span], most: int
) -> Iterator[dict[TopicPartition, list[Any]]]:
    """The records of stretches, all partitions at once, each one's in order; at most `most` at a time, at times none."""
    left = {tp: span for tp, span in stretches.items() if span[0] < span[1]}
    consumer.assign(list(left))
    for tp, (start, _) in left.items():
        consumer.seek(tp, start)
    while left:
        yield {
            tp: [record for record in found if record.offset < left[tp][1]]
            for tp, found in consumer.poll(_POLL_MS, max_records=most).items()
        }
        # The markers of transactions take offsets and are no records: the position passes them.
        still = {tp: span for tp, span in left.items() if consumer.position(tp) < span[1]}
        if len(still) < len(left):
            # Else it would give what was appended meanwhile to those that are done.
            consumer.assign(list(still))
        left = still


def any_record(kafka: str, stretches: dict[TopicPartition, Span]) -> bool:
    """Whether a record stands in any of the stretches; the markers of transactions are none."""
    left = {tp: span for tp, span in stretches.items() if span[0] < span[1]}
    if not left:
        return False
    consumer = open_consumer(kafka)
    try:
        consumer.assign(list(left))
        for tp, (start, _) in left.items():
            consumer.seek(tp, start)
        while any(consumer.position(tp) < end for tp, (_, end) in left.items()):
            for tp, found in consumer.poll(_POLL_MS, max_records=2_000).items():
                if any(record.offset < left[tp][1] for record in found):
                    return True
        return False
    finally:
        consumer.close()


def open_consumer(kafka: str, fetch_bytes: int = 4 << 20, reset: str = "latest") -> KafkaConsumer:
    """A consumer without a group, of committed records; fetch_bytes: of a partition at once, at most.

    reset: `none` raises where retention has deleted what is to be read.
    """
    return KafkaConsumer(
        bootstrap_servers=kafka.split(","),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset=reset,
        max_partition_fetch_bytes=fetch_bytes,
    )
