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


def records(kafka: str, stretches: dict[TopicPartition, Span], *, at_most: int | None = None) -> Iterator[Any]:
    """The records of stretches, partition by partition in order of offsets, at most so many of each."""
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.split(","),
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 << 20,
    )
    try:
        for tp, (start, end) in stretches.items():
            if start >= end:
                continue
            consumer.assign([tp])
            consumer.seek(tp, start)
            count = 0
            while consumer.position(tp) < end and (at_most is None or count < at_most):
                for record in consumer.poll(500, max_records=2_000).get(tp, ()):
                    if record.offset < end and (at_most is None or count < at_most):
                        count += 1
                        yield record
    finally:
        consumer.close()
