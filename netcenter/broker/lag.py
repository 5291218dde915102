"""The progress of every role: the committed offsets and event times of its group, compared with the ends of its
topics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from netcenter.broker.client import open_consumer
from netcenter.broker.groups import NOT_COMMITTED, ConsumerGroups
from netcenter.broker.offsets import OffsetRange, committed_ranges, log_ends
from netcenter.broker.reading import any_record, batches_of
from netcenter.broker.topics import settings_of_log
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.times import rfc3339
from streams.kafka_connection import KafkaConnection
from streams.topology import Role

#: Up to this many offsets the records are read and counted without markers; in a larger number the markers do not
#: matter.
_COUNTED = 2_000


@dataclass(frozen=True)
class RolePosition:
    """The position of a role in one partition."""

    role: str
    topic: str
    partition: int
    committed: int | None
    """The committed offset of the group, which is the next offset to read; None where the group has committed none."""
    first: int
    """The first offset of the partition."""
    end: int
    """The last stable offset: records from here on may belong to open transactions."""
    log_end: int
    """The offset after the last record, records of open transactions included."""
    time: int
    """ms of event time; 0 when it is not known."""

    @property
    def name(self) -> str:
        """topic/partition."""
        return f"{self.topic}/{self.partition}"

    @property
    def offset(self) -> int:
        """The next offset to read that the partition still has."""
        return max(self.first, self.committed or 0)

    @property
    def offsets_behind(self) -> int:
        """The number of offsets to read, markers of transactions included. `LagMonitor.records_behind` counts the
        records.
        """
        return max(0, self.end - self.offset)

    @property
    def held_back(self) -> int:
        """The number of offsets after the first open transaction, which no role may read yet."""
        return self.log_end - self.end

    @property
    def beyond_end(self) -> bool:
        """Whether the committed offset is after the end of the partition, and so belongs to another log."""
        return self.committed is not None and self.committed > self.log_end

    @property
    def lost(self) -> int:
        """The number of offsets that retention has deleted before the role has read them."""
        return max(0, self.first - self.committed) if self.committed is not None else 0


class LagMonitor:
    """Asks the broker for the progress of the roles. A caller that asks repeatedly should keep one monitor."""

    def __init__(self, settings: Settings, kafka: KafkaConnection, admin: KafkaAdminClient) -> None:
        """Raises CommandError where no Netcenter is under the prefix."""
        self.settings, self._kafka, self._admin = settings_of_log(settings, admin), kafka, admin
        self.groups = ConsumerGroups(settings.prefix, admin)

    def positions(self, roles: Iterable[Role]) -> dict[str, list[RolePosition]]:
        """The position of each role in each of its partitions. Raises CommandError."""
        roles = list(roles)
        committed = self.groups.positions(roles)
        wanted = {
            role.name: [(topic, n) for topic in role.reads for n in range(self._partition_count(topic))]
            for role in roles
        }
        tps = {
            place: TopicPartition(self.settings.prefix + place[0], place[1])
            for places in wanted.values()
            for place in places
        }
        # Ask for the ends last: then a committed offset, which was read before, cannot be after an end.
        ranges = committed_ranges(self._admin, tps.values())
        ends = log_ends(self._admin, tps.values())
        positions: dict[str, list[RolePosition]] = {}
        for role, places in wanted.items():
            positions[role] = []
            for topic, number in places:
                tp, at = tps[topic, number], committed.get(role, {}).get((topic, number))
                offset, event_time = (None, 0) if at is None else (at.offset, at.time)
                positions[role].append(RolePosition(role, topic, number, offset, *ranges[tp], ends[tp], event_time))
        return positions

    def records_behind(self, positions: Iterable[RolePosition]) -> dict[RolePosition, int]:
        """The number of records to read, for each position that is behind.

        Where at most 2,000 offsets are left, their records are counted; else the number of offsets is returned, which
        includes the markers of transactions.
        """
        behind = [p for p in positions if p.offsets_behind]
        few = [p for p in behind if p.offsets_behind <= _COUNTED]
        ranges: dict[TopicPartition, OffsetRange] = {}
        for p in few:
            tp = self._tp(p)
            ranges[tp] = min(p.offset, ranges.get(tp, (p.offset, 0))[0]), p.end
        offsets: dict[TopicPartition, list[int]] = {tp: [] for tp in ranges}
        if ranges:
            with closing(open_consumer(self._kafka)) as consumer:
                for batch in batches_of(consumer, ranges):
                    for tp, records in batch.items():
                        offsets[tp] += [record.offset for record in records]
        counted = {p: len(offsets[self._tp(p)]) - bisect_left(offsets[self._tp(p)], p.offset) for p in few}
        return {p: counted.get(p, p.offsets_behind) for p in behind}

    def is_drained(self, role: Role) -> bool:
        """Whether no record is left to read for a role; markers of transactions do not count."""
        positions = self.positions([role])[role.name]
        return not any_record(self._kafka, {self._tp(p): (p.offset, p.end) for p in positions if p.offsets_behind})

    def slowest(self, roles: Iterable[Role]) -> tuple[int, str]:
        """(ms of event time, role) of the role that is furthest behind in any partition of its topic with Ticks."""
        return self.slowest_and_due(roles)[0]

    def slowest_and_due(self, roles: Iterable[Role]) -> tuple[tuple[int, str], int]:
        """The result of `slowest`; and the next time (ms) at which a timer is due in any of these roles, 0 when a role
        does not say.
        """
        roles = list(roles)
        committed = self.groups.positions(roles)
        times, dues = list[tuple[int, str]](), list[int]()
        for role in roles:
            topic = PIPELINE.timed_topic(role) or role.input_topic
            numbers = range(self._partition_count(topic))
            own = [committed.get(role.name, {}).get((topic, n), NOT_COMMITTED) for n in numbers]
            times.append((min(position.time for position in own), role.name))
            if role.decides:
                dues += [position.due for position in own]
        return min(times, default=(0, "")), min(dues, default=0)

    def report(self) -> list[dict[str, Any]]:
        """One row for each role, as `netcenter lag --json` prints it."""
        self.groups.await_loaded()
        running = {name for name, members in self.groups.members().items() if members}
        by_role = self.positions(PIPELINE.roles)
        behind = self.records_behind(p for positions in by_role.values() for p in positions)
        rows = []
        for role in PIPELINE.roles:
            positions = by_role[role.name]
            times = [p.time for p in timed_positions(role, positions)]
            rows.append(
                {
                    "role": role.name,
                    "running": role.name in running,
                    "behind": sum(behind.get(p, 0) for p in positions),
                    "held_back": sum(p.held_back for p in positions),
                    "lost": sum(p.lost for p in positions),
                    "beyond_the_end": [p.name for p in positions if p.beyond_end],
                    "time": rfc3339(min(times)) if times else None,
                }
            )
        return rows

    def _partition_count(self, topic: str) -> int:
        return PIPELINE.partitions(topic, self.settings.partitions)

    def _tp(self, position: RolePosition) -> TopicPartition:
        return TopicPartition(self.settings.prefix + position.topic, position.partition)


def timed_positions(role: Role, positions: Iterable[RolePosition]) -> list[RolePosition]:
    """The positions of a role that have an event time, which are the positions in its topic with Ticks."""
    return [p for p in positions if p.topic == PIPELINE.timed_topic(role) and p.time]
