"""The beginning and the end of partitions, from the broker."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, NoReturn

from kafka import IsolationLevel, TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from netcenter.broker.client import open_admin
from netcenter.broker.topics import existing_topics, missing_topics_message
from netcenter.errors import CommandError
from streams.kafka_connection import KafkaConnection

OffsetRange = tuple[int, int]
"""The first offset of a range, and the offset after its last record."""


def committed_ranges(
    client: KafkaAdminClient, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetRange]:
    """Each partition from its first offset to its last stable offset, from which on transactions may be open.

    Raises CommandError, also where a topic is missing.
    """
    partitions = list(partitions)
    first = _listed(client, dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    end = _listed(client, dict.fromkeys(partitions, OffsetSpec.LATEST), isolation_level=IsolationLevel.READ_COMMITTED)
    return {tp: (first[tp].offset, end[tp].offset) for tp in partitions}


def committed_ranges_at(
    kafka: KafkaConnection, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetRange]:
    """As `committed_ranges`, with an admin client of its own. Raises Unreachable too."""
    with closing(open_admin(kafka)) as client:
        return committed_ranges(client, partitions)


def log_ends(client: KafkaAdminClient, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset after the last record of each partition, records of open transactions included. Raises
    CommandError.
    """
    found = _listed(client, dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {tp: at.offset for tp, at in found.items()}


def offsets_at(client: KafkaAdminClient, partitions: Iterable[TopicPartition], stamp: int) -> dict[TopicPartition, int]:
    """The offset of the first record that the broker wrote at this time (ms) or later; a partition without one is left
    out. Raises CommandError.
    """
    found = _listed(client, dict.fromkeys(partitions, max(0, stamp)))
    return {tp: at.offset for tp, at in found.items() if at.offset >= 0}


def _listed(client: KafkaAdminClient, wanted: dict[TopicPartition, Any], **more: Any) -> dict[TopicPartition, Any]:
    """What the broker answers. Raises CommandError, which names a topic that is missing or that this user may not describe:
    the client says of both alike that their partitions are not known.
    """
    try:
        return client.list_partition_offsets(wanted, **more)  # type: ignore[no-any-return]
    except KafkaError as error:
        _say_why(client, {tp.topic for tp in wanted}, error)


def _say_why(client: KafkaAdminClient, names: set[str], error: KafkaError) -> NoReturn:
    cause = error
    try:
        missing = names - existing_topics(client, names).keys()
        if missing:
            raise CommandError(missing_topics_message(client, missing))
    except KafkaError as refused:
        cause = refused
    raise CommandError(f"offsets cannot be read: {type(cause).__name__}: {cause}") from cause
