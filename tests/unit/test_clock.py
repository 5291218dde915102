"""Promises of a partition's clock: the least of its writers' last Ticks, which never falls."""

from __future__ import annotations

import pytest

from schemas.records import Clock, Tick, WriterExcused
from streams.clock import PartitionClock, WrongTick
from streams.topology import Pipeline
from tests.support import toy

A, B = ("cases", 0), ("surge", 0)


def tick(clock: PartitionClock, writer: tuple[str, int], time: int, kind: Clock = "event") -> int:
    """The time after a Tick."""
    clock.tick(Tick(clock=kind, time=time, role=writer[0], partition=writer[1]))
    return clock.time


def excuse(clock: PartitionClock, writer: tuple[str, int]) -> int:
    """The time after an excuse."""
    clock.excuse(WriterExcused(role=writer[0], partition=writer[1], silent_for=10_000))
    return clock.time


def test_there_is_no_time_before_every_writer_was_heard() -> None:
    """Then it is the least."""
    clock = PartitionClock(frozenset({A, B}))
    assert [tick(clock, A, 100), tick(clock, B, 70), tick(clock, B, 300)] == [0, 70, 100]


def test_a_tick_below_its_writers_last_changes_nothing() -> None:
    """Time does not fall, nor does the writer's own."""
    clock = PartitionClock(frozenset({A}))
    assert [tick(clock, A, 100), tick(clock, A, 50), clock.last[A]] == [100, 100, 100]


def test_an_excused_writer_is_left_behind_and_its_next_tick_brings_it_back() -> None:
    """Then time waits for it again, without falling."""
    clock = PartitionClock(frozenset({A, B}))
    tick(clock, A, 10), tick(clock, B, 10)
    assert [tick(clock, A, 100), excuse(clock, B), tick(clock, B, 20)] == [10, 100, 100]
    assert [tick(clock, A, 200), tick(clock, B, 150)] == [100, 150]


def test_when_all_are_excused_time_stands_still() -> None:
    """There is nobody to follow."""
    clock = PartitionClock(frozenset({A}))
    tick(clock, A, 10)
    assert excuse(clock, A) == 10


def test_an_excuse_of_somebody_who_writes_nothing_here_is_passed_over() -> None:
    """It changes nobody's time."""
    clock = PartitionClock(frozenset({A}))
    excuse(clock, B)
    assert clock.excused == set()


@pytest.mark.parametrize(("writer", "kind"), [(B, "event"), (("cases", 1), "event"), (A, "wall")])
def test_a_tick_of_another_kind_or_an_unknown_writer_is_refused(writer: tuple[str, int], kind: Clock) -> None:
    """It moves nothing."""
    clock = PartitionClock(frozenset({A}))
    tick(clock, A, 10)
    with pytest.raises(WrongTick, match=f"{writer[0]}/{writer[1]}"):
        tick(clock, writer, 99, kind)
    assert clock.time == 10


def test_awaited_are_those_who_hold_time_back_unless_nobody_else_is_left() -> None:
    """Excusing the last one would help nobody."""
    clock = PartitionClock(frozenset({A, B}))
    assert clock.awaited() == [A, B]
    tick(clock, A, 100)
    assert clock.awaited() == [B]
    excuse(clock, B)
    assert clock.awaited() == []


def test_the_writers_of_an_inbox_follow_from_the_pipeline() -> None:
    """The clock for the first, its own partition where one mirrors another, all partitions elsewhere."""
    pipeline: Pipeline = toy.PIPELINE
    assert pipeline.writers("mentions", 1, lambda _: 2) == {("clock", 1)}
    assert pipeline.writers("classified", 1, lambda _: 2) == {("classify", 1)}
    assert pipeline.writers("signals", 1, lambda _: 3) == {("counts", 0), ("counts", 1), ("counts", 2)}
    assert pipeline.writers("cases", 1, lambda _: 2) == frozenset()
