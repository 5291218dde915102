"""`topics apply`: creates the missing topics; in a new log also writes the kind of clock and the first policy."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from agents.policy import digest, parse
from netcenter.broker.client import open_admin, open_producer
from netcenter.broker.command_headers import CommandHeaders
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.topics import partition_counts, required_topics
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.records import Clock, PolicyChanged, Record, Tick
from streams.kafka_connection import KafkaConnection

_LEADERS_S = 30.0
_SENT_S = 30.0


def apply(settings: Settings, kafka: KafkaConnection, clock: Clock, policy_text: str) -> list[str]:
    """Creates the topics that are missing, and returns their names.

    clock, policy_text: written only where `mentions` is among the created topics. Raises CommandError, and Unreachable.
    """
    with closing(open_admin(kafka)) as client:
        try:
            have = set(client.list_topics())
            _check_counts(client, settings, have)
            missing = [topic for topic in required_topics(settings) if topic.name not in have]
            if missing:
                create(client, missing)
            if settings.prefix + "mentions" not in have:
                _seed(settings, kafka, clock, policy_text)
            return [topic.name for topic in missing]
        except TopicAlreadyExistsError:
            raise CommandError("another `topics apply` runs at the same time; try again") from None
        except KafkaError as error:
            raise CommandError(f"topics cannot be created: {type(error).__name__}: {error}") from None


def create(client: KafkaAdminClient, topics: list[NewTopic]) -> None:
    """Creates topics, and waits until each of their partitions has a leader. Raises KafkaError, and CommandError."""
    client.create_topics(topics)
    partitions = [TopicPartition(topic.name, n) for topic in topics for n in range(topic.num_partitions)]
    deadline = time.monotonic() + _LEADERS_S
    while True:
        try:
            committed_ranges(client, partitions)
            return
        except CommandError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _check_counts(client: KafkaAdminClient, settings: Settings, have: set[str]) -> None:
    existing = [topic for topic in required_topics(settings) if topic.name in have]
    if not existing:
        return
    counts = partition_counts(client, (topic.name for topic in existing))
    for topic in existing:
        if counts[topic.name] != topic.num_partitions:
            raise CommandError(
                f"{topic.name} has {counts[topic.name]} partitions, the settings say {topic.num_partitions}: counts are "
                "fixed for a prefix (NETCENTER_PARTITIONS, NETCENTER_PREFIX)"
            )


def _seed(settings: Settings, kafka: KafkaConnection, clock: Clock, policy_text: str) -> None:
    """Writes the policy to `policy`, and its PolicyChanged to every input topic that receives Ticks or records of
    tools.

    In `mentions` the first Tick, which says which clock the log follows, comes before the PolicyChanged.
    """
    parse(policy_text, 1)
    changed = PolicyChanged(version=1, hash=digest(policy_text), applied_at=int(time.time() * 1000))
    # On the wall clock event time begins now; on the event clock it begins with the first line of the played file.
    first_time = changed.applied_at if clock == "wall" else 0
    made = CommandHeaders(settings, kafka, "topics")
    with closing(open_producer(kafka)) as producer:
        futures = [producer.send(settings.prefix + "policy", key=b"1", value=policy_text.encode(), partition=0)]
        for name in _seeded_topics():
            for number in range(settings.partitions):
                records: list[Record] = [changed]
                if name == PIPELINE.roles[0].input_topic:
                    tick = Tick(clock=clock, time=first_time, role=PIPELINE.clock_role, partition=number)
                    records.insert(0, tick)
                for record in records:
                    value = codec.encode(record)
                    head = made.of(name, record, number, None, value)
                    futures.append(producer.send(settings.prefix + name, value=value, partition=number, headers=head))
        for future in futures:
            future.get(_SENT_S)


def _seeded_topics() -> Iterable[str]:
    """The input topics, without topics into which a role copies the records and PolicyChanged of another topic."""
    mirrored = {role.shape.output_topic for role in PIPELINE.roles if hasattr(role.shape, "output_topic")}
    return (name for name in PIPELINE.input_topics() if name not in mirrored)
