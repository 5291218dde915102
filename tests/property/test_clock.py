"""Promises of a partition's clock for any order of Ticks and excuses."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Tick, WriterExcused
from streams.clock import PartitionClock

WRITERS = [("cases", 0), ("cases", 1), ("surge", 0)]
steps = st.lists(st.tuples(st.sampled_from(WRITERS), st.none() | st.integers(0, 50)), max_size=40)


def play(moves: list[tuple[tuple[str, int], int | None]]) -> tuple[PartitionClock, list[int]]:
    """A clock after these Ticks (a time) and excuses (None), and its time after each."""
    clock, times = PartitionClock(frozenset(WRITERS)), []
    for (role, partition), time in moves:
        if time is None:
            clock.excuse(WriterExcused(role=role, partition=partition, silent_for=1))
        else:
            clock.tick(Tick(clock="event", time=time, role=role, partition=partition))
        times.append(clock.time)
    return clock, times


@settings(deadline=None)
@given(steps)
def test_time_never_falls_and_never_passes_a_writer_who_counts(moves: list[tuple[tuple[str, int], int | None]]) -> None:
    """At each advance every writer that is not excused has said as much."""
    seen = 0
    for n in range(len(moves)):
        clock, times = play(moves[: n + 1])
        assert times[-1] >= seen
        if times[-1] > seen:
            assert all(clock.last.get(w, 0) >= times[-1] for w in clock.expected - clock.excused)
        seen = times[-1]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WRITERS), st.integers(0, 50)), max_size=30), st.randoms(use_true_random=False)
)
def test_without_excuses_the_order_between_writers_does_not_matter(
    moves: list[tuple[tuple[str, int], int]], dice: object
) -> None:
    """Partitions are interleaved as the network likes; the time reached is the same."""
    shuffled = list(moves)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = play(list(moves))[0], play(list(shuffled))[0]
    assert one.time == two.time == min(one.last.get(w, 0) for w in WRITERS)
