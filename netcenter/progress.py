"""How far every role has come: offsets and event times that the groups were told, beside the ends of the topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, KafkaError, NotCoordinatorError

from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.reading import any_record, spans
from netcenter.settings import Settings
from streams.hints import parsed
from streams.shapes import Role

#: A fresh broker answers so until its groups are loaded.
_NOT_YET = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)


@dataclass(frozen=True)
class Place:
    """Where a role stands in one partition."""

    role: str
    topic: str
    partition: int
    offset: int
    """Next to read."""
    end: int
    time: int
    """ms of event time; 0 when unknown."""

    @property
    def behind(self) -> int:
        """Offsets to go; transaction markers count as offsets, so a few may remain when all is read."""
        return max(0, self.end - self.offset)


class Watch:
    """Asks the broker; keep one while polling."""

    def __init__(self, settings: Settings, kafka: str, admin: KafkaAdminClient) -> None:
        self.settings, self.kafka, self.admin = settings, kafka, admin

    def _partitions(self, role: Role) -> list[tuple[str, int]]:
        return [(t, n) for t in role.reads for n in range(PIPELINE.topic(t).partitions or self.settings.partitions)]

    def told(self, roles: Iterable[Role]) -> dict[str, dict[tuple[str, int], tuple[int, int]]]:
        """For each role: (next offset, event time in ms) by (topic, partition), as its group was told.

        Empty while the broker does not answer.
        """
        cut = len(self.settings.prefix)
        try:
            found = self.admin.list_group_offsets({self.settings.prefix + role.name: None for role in roles})
        except KafkaError as error:
            if getattr(error, "retriable", False):
                return {}  # a broker that starts, or starts again
            raise CommandError(f"the groups' offsets cannot be read: {type(error).__name__}") from None
        return {
            group[cut:]: {
                (tp.topic[cut:], tp.partition): (at.offset, parsed(at.metadata)[0])
                for tp, at in offsets.items()
                if at.offset >= 0
            }
            for group, offsets in found.items()
        }

    def running(self) -> list[Role]:
        """The roles that have a worker now."""
        roles = {self.settings.prefix + role.name: role for role in PIPELINE.roles}
        try:
            found = self.admin.describe_groups(list(roles))
        except _NOT_YET:
            return []
        return [role for group, role in roles.items() if found.get(group, {}).get("members")]

    def places(self, role: Role) -> list[Place]:
        """Where a role stands in each of its partitions."""
        told = self.told([role]).get(role.name, {})
        tps = {(t, n): TopicPartition(self.settings.prefix + t, n) for t, n in self._partitions(role)}
        found = spans(self.admin, tps.values())
        return [
            Place(
                role.name,
                t,
                n,
                max(found[tp][0], told.get((t, n), (0, 0))[0]),
                found[tp][1],
                told.get((t, n), (0, 0))[1],
            )
            for (t, n), tp in tps.items()
        ]

    def slowest(self, roles: Iterable[Role]) -> tuple[int, str]:
        """(ms of event time, role) of the role that is furthest behind in any partition of its inbox."""
        roles = list(roles)
        told = self.told(roles)
        times = []
        for role in roles:
            count = PIPELINE.topic(role.inbox).partitions or self.settings.partitions
            mine = told.get(role.name, {})
            times.append((min(mine.get((role.inbox, n), (0, 0))[1] for n in range(count)), role.name))
        return min(times, default=(0, ""))

    def drained(self, role: Role) -> bool:
        """Whether nothing is left to read for a role; markers of transactions do not count."""
        left = {
            TopicPartition(self.settings.prefix + p.topic, p.partition): (p.offset, p.end)
            for p in self.places(role)
            if p.behind
        }
        return not any_record(self.kafka, left)
