"""Promises of a partition's watermark for any order of Ticks and SourceIdle records."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import SourceIdle, Tick
from streams.watermark import Watermark

WRITERS = [("cases", 0), ("cases", 1), ("surge", 0)]
steps = st.lists(st.tuples(st.sampled_from(WRITERS), st.none() | st.integers(0, 50)), max_size=40)


def play(moves: list[tuple[tuple[str, int], int | None]]) -> tuple[Watermark, list[int]]:
    """A clock after these Ticks (a time) and SourceIdle records (None), and its time after each."""
    clock, times = Watermark(frozenset(WRITERS)), []
    for (role, partition), time in moves:
        if time is None:
            clock.source_idle(SourceIdle(role=role, partition=partition, silent_ms=1))
        else:
            clock.tick(Tick(clock="event", time=time, role=role, partition=partition))
        times.append(clock.time)
    return clock, times


@settings(deadline=None)
@given(steps)
def test_time_never_falls_and_never_passes_a_writer_who_counts(moves: list[tuple[tuple[str, int], int | None]]) -> None:
    """At each advance every writer that is not idle has said as much."""
    seen = 0
    for n in range(len(moves)):
        clock, times = play(moves[: n + 1])
        assert times[-1] >= seen
        if times[-1] > seen:
            assert all(clock.last.get(w, 0) >= times[-1] for w in clock.expected - clock.idle)
        seen = times[-1]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WRITERS), st.integers(0, 50)), max_size=30), st.randoms(use_true_random=False)
)
def test_without_idle_writers_the_order_between_writers_does_not_matter(
    moves: list[tuple[tuple[str, int], int]], dice: object
) -> None:
    """Partitions are interleaved as the network likes; the time reached is the same."""
    shuffled = list(moves)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = play(list(moves))[0], play(list(shuffled))[0]
    assert one.time == two.time == min(one.last.get(w, 0) for w in WRITERS)
