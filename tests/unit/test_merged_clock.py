"""The owner's Ticks, where the records of several partitions come together: when one is due, and which sources it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from schemas import codec
from schemas.records import Clock, Record, SourceIdle, Tick
from streams.errors import Stop
from streams.merged_clock import MergedClock
from streams.partition import OwnTicks
from streams.watermark import Watermark
from tests.support.world import MINUTE, NOON

A, B = ("cases", 0), ("cases", 1)


class Core:
    """The time that stands in the log, and when the next timer fires."""

    def __init__(self) -> None:
        self.heard = Watermark(frozenset({("desk", 0)}), frozenset({A, B}))
        self.timer: int | None = None

    def due(self) -> int | None:
        """As a core."""
        return self.timer


class Owned:
    """A partition that reads back at once what is appended to it."""

    number = 0

    def __init__(self) -> None:
        self.core, self.own_ticks, self.log = Core(), OwnTicks(), list[Record]()

    async def append(self, records: Sequence[Tick | SourceIdle]) -> None:
        """Appends, and reads."""
        self.log += records
        for record in records:
            self.core.heard.tick(record) if isinstance(record, Tick) else self.core.heard.source_idle(record)


class Ticks:
    """Writes Ticks as a transaction would."""

    async def write(self, ticks: Sequence[tuple[Any, Tick]]) -> None:
        """Appends each to its partition."""
        for partition, tick in ticks:
            await partition.append([tick])


class World:
    """A merged clock with one partition, and a monotonic clock that the test moves."""

    def __init__(self, patch: pytest.MonkeyPatch, kind: Clock = "wall") -> None:
        self.kind, self.now, self.partition = kind, 1_000.0, Owned()
        patch.setattr("streams.merged_clock.wall.monotonic", lambda: self.now)
        owned: Any = {0: self.partition}
        reader: Any = None
        ticks: Any = Ticks()
        log = structlog.get_logger("test")
        self.clock = MergedClock("p.watermarks", "desk", frozenset({A, B}), owned, reader, ticks, log)
        self.partition.own_ticks.busy = self.now

    def hear(self, time: int, *writers: tuple[str, int]) -> None:
        """Ticks of these sources."""
        for role, n in writers or (A, B):
            self.clock._hear(codec.encode(Tick(clock=self.kind, time=time, role=role, partition=n)), 0)

    def look(self, after: float = 0.0) -> list[Any]:
        """What is appended so many seconds later: the time of a Tick of ours, or the record."""
        self.now += after
        self.clock._leave_out(10.0)
        before = len(self.partition.log)
        asyncio.run(self.clock._append([self.partition], 1.0))  # type: ignore[list-item]
        found = self.partition.log[before:]
        return [r.time if isinstance(r, Tick) and r.role == "desk" else r for r in found]


def test_the_first_tick_waits_for_every_source_and_is_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.hear(NOON + 5, A)
    assert world.look() == [] and world.clock.unheard() == [B]
    world.hear(NOON, B)
    assert world.look() == [NOON]


def test_a_tick_goes_each_second_into_a_quiet_partition_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the wall clock: the timers further down wait for the slowest partition. A timer that is due does not wait for that."""
    world = World(monkeypatch)
    world.hear(NOON)
    world.look()
    world.hear(NOON + 900)
    assert (world.look(0.9), world.look(0.1)) == ([], [NOON + 900])
    world.now += 60.0
    world.hear(NOON + MINUTE)
    assert world.look() == [NOON + MINUTE]
    world.hear(NOON + MINUTE + 1)
    assert (world.look(0.9), world.look(0.1)) == ([], [NOON + MINUTE + 1])
    world.partition.core.timer = NOON + MINUTE + 2
    world.hear(NOON + MINUTE + 2)
    assert world.look(0.3) == [NOON + MINUTE + 2]


def test_a_tick_that_was_not_read_back_is_not_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a partition with a backlog is not filled with Ticks behind it."""
    world = World(monkeypatch, "event")
    world.partition.core.heard = Watermark(frozenset({("desk", 0)}), frozenset({A, B}))
    world.hear(NOON)
    assert world.look() == [NOON]
    world.partition.core.heard.last.clear()
    world.hear(NOON + 1)
    assert world.look(100.0) == []


def test_on_the_event_clock_a_tick_follows_whenever_the_least_advances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits there, and nobody is idle."""
    world = World(monkeypatch, "event")
    for n in range(3):
        world.hear(NOON + n)
        assert world.look() == [NOON + n]
    world.hear(NOON + 9, A)
    assert world.look(1_000.0) == []


def test_a_silent_source_is_left_out_said_once_and_said_again_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.hear(NOON)
    world.look()
    world.hear(NOON + MINUTE, A)
    assert world.look(9.0) == []
    idle, tick = world.look(2.0)
    assert (idle.role, idle.partition, idle.silent_ms, tick) == ("cases", 1, 11_000, NOON + MINUTE)
    world.now += 20.0
    world.hear(NOON + MINUTE, A)
    assert world.look() == []
    world.hear(NOON + 1_000, B)
    (back,) = world.look()
    assert (back.role, back.partition, back.time) == ("cases", 1, NOON + 1_000)
    world.hear(NOON + 2 * MINUTE, A)
    assert world.look(5.0) == []
    assert world.partition.core.heard.idle == set()


def test_while_kafka_does_not_answer_nobody_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.hear(NOON)
    world.look()
    world.hear(NOON + MINUTE, A)
    world.now += 60.0
    world.clock.start_over()
    assert world.look() == [] and world.look(9.0) == []
    assert len(world.look(1.0)) == 2


@pytest.mark.parametrize(
    "value", [None, b"", b"no record", codec.encode(SourceIdle(role="a", partition=0, silent_ms=1))]
)
def test_what_is_no_tick_among_the_watermarks_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, value: bytes | None
) -> None:
    world = World(monkeypatch)
    world.clock._hear(value, 3)
    world.clock._hear(codec.encode(Tick(clock="wall", time=NOON, role="classify", partition=0)), 4)
    assert (world.clock.merged.kind, world.look()) == (None, [])


def test_a_tick_of_a_newer_release_stops_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed over, its writer would count as silent, and time would go on without it."""
    world = World(monkeypatch)
    with pytest.raises(Stop, match=r"p\.watermarks/0 .*newer"):
        world.clock._hear(b"\x00\x4f\xff\xff\xff", 0)
