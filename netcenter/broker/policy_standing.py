"""Which policy stands in each partition: of the first input topic by its records, of the roles by their progress."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from netcenter.broker.client import open_admin, open_consumer
from netcenter.broker.control_records import ControlRecords
from netcenter.broker.offsets import OffsetRange, committed_ranges, offsets_at
from netcenter.broker.policy_topic import PolicyLog
from netcenter.broker.reading import batches_of
from netcenter.broker.topics import existing_topics, settings_of_log
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import PolicyChanged
from schemas.state_forms import FormError
from streams.checkpoint import PROGRESS, read_progress
from streams.core import Progress
from streams.kafka_connection import KafkaConnection
from streams.topology import Role

#: The last progress record is searched in so many records at the end of a changelog, then in more, and at last in all.
#: Every checkpoint writes one; only a rebuild that was ended writes a whole state without one.
_TAILS = (200, 10_000, sys.maxsize)
#: ms by which the brokers' clocks may differ: a PolicyChanged is searched from that long before its text.
_SKEW_MS = 60_000


class PolicyId(NamedTuple):
    """A policy, as a PolicyChanged and a role's progress name it."""

    version: int
    hash: str

    def __str__(self) -> str:
        return f"policy {self.version} ({self.hash[:12]})" if self.version else "no policy"


NO_POLICY = PolicyId(0, "")


@dataclass(frozen=True)
class PolicyStanding:
    """The policy that stands in each partition."""

    log: dict[int, PolicyId] = field(default_factory=dict)
    """By partition of the first input topic: the policy that holds for the next record. NO_POLICY where the newest
    policy was searched there and not found, and no role has read the partition.
    """
    roles: dict[str, dict[int, PolicyId]] = field(default_factory=dict)
    """By role and partition of its input topic: the policy in its progress; nothing for a role that has none yet."""

    def lacking(self, wanted: PolicyId) -> list[int]:
        """The partitions of the first input topic in which another policy stands."""
        return [number for number, standing in sorted(self.log.items()) if standing != wanted]


def standing(settings: Settings, kafka: KafkaConnection, policies: PolicyLog) -> PolicyStanding:
    """The policy that stands in each partition now. Raises CommandError, and Unreachable."""
    with closing(open_admin(kafka)) as client:
        settings = settings_of_log(settings, client)
        progress = roles_progress(settings, kafka, client)
        first = PIPELINE.roles[0]
        log = _log_standing(settings, kafka, client, policies, progress.get(first.name, {}))
    roles = {
        role: {n: PolicyId(one.policy, one.policy_hash) for n, one in sorted(found.items())}
        for role, found in progress.items()
    }
    return PolicyStanding(log, roles)


def _log_standing(
    settings: Settings,
    kafka: KafkaConnection,
    client: KafkaAdminClient,
    policies: PolicyLog,
    progress: Mapping[int, Progress],
) -> dict[int, PolicyId]:
    """By partition: the policy of the role that reads it, and of the PolicyChanged that the role has not read yet."""
    topic = settings.prefix + PIPELINE.roles[0].input_topic
    tps = [TopicPartition(topic, number) for number in range(settings.partitions)]
    ranges = committed_ranges(client, tps)
    stamp = min((policy.stamp for policy in policies.versions.get(policies.newest, ())), default=0)
    begins = offsets_at(client, tps, stamp - _SKEW_MS) if stamp else {}
    found = dict.fromkeys(tps, NO_POLICY)
    unread: dict[TopicPartition, OffsetRange] = {}
    for tp in tps:
        start, end = ranges[tp]
        read = progress.get(tp.partition)
        if read is not None:
            found[tp] = PolicyId(read.policy, read.policy_hash)
            start = max(start, read.position)
        if found[tp].version < policies.newest:
            unread[tp] = max(start, begins.get(tp, end)), end
    for tp, changed in _changes(settings, kafka, unread):
        # Of two changes to one version the first holds; a change without its text is a dead letter.
        if changed in policies.texts.by_hash and changed.version > found[tp].version:
            found[tp] = changed
    return {tp.partition: policy for tp, policy in found.items()}


def _changes(
    settings: Settings, kafka: KafkaConnection, ranges: Mapping[TopicPartition, OffsetRange]
) -> Iterable[tuple[TopicPartition, PolicyId]]:
    """Every PolicyChanged in these ranges that the roles take, in order within a partition."""
    control = ControlRecords(settings)
    with closing(open_consumer(kafka)) as consumer:
        for batch in batches_of(consumer, ranges):
            for tp, records in batch.items():
                for changed in control.of(records):
                    if isinstance(changed, PolicyChanged):
                        yield tp, PolicyId(changed.version, changed.hash)


def roles_progress(
    settings: Settings, kafka: KafkaConnection, client: KafkaAdminClient, roles: Iterable[Role] = PIPELINE.roles
) -> dict[str, dict[int, Progress]]:
    """The newest progress of each of these roles that decides, by partition of its input topic. Where a role has none, or
    its worker would refuse it, the partition is left out.
    """
    changelogs = {settings.prefix + role.changelog: role.name for role in roles if role.decides}
    have = existing_topics(client, changelogs)
    names = {
        TopicPartition(name, number): role
        for name, role in changelogs.items()
        if name in have
        for number in range(settings.partitions)
    }
    found: dict[str, dict[int, Progress]] = {}
    ranges = committed_ranges(client, names) if names else {}
    missing = {tp: offsets for tp, offsets in ranges.items() if offsets[0] < offsets[1]}
    for tail in _TAILS:
        for tp, progress in _newest(kafka, {tp: (max(a, b - tail), b) for tp, (a, b) in missing.items()}).items():
            found.setdefault(names[tp], {})[tp.partition] = progress
            del missing[tp]
    return found


def _newest(kafka: KafkaConnection, ranges: Mapping[TopicPartition, OffsetRange]) -> dict[TopicPartition, Progress]:
    found: dict[TopicPartition, Progress] = {}
    if not ranges:
        return found
    with closing(open_consumer(kafka)) as consumer:
        for batch in batches_of(consumer, ranges):
            for tp, records in batch.items():
                for record in records:
                    if record.key == PROGRESS and record.value is not None:
                        with suppress(FormError, ValueError):  # the role's worker reports an unreadable progress record
                            found[tp] = read_progress(record.value)
    return found
