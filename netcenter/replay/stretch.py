"""A stretch of the log, from Tick to Tick, with what people's tools wrote meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from netcenter.pipeline import PIPELINE
from netcenter.reading import Span
from netcenter.replay.lanes import Lanes
from netcenter.replay.people import People
from netcenter.settings import Settings
from schemas.records import Clock, Record, Tick
from streams.core import Fact

#: ms of time that belong to one step: on the wall clock each partition is ticked at its own moment.
_STEP = 1_000
_EMPTY = (
    "the stretch does not begin where the log began: cases, queues, surges and alerts that were open before it are not "
    "known, and what followed from them is missing"
)


@dataclass
class Step:
    """What stands before a Tick of each partition, and these Ticks."""

    time: int
    """ms; of the newest of them."""
    facts: dict[int, list[Fact]] = field(default_factory=dict)
    """By partition of `mentions`."""
    ticks: dict[int, Fact] = field(default_factory=dict)
    people: dict[str, list[Record]] = field(default_factory=dict)
    """By topic."""
    set_aside: int = 0
    """Records that cannot be read as facts."""


@dataclass(frozen=True)
class Stretch:
    """Which records of which partitions."""

    settings: Settings
    kafka: str
    topic: str
    """`mentions` or `classified`."""
    spans: dict[int, Span]
    """First offset and end by partition; those that are left out say nothing, and time goes on without them."""
    opening: dict[int, Fact]
    """The Tick in front of a partition's first record, where that is none."""
    stamps: tuple[int, int]
    """ms; the broker's, about the first and the last record."""
    policies: dict[int, str]
    """Texts by version."""
    in_force: list[int]
    """The version with which each partition begins."""

    @property
    def whole(self) -> bool:
        """Whether it begins where the log began: else all state begins empty."""
        return len(self.spans) == self.settings.partitions and all(start == 0 for start, _ in self.spans.values())

    def told(self) -> dict[str, Any]:
        """For the summary."""
        offsets = {str(n): [start, end - 1] for n, (start, end) in sorted(self.spans.items())}
        return {"topic": self.topic, "offsets": offsets, "begins_empty": None if self.whole else _EMPTY}

    def steps(self) -> Iterator[Step]:
        """In the order of time."""
        people = People(self.settings, self.kafka, self.stamps)
        with Lanes(self.settings, self.kafka, self.topic, self.spans) as lanes:
            time = 0
            for step in self._steps(lanes):
                if time == 0 and not self.whole:
                    people.skip(step.time)
                step.time = time = max(time, step.time)
                step.people, step.set_aside = people.until(time), lanes.set_aside()
                yield step

    def _steps(self, lanes: Lanes) -> Iterator[Step]:
        heads = {n: lanes.until_tick(n) for n in self.spans}
        silent = set(range(self.settings.partitions)) - self.spans.keys()
        if self.opening:
            yield self._step(self.opening, {}, silent)
        while any(tick is not None for _, tick in heads.values()):
            now = min(time_of(tick) for _, tick in heads.values() if tick is not None)
            facts, ticks = dict[int, list[Fact]](), dict[int, Fact]()
            for n, (before, tick) in heads.items():
                if tick is not None and time_of(tick) < now + _STEP:
                    facts[n], ticks[n] = before, tick
            yield self._step(ticks, facts, silent)
            for n in ticks:
                heads[n] = lanes.until_tick(n)
        left = {n: before for n, (before, _) in heads.items() if before}
        if left:
            yield Step(0, left)

    def _step(self, ticks: dict[int, Fact], facts: dict[int, list[Fact]], silent: set[int]) -> Step:
        clock = next(_of(fact).clock for fact in ticks.values())
        newest = max(map(time_of, ticks.values()))
        told = {n: as_clock(clock, n, time_of(fact), fact.offset) for n, fact in ticks.items()}
        return Step(newest, facts, told | {n: as_clock(clock, n, newest, 0) for n in sorted(silent)})


def time_of(fact: Fact) -> int:
    """ms of a Tick; in `mentions` on the wall clock the broker's."""
    tick = _of(fact)
    return fact.stamp if tick.clock == "wall" and tick.role == PIPELINE.clock_role else tick.time


def as_clock(clock: Clock, number: int, time: int, offset: int) -> Fact:
    """A Tick as it stands in `mentions`, whose writer is the clock."""
    return Fact(offset, Tick(clock=clock, time=time, role=PIPELINE.clock_role, partition=number), time)


def _of(fact: Fact) -> Tick:
    if not isinstance(fact.record, Tick):
        raise TypeError(f"{type(fact.record).__name__} is no Tick")
    return fact.record
