"""The beginning and the end of partitions, from the broker."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from kafka import IsolationLevel, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from netcenter.broker.client import open_admin
from netcenter.broker.topics import missing_topics_message
from netcenter.errors import CommandError
from streams.kafka_connection import KafkaConnection

OffsetRange = tuple[int, int]
"""The first offset of a range, and the offset after its last record."""


def committed_ranges(
    client: KafkaAdminClient, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetRange]:
    """Each partition from its first offset to its last stable offset, from which on transactions may be open.

    Raises CommandError.
    """
    partitions = list(partitions)
    try:
        first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        end = client.list_partition_offsets(
            dict.fromkeys(partitions, OffsetSpec.LATEST), isolation_level=IsolationLevel.READ_COMMITTED
        )
    except KafkaError as error:
        raise _unreadable(error) from None
    return {tp: (first[tp].offset, end[tp].offset) for tp in partitions}


def committed_ranges_at(
    kafka: KafkaConnection, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetRange]:
    """As `committed_ranges`, with an admin client of its own. Raises Unreachable, and CommandError where a topic is
    missing.
    """
    partitions = list(partitions)
    with closing(open_admin(kafka)) as client:
        have = set(client.list_topics())
        missing = {tp.topic for tp in partitions} - have
        if missing:
            raise CommandError(missing_topics_message(have, missing))
        return committed_ranges(client, partitions)


def log_ends(client: KafkaAdminClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset after the last record of each partition, records of open transactions included. Raises
    CommandError.
    """
    try:
        found = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    except KafkaError as error:
        raise _unreadable(error) from None
    return {tp: at.offset for tp, at in found.items()}


def offsets_at(client: KafkaAdminClient, partitions: Iterable[TopicPartition], stamp: int) -> dict[TopicPartition, int]:
    """The offset of the first record that the broker wrote at this time (ms) or later; a partition without one is left
    out. Raises CommandError.
    """
    try:
        found = client.list_partition_offsets(dict.fromkeys(partitions, max(0, stamp)))
    except KafkaError as error:
        raise _unreadable(error) from None
    return {tp: at.offset for tp, at in found.items() if at.offset >= 0}


def _unreadable(error: KafkaError) -> CommandError:
    return CommandError(f"offsets cannot be read: {type(error).__name__}: {error}")
