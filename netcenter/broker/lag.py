"""How far every role has come: offsets and event times that the groups were told, beside the ends of the topics."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, KafkaError, NotCoordinatorError

from netcenter.broker.reading import any_record, as_they_come, ends, open_consumer, spans
from netcenter.broker.topics import as_in_log
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.headers import rfc3339
from streams import committed_offsets
from streams.topology import Role

#: A fresh broker answers so until its groups are loaded.
_NOT_YET = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)
#: Offsets that are read to tell records from markers; of more, the markers make no difference that matters.
_COUNTED = 2_000
_PATIENCE_S = 10.0


class Told(NamedTuple):
    """What a group was told of a partition."""

    offset: int
    """Next to read."""
    time: int
    """ms of event time; 0 when unknown."""
    address: str
    """host:port of the worker that told it; empty when unknown."""
    due: int
    """ms; up to then the next Ticks change nothing but the time; 0 when unknown."""


_UNKNOWN = Told(-1, 0, "", 0)


@dataclass(frozen=True)
class Place:
    """Where a role stands in one partition."""

    role: str
    topic: str
    partition: int
    told: int | None
    """Next to read, as the group was told; None where it was told nothing."""
    first: int
    end: int
    """Of what is committed."""
    last: int
    """Of all that was appended."""
    time: int
    """ms of event time; 0 when unknown."""

    @property
    def name(self) -> str:
        """topic/partition."""
        return f"{self.topic}/{self.partition}"

    @property
    def offset(self) -> int:
        """Next to read, of what is there."""
        return max(self.first, self.told or 0)

    @property
    def behind(self) -> int:
        """Offsets to go, the markers of transactions among them: `Watch.behind` counts the records."""
        return max(0, self.end - self.offset)

    @property
    def held(self) -> int:
        """Offsets behind the first transaction that is open: nobody may read them yet."""
        return self.last - self.end

    @property
    def beyond(self) -> bool:
        """Whether the position is of another log: this one does not go so far."""
        return self.told is not None and self.told > self.last

    @property
    def lost(self) -> int:
        """Offsets that were deleted before they were read."""
        return max(0, self.first - self.told) if self.told is not None else 0


@dataclass(frozen=True)
class Member:
    """A worker, as the coordinator of its group knows it."""

    client: str
    host: str

    @property
    def address(self) -> str:
        """host:port of its health server; empty where its client id names no port."""
        port = self.client.rpartition("-")[2]
        return committed_offsets.address(self.host, int(port)) if port.isdigit() else ""


class Watch:
    """Asks the broker; keep one while polling."""

    def __init__(self, settings: Settings, kafka: str, admin: KafkaAdminClient) -> None:
        self.settings, self.kafka, self.admin = as_in_log(settings, admin), kafka, admin

    def _partitions(self, role: Role) -> list[tuple[str, int]]:
        return [(t, n) for t in role.reads for n in range(PIPELINE.topic(t).partitions or self.settings.partitions)]

    def told(self, roles: Iterable[Role]) -> dict[str, dict[tuple[str, int], Told]]:
        """For each role: what its group was told, by (topic, partition).

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
                (tp.topic[cut:], tp.partition): Told(at.offset, *committed_offsets.parsed(at.metadata))
                for tp, at in offsets.items()
                if at.offset >= 0
            }
            for group, offsets in found.items()
        }

    def members(self) -> dict[str, list[Member]]:
        """The workers of each role now, also those that wait for a partition. None are known while the broker does not answer."""
        groups = {self.settings.prefix + role.name: role.name for role in PIPELINE.roles}
        try:
            found = self.admin.describe_groups(list(groups))
        except KafkaError as error:
            if not getattr(error, "retriable", False):
                raise CommandError(f"the groups' members cannot be read: {type(error).__name__}") from None
            found = {}  # a broker that starts, or starts again
        return {
            name: [
                Member(m["client_id"], m["client_host"].removeprefix("/"))
                for m in found.get(group, {}).get("members") or ()
            ]
            for group, name in groups.items()
        }

    def running(self) -> list[Role]:
        """The roles that have a worker now."""
        return [PIPELINE.role(name) for name, members in self.members().items() if members]

    def await_groups(self) -> None:
        """Return once the broker answers for every group: one that has just started does not yet. Raises CommandError."""
        deadline = time.monotonic() + _PATIENCE_S
        groups = [self.settings.prefix + role.name for role in PIPELINE.roles]
        while True:
            try:
                found = self.admin.describe_groups(groups).values()
                if not any("Coordinator" in (group["error"] or "") for group in found) and self.told(PIPELINE.roles):
                    return
            except _NOT_YET:
                pass
            if time.monotonic() > deadline:
                raise CommandError(f"Kafka does not answer for its groups, {_PATIENCE_S:.0f} s long: is it starting?")
            time.sleep(0.1)

    def places(self, role: Role) -> list[Place]:
        """Where a role stands in each of its partitions."""
        return self.survey([role])[role.name]

    def survey(self, roles: Iterable[Role]) -> dict[str, list[Place]]:
        """Where each role stands in each of its partitions."""
        roles = list(roles)
        told = self.told(roles)
        wanted = {role.name: self._partitions(role) for role in roles}
        tps = {
            place: TopicPartition(self.settings.prefix + place[0], place[1]) for of in wanted.values() for place in of
        }
        # The ends last: a position that is read before them cannot lie beyond an end that has grown since.
        found = spans(self.admin, tps.values())
        last = ends(self.admin, tps.values())
        return {
            name: [
                Place(
                    name,
                    *place,
                    told=at.offset if at.offset >= 0 else None,
                    first=found[tps[place]][0],
                    end=found[tps[place]][1],
                    last=last[tps[place]],
                    time=at.time,
                )
                for place in places
                for at in (told.get(name, {}).get(place, _UNKNOWN),)
            ]
            for name, places in wanted.items()
        }

    def behind(self, places: Iterable[Place]) -> dict[Place, int]:
        """Records to go: counted where few offsets are left, else as many as offsets."""
        left = [p for p in places if p.behind]
        few = [p for p in left if p.behind <= _COUNTED]
        starts: dict[TopicPartition, tuple[int, int]] = {}
        for p in few:
            tp = self._tp(p)
            starts[tp] = min(p.offset, starts.get(tp, (p.offset, 0))[0]), p.end
        offsets: dict[TopicPartition, list[int]] = {tp: [] for tp in starts}
        if starts:
            with closing(open_consumer(self.kafka)) as consumer:
                for found in as_they_come(consumer, starts, _COUNTED):
                    for tp, records in found.items():
                        offsets[tp] += [record.offset for record in records]
        counted = {p: len(offsets[self._tp(p)]) - bisect_left(offsets[self._tp(p)], p.offset) for p in few}
        return {p: counted.get(p, p.behind) for p in left}

    def lag(self) -> list[dict[str, Any]]:
        """Of each role: its worker, records to go, what it cannot read, and the event time at which it stands."""
        self.await_groups()
        running = {name for name, members in self.members().items() if members}
        survey = self.survey(PIPELINE.roles)
        behind = self.behind(place for places in survey.values() for place in places)
        rows = []
        for role in PIPELINE.roles:
            places = survey[role.name]
            times = [p.time for p in places if p.topic == PIPELINE.timed_topic(role) and p.time]
            rows.append(
                {
                    "role": role.name,
                    "running": role.name in running,
                    "behind": sum(behind.get(p, 0) for p in places),
                    "held_back": sum(p.held for p in places),
                    "lost": sum(p.lost for p in places),
                    "beyond_the_end": [p.name for p in places if p.beyond],
                    "time": rfc3339(min(times)) if times else None,
                }
            )
        return rows

    def _tp(self, place: Place) -> TopicPartition:
        return TopicPartition(self.settings.prefix + place.topic, place.partition)

    def slowest(self, roles: Iterable[Role]) -> tuple[int, str]:
        """(ms of event time, role) of the role that is furthest behind in any partition of its input topic."""
        return self.standing(roles)[0]

    def standing(self, roles: Iterable[Role]) -> tuple[tuple[int, str], int]:
        """`slowest`; and ms, when something is due next in any of these roles that decide: 0 when one does not say."""
        roles = list(roles)
        told = self.told(roles)
        times, dues = list[tuple[int, str]](), list[int]()
        for role in roles:
            topic = PIPELINE.timed_topic(role) or role.input_topic
            count = PIPELINE.topic(topic).partitions or self.settings.partitions
            mine = [told.get(role.name, {}).get((topic, n), _UNKNOWN) for n in range(count)]
            times.append((min(one.time for one in mine), role.name))
            if role.decides:
                dues += [one.due for one in mine]
        return min(times, default=(0, "")), min(dues, default=0)

    def drained(self, role: Role) -> bool:
        """Whether nothing is left to read for a role; markers of transactions do not count."""
        return not any_record(self.kafka, {self._tp(p): (p.offset, p.end) for p in self.places(role) if p.behind})
