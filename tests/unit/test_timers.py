"""Promises of the timers: order, one due a key, and no more memory than there are timers."""

from __future__ import annotations

from streams.timers import Timers

MINUTE = 60_000


def popped(timers: Timers, now: int) -> list[tuple[int, str]]:
    """All that are due, in the order given."""
    found = []
    while (timer := timers.pop(now)) is not None:
        found.append(timer)
    return found


def test_timers_come_by_due_and_then_by_key_across_minutes() -> None:
    """Whatever the order in which they were set."""
    timers = Timers()
    for due, key in ((3 * MINUTE, "b"), (5, "z"), (3 * MINUTE, "a"), (-7, "past"), (90 * MINUTE, "later"), (4, "y")):
        timers.set(key, due)
    assert popped(timers, 3 * MINUTE) == [(-7, "past"), (4, "y"), (5, "z"), (3 * MINUTE, "a"), (3 * MINUTE, "b")]
    assert len(timers) == 1
    assert timers.pop(90 * MINUTE - 1) is None
    assert timers.pop(90 * MINUTE) == (90 * MINUTE, "later")


def test_a_timer_that_fired_is_no_longer_set_until_it_is_set_again() -> None:
    """Even for the same moment."""
    timers = Timers()
    timers.set("a", 7)
    assert timers.pop(MINUTE) == (7, "a")
    assert (timers.get("a"), len(timers), timers.pop(MINUTE)) == (None, 0, None)
    timers.set("a", 7)
    assert popped(timers, MINUTE) == [(7, "a")]


def test_only_the_newest_due_of_a_key_counts() -> None:
    """Moved on, moved back, and taken away, near and far."""
    timers = Timers()
    timers.set("now", 0)
    assert timers.pop(0) == (0, "now")
    for key, dues in (("on", (1, 5 * MINUTE)), ("back", (5 * MINUTE, 2)), ("same", (9, 3, 9)), ("gone", (1, None))):
        for due in dues:
            timers.set(key, due)
    assert popped(timers, 6 * MINUTE) == [(2, "back"), (9, "same"), (5 * MINUTE, "on")]


def test_a_clock_that_moves_without_end_leaves_no_more_behind_than_there_are_timers() -> None:
    """Within the minute, and from minute to minute."""
    timers = Timers()
    timers.set("now", 0)
    timers.pop(0)
    for step in range(1, 20_001):
        timers.set("near", step % MINUTE)
        timers.set("far", step * MINUTE)
    assert len(timers) == 2
    assert len(timers._heap) + len(timers._minutes) + len(timers._later) < 300
    assert popped(timers, 20_000 * MINUTE) == [(20_000, "near"), (20_000 * MINUTE, "far")]


def test_a_timer_that_moves_keeps_one_string_for_its_key() -> None:
    """A million keys that are each there twice would cost a tenth of the memory."""
    timers, first, again = Timers(), "-".join(("a", "key")), "-".join(("a", "key"))
    timers.set(first, MINUTE)
    timers.set(again, 5 * MINUTE)
    found = timers.pop(5 * MINUTE)
    assert found is not None
    assert found[1] is first
