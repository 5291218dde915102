"""`topics seed`: writes what a log must begin with, wherever it is missing: the kind of clock, and the first policy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from agents.policy import digest, parse
from netcenter.broker.client import open_admin, open_consumer
from netcenter.broker.control_records import SIGNED, ControlRecords
from netcenter.broker.log_writer import LogRecords
from netcenter.broker.offsets import OffsetRange, committed_ranges
from netcenter.broker.policy_change import WRITER
from netcenter.broker.policy_standing import roles_progress
from netcenter.broker.policy_topic import PolicyLog, policy_log, text_headers
from netcenter.broker.reading import RangeReader
from netcenter.broker.sole_producer import Overtaken, RawRecord, SoleProducer
from netcenter.broker.topics import partition_counts, required_topics, settings_of_log
from netcenter.errors import CommandError, UsageError
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import signatures_of
from netcenter.settings import Settings
from schemas.records import Clock, PolicyChanged, Record, Tick
from streams.core import Progress
from streams.kafka_connection import KafkaConnection

_AT_ONCE = 2_000


@dataclass
class Seeds:
    """What stands in one partition of an input topic, of what the roles take."""

    clocks: set[str] = field(default_factory=set)
    """The kinds of clock in its Ticks."""
    policy: bool = False
    """Whether it has a PolicyChanged."""


class Seeded(NamedTuple):
    """What `seed` has written, and what the log follows."""

    clock: str
    policy: int
    """The version of the policy that new partitions began with."""
    ticks: int = 0
    """Partitions that have got the Tick that says which clock the log follows."""
    policies: int = 0
    """Partitions that have got a PolicyChanged."""

    def __str__(self) -> str:
        if not self.ticks and not self.policies:
            return f"every partition has its first records; the log follows the {self.clock} clock"
        return (
            f"the log follows the {self.clock} clock, and begins with policy {self.policy}: "
            f"the clock is written to {self.ticks} partitions, the policy to {self.policies}"
        )


def seed(
    settings: Settings, kafka: KafkaConnection, clock: Clock | None, policy_text: str, source: str | None = None
) -> Seeded:
    """Writes what is missing, in one transaction; where everything stands, nothing.

    1. In every partition of the first input topic: a Tick, which says which clock the log follows.
    2. In the topic `policy`: the first policy, where there is none.
    3. In every partition of the input topics that roles and tools write: a PolicyChanged.

    clock: None means the clock that the log follows already, and the wall clock for a new log. Raises UsageError where
    the log follows the other clock, and CommandError where another command began meanwhile, topics have different
    numbers of partitions. With keys, only signed records count.
    """
    parse(policy_text, 1)
    with SoleProducer(kafka, settings.prefix + WRITER, "the log cannot be seeded") as producer:
        with closing(open_admin(kafka)) as client:
            settings = settings_of_log(settings, client)
            _check_counts(settings, client)
            found = _found(settings, kafka, client)
        log = policy_log(settings, kafka)
        follows = _clock_of(settings, found, clock)
        lacking = [tp for tp, seeds in found.items() if _ticks(settings, tp) and not seeds.clocks]
        unruled = [tp for tp, seeds in found.items() if not seeds.policy]
        records = [
            *_policy(settings, log, policy_text, source),
            *_control(settings, kafka, follows, log, policy_text, found),
        ]
        if records:
            _write(producer, records)
    return Seeded(follows, log.newest or 1, len(lacking), len(unruled))


def _check_counts(settings: Settings, client: KafkaAdminClient) -> None:
    """Raises CommandError where a topic has another number of partitions than the rest: its records would be in vain."""
    wanted = {topic.name: topic.num_partitions for topic in required_topics(settings)}
    for name, count in sorted(partition_counts(client, wanted).items()):
        if count != wanted[name]:
            raise CommandError(
                f"{name} has {count} partitions, and by the other topics it should have {wanted[name]}: no worker would start; delete "
                "the topic that is wrong, make it again, and repeat this command"
            )


def unseeded(settings: Settings, kafka: KafkaConnection, client: KafkaAdminClient) -> list[str]:
    """`topic/partition` of each partition that lacks what a log must begin with. Raises CommandError."""
    found = _found(settings, kafka, client)
    return [
        f"{tp.topic}/{tp.partition}"
        for tp, seeds in found.items()
        if not seeds.policy or (_ticks(settings, tp) and not seeds.clocks)
    ]


def told_unseeded(settings: Settings, bare: Sequence[str]) -> str:
    """One line about the partitions of `unseeded`, with what to do."""
    signed = f" that are {SIGNED}" if signatures_of(settings).rings else ""
    return (
        f"{len(bare)} partitions lack the first records of a log{signed}, such as {bare[0]}, and workers wait for them: run "
        "`netcenter topics seed`"
    )


def _write(producer: SoleProducer, records: list[RawRecord]) -> None:
    try:
        producer.write(records)
    except Overtaken:
        raise Overtaken(
            "another `topics apply`, `topics seed` or `policy apply` began meanwhile, and this one has written nothing: run it "
            "again, it writes what is still missing"
        ) from None


def _ticks(settings: Settings, tp: TopicPartition) -> bool:
    """Whether the partition must begin with a Tick: the Ticks of all other topics follow from those of the first."""
    return bool(tp.topic == settings.prefix + PIPELINE.roles[0].input_topic)


def _clock_of(settings: Settings, found: Mapping[TopicPartition, Seeds], clock: Clock | None) -> Clock:
    """The clock that the log follows, or shall follow. Raises UsageError, and CommandError."""
    kinds = {kind: tp for tp, seeds in found.items() if _ticks(settings, tp) for kind in seeds.clocks}
    if len(kinds) > 1:
        raise CommandError(
            f"{kinds['wall'].topic} has Ticks of the wall clock (in partition {kinds['wall'].partition}) and of the event clock "
            f"(in partition {kinds['event'].partition}): a log follows one clock; give a new log a prefix of its own "
            "(NETCENTER_PREFIX)"
        )
    follows = next(iter(kinds), clock or "wall")
    if clock is not None and clock != follows:
        raise UsageError(
            f"--clock {clock}: the log at {kinds[follows].topic} follows the {follows} clock, and a log cannot change its clock: "
            f"leave --clock out, or give a new log a prefix of its own (NETCENTER_PREFIX)"
        )
    return "event" if follows == "event" else "wall"


def _policy(settings: Settings, log: PolicyLog, text: str, source: str | None) -> Iterator[RawRecord]:
    if log.last is None:
        yield RawRecord(f"{settings.prefix}policy", 0, b"1", text.encode(), text_headers(source))


def _control(
    settings: Settings,
    kafka: KafkaConnection,
    clock: Clock,
    log: PolicyLog,
    text: str,
    found: Mapping[TopicPartition, Seeds],
) -> Iterator[RawRecord]:
    """The Tick and the PolicyChanged of each partition that lacks them, the Tick first."""
    made, now = LogRecords(settings, kafka, "topics"), int(time.time() * 1000)
    policies = {version: policies[-1].text for version, policies in log.versions.items()} or {1: text}
    for tp, seeds in found.items():
        name, number = tp.topic.removeprefix(settings.prefix), tp.partition
        if _ticks(settings, tp) and not seeds.clocks:
            # On the wall clock event time begins now; on the event clock it begins with the first line of the played
            # file.
            first_time = now if clock == "wall" else 0
            tick = Tick(clock=clock, time=first_time, role=PIPELINE.clock_role, partition=number)
            yield made.record(name, tick, number)
        if not seeds.policy:
            # The other topics get the later policies from the roles, in the order of the log.
            version = max(policies) if _ticks(settings, tp) else min(policies)
            changed = PolicyChanged(version=version, hash=digest(policies[version]), applied_at=now)
            yield made.record(name, changed, number)


# --- what stands in the log ---------------------------------------------------------------------------------------


def _found(settings: Settings, kafka: KafkaConnection, client: KafkaAdminClient) -> dict[TopicPartition, Seeds]:
    """What stands in each partition that must be seeded.

    What the role that reads a partition has in its progress it has read there, and what it lacks it has refused or not read
    yet. So a partition is read from the role's position, or from its beginning, until both records are found, and they are
    the first records of a seeded partition.
    """
    readers = {role.input_topic: role.name for role in PIPELINE.roles if role.decides}
    tps = [
        TopicPartition(settings.prefix + name, number)
        for name in PIPELINE.unmirrored_input_topics()
        for number in range(settings.partitions)
    ]
    ranges = {tp: offsets for tp, offsets in committed_ranges(client, tps).items() if offsets[0] < offsets[1]}
    found = {tp: Seeds() for tp in tps}
    progress = roles_progress(settings, kafka, client) if ranges else {}
    for tp, seeds in found.items():
        read = progress.get(readers[tp.topic.removeprefix(settings.prefix)], {}).get(tp.partition)
        if read is not None:
            _take_progress(seeds, read)
            if tp in ranges:
                ranges[tp] = max(ranges[tp][0], read.position), ranges[tp][1]
    _scan(settings, kafka, found, ranges)
    return found


def _take_progress(seeds: Seeds, read: Progress) -> None:
    seeds.policy = read.policy > 0
    if read.clock is not None:
        seeds.clocks.add(read.clock)


def _scan(
    settings: Settings,
    kafka: KafkaConnection,
    found: Mapping[TopicPartition, Seeds],
    ranges: Mapping[TopicPartition, OffsetRange],
) -> None:
    """Reads the partitions that have records until what is missing is found."""

    def open_ones() -> list[TopicPartition]:
        return [tp for tp in reader.left() if not found[tp].policy or (_ticks(settings, tp) and not found[tp].clocks)]

    if not ranges:
        return
    control = ControlRecords(settings)
    with closing(open_consumer(kafka)) as consumer:
        reader = RangeReader(consumer, ranges)
        while wanted := open_ones():
            for tp, records in reader.read(_AT_ONCE, wanted).items():
                for raw in records:
                    _take_record(found[tp], control.record(raw))


def _take_record(seeds: Seeds, record: Record | None) -> None:
    """record: a control record that the roles take; None for any other one."""
    if isinstance(record, PolicyChanged):
        seeds.policy = True
    elif isinstance(record, Tick):
        seeds.clocks.add(record.clock)
