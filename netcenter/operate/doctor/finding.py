"""What a check hands over, and what all checks of the log look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from kafka.admin import KafkaAdminClient

from netcenter.broker.lag import Member, Place, Watch
from netcenter.ingest.into_kafka import clock_of
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import Clock


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str


@dataclass
class Survey:
    """The broker and what it holds, each asked for once."""

    given: Settings
    """As the environment says; `settings` has the log's own partition count."""
    kafka: str
    client: KafkaAdminClient
    now: int = field(default_factory=lambda: int(time.time() * 1000))
    """ms; this machine's clock."""

    @cached_property
    def have(self) -> set[str]:
        """Every topic of the broker."""
        return set(self.client.list_topics())

    @cached_property
    def watch(self) -> Watch:
        """Of the groups."""
        watch = Watch(self.given, self.kafka, self.client)
        watch.await_groups()
        return watch

    @property
    def settings(self) -> Settings:
        """Of the log."""
        return self.watch.settings

    @cached_property
    def places(self) -> dict[str, list[Place]]:
        """Where each role stands."""
        return self.watch.survey(PIPELINE.roles)

    @cached_property
    def behind(self) -> dict[Place, int]:
        """Records to go."""
        return self.watch.behind(place for places in self.places.values() for place in places)

    @cached_property
    def members(self) -> dict[str, list[Member]]:
        """The workers of each role."""
        return self.watch.members()

    @cached_property
    def clock(self) -> Clock:
        """Whose clock the log follows."""
        return clock_of(self.settings, self.kafka)


Check = Callable[[Survey], Iterator[Finding]]


def span(ms: int) -> str:
    """A stretch of time for people, rounded: `3 s`, `12 min`, `24 h`."""
    seconds = round(abs(ms) / 1000)
    for unit, least, each in (("days", 172_800, 86_400), ("h", 7_200, 3_600), ("min", 120, 60)):
        if seconds >= least:
            return f"{round(seconds / each):,} {unit}"
    return f"{seconds} s"
