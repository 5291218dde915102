"""Promises of a partition's watermark: the least of its writers' last Ticks, which never falls."""

from __future__ import annotations

import pytest

from schemas.records import Clock, SourceIdle, Tick
from streams.topology import Pipeline
from streams.watermark import Watermark, WrongTick
from tests.support import toy

A, B = ("cases", 0), ("surge", 0)


def tick(clock: Watermark, writer: tuple[str, int], time: int, kind: Clock = "event") -> int:
    """The time after a Tick."""
    clock.tick(Tick(clock=kind, time=time, role=writer[0], partition=writer[1]))
    return clock.time


def idle(clock: Watermark, writer: tuple[str, int]) -> int:
    """The time after a SourceIdle."""
    clock.source_idle(SourceIdle(role=writer[0], partition=writer[1], silent_ms=10_000))
    return clock.time


def test_there_is_no_time_before_every_writer_was_heard() -> None:
    """Then it is the least."""
    clock = Watermark(frozenset({A, B}))
    assert [tick(clock, A, 100), tick(clock, B, 70), tick(clock, B, 300)] == [0, 70, 100]


def test_a_tick_below_its_writers_last_changes_nothing() -> None:
    """Time does not fall, nor does the writer's own."""
    clock = Watermark(frozenset({A}))
    assert [tick(clock, A, 100), tick(clock, A, 50), clock.last[A]] == [100, 100, 100]


def test_an_idle_writer_is_left_behind_and_its_next_tick_brings_it_back() -> None:
    """Then time waits for it again, without falling."""
    clock = Watermark(frozenset({A, B}))
    tick(clock, A, 10), tick(clock, B, 10)
    assert [tick(clock, A, 100), idle(clock, B), tick(clock, B, 20)] == [10, 100, 100]
    assert [tick(clock, A, 200), tick(clock, B, 150)] == [100, 150]


def test_a_source_is_idle_until_its_next_tick_and_neither_moves_the_time() -> None:
    """The owner's Tick has left it out, or waited for it, before."""
    clock = Watermark(frozenset({A}), frozenset({B}))
    assert [tick(clock, A, 10), idle(clock, B), clock.idle] == [10, 10, {B}]
    assert [tick(clock, B, 99), clock.idle, clock.last] == [10, set(), {A: 10}]
    assert Watermark(frozenset({A}), frozenset({B}), last={A: 3, B: 4}).last == {A: 3}


def test_a_tick_that_is_copied_changes_nothing() -> None:
    """Whichever of the earlier ones: time is as it was."""
    clock = Watermark(frozenset({A, B}))
    times = [tick(clock, writer, at) for at in (10, 20, 30) for writer in (A, B)]
    before = clock.time, dict(clock.last), set(clock.idle)
    for at in (10, 20, 30):
        assert {tick(clock, A, at), tick(clock, B, at)} == {times[-1]}
    assert (clock.time, clock.last, clock.idle) == before


def test_when_all_are_idle_time_stands_still() -> None:
    """There is nobody to follow."""
    clock = Watermark(frozenset({A}))
    tick(clock, A, 10)
    assert idle(clock, A) == 10


def test_a_source_idle_of_somebody_who_writes_nothing_here_is_passed_over() -> None:
    """It changes nobody's time."""
    clock = Watermark(frozenset({A}))
    idle(clock, B)
    assert clock.idle == set()


@pytest.mark.parametrize(("writer", "kind"), [(B, "event"), (("cases", 1), "event"), (A, "wall")])
def test_a_tick_of_another_kind_or_an_unknown_writer_is_refused(writer: tuple[str, int], kind: Clock) -> None:
    """It moves nothing."""
    clock = Watermark(frozenset({A}))
    tick(clock, A, 10)
    with pytest.raises(WrongTick, match=f"{writer[0]}/{writer[1]}"):
        tick(clock, writer, 99, kind)
    assert clock.time == 10


def test_those_who_hold_time_back_are_named_unless_nobody_else_is_left() -> None:
    """An idle last one would help nobody."""
    clock = Watermark(frozenset({A, B}))
    assert clock.holding_back() == [A, B]
    tick(clock, A, 100)
    assert clock.holding_back() == [B]
    idle(clock, B)
    assert clock.holding_back() == []


def test_the_writers_of_an_input_topic_follow_from_the_pipeline() -> None:
    """The clock for the first, the partition that is mirrored, and the owner where several come together."""
    pipeline: Pipeline = toy.PIPELINE
    assert pipeline.writers("mentions", 1) == {("clock", 1)}
    assert pipeline.writers("classified", 1) == {("classify", 1)}
    assert pipeline.writers("signals", 1) == {("tally", 1)}
    assert pipeline.writers("cases", 1) == frozenset()
    sources = {role.name: pipeline.sources(role, 3) for role in pipeline.roles}
    assert sources == {
        "classify": frozenset(),
        "counts": frozenset(),
        "tally": {("counts", 0), ("counts", 1), ("counts", 2)},
        "rows": frozenset(),
        **dict.fromkeys(toy.PAGERS, frozenset()),
    }
