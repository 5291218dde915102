"""`topics apply`: creates the topics that are missing, repairs the others, and seeds the log where it has to be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from netcenter.broker.client import open_admin
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.seeding import Seeded, seed
from netcenter.broker.topic_drift import repair_drifts
from netcenter.broker.topics import existing_topics, required_topics
from netcenter.errors import CommandError
from netcenter.settings import Settings
from schemas.records import Clock
from streams.kafka_connection import KafkaConnection
from streams.topic_check import other_count

_LEADERS_S = 30.0


@dataclass(frozen=True)
class Provisioned:
    """What `apply` has done."""

    created: list[str]
    """The names of the topics that it has created."""
    seeded: Seeded
    repaired: int = 0
    """The number of configs that it has set."""


def apply(
    settings: Settings,
    kafka: KafkaConnection,
    clock: Clock | None,
    policy_text: str,
    source: str | None = None,
    *,
    repair: bool = False,
) -> Provisioned:
    """Makes the log ready for its workers. Every step can be repeated, and several commands may run at once.

    1. Create the topics that are missing.
    2. With `repair`, set the configs that differ: a topic with a wrong config may refuse the first records.
    3. Write what the log must begin with, where it is missing: see `seeding.seed`.

    Raises CommandError, and Unreachable.
    """
    with closing(open_admin(kafka)) as client:
        try:
            required = required_topics(settings)
            have = existing_topics(client, (topic.name for topic in required))
            _check_counts(required, have)
            missing = [topic for topic in required if topic.name not in have]
            created = create(client, missing) if missing else []
        except KafkaError as error:
            raise CommandError(f"topics cannot be created: {type(error).__name__}: {error}") from None
        repaired = repair_drifts(settings, client) if repair else 0
    return Provisioned(created, seed(settings, kafka, clock, policy_text, source), repaired)


def create(client: KafkaAdminClient, topics: list[NewTopic]) -> list[str]:
    """Creates topics, waits until each of their partitions has a leader, and returns the names of those that it made: a
    topic that another program has made meanwhile is as good. Raises KafkaError, and CommandError.
    """
    result = client.create_topics(topics, raise_errors=False)
    errors = {topic["name"]: for_code(topic["error_code"]) for topic in result["topics"]}
    for name, error in errors.items():
        if error not in (NoError, TopicAlreadyExistsError):
            message = next(topic.get("error_message") for topic in result["topics"] if topic["name"] == name)
            # The cause says to the command line whether a right is missing, and to what.
            raise CommandError(f"the topic {name} cannot be created: {error.__name__}: {message}") from error(name)
    partitions = [TopicPartition(topic.name, n) for topic in topics for n in range(topic.num_partitions)]
    deadline = time.monotonic() + _LEADERS_S
    while True:
        try:
            committed_ranges(client, partitions)
            return [name for name, error in errors.items() if error is NoError]
        except CommandError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _check_counts(required: Iterable[NewTopic], have: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises CommandError where a topic on the broker has another number of partitions."""
    for topic in required:
        if topic.name in have and (count := len(have[topic.name]["partitions"])) != topic.num_partitions:
            raise CommandError(other_count(topic.name, count, topic.num_partitions))
