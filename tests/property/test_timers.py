"""The compact timers behave as a dict and a sorted list do, whatever is set, moved, taken away and fired."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from streams.timers import Timers
from tests.support.examples import examples

KEYS = some.sampled_from("abcdef")
#: Around one minute's borders, and far beyond.
TIMES = some.one_of(
    some.integers(-3, 3),
    some.integers(59_997, 60_003),
    some.integers(-200_000, 900_000),
    some.integers(0, 400).map(lambda minute: minute * 60_000),
)
HISTORIES = some.lists(some.one_of(some.tuples(KEYS, some.none() | TIMES), some.tuples(some.just("pop"), TIMES)))


class Plain:
    """What the timers promise, said in the plainest way."""

    def __init__(self) -> None:
        self.dues: dict[str, int] = {}

    def set(self, key: str, due: int | None) -> None:
        if due is None:
            self.dues.pop(key, None)
        else:
            self.dues[key] = due

    def pop(self, now: int) -> tuple[int, str] | None:
        due = sorted((due, key) for key, due in self.dues.items() if due <= now)
        if not due:
            return None
        del self.dues[due[0][1]]
        return due[0]


@examples(300)
@given(HISTORIES)
def test_timers_are_a_dict_and_a_sorted_list(history: list[Any]) -> None:
    """Time goes only forward, as a partition's does; between two firings others may be set, before and after them."""
    timers, plain, now = Timers(), Plain(), 0
    for what, time in history:
        if what == "pop":
            now = max(now, time)
            assert timers.pop(now) == plain.pop(now)
        else:
            timers.set(what, time)
            plain.set(what, time)
        assert len(timers) == len(plain.dues)
        assert {key: timers.get(key) for key in plain.dues} == plain.dues
        first, told = min(plain.dues.values(), default=None), timers.next()
        assert told == first or (told is not None and first is not None and first - 60_000 < told < first)
    while (expected := plain.pop(1 << 40)) is not None:
        assert timers.pop(1 << 40) == expected
    assert timers.pop(1 << 40) is None
    assert not timers._heap and not timers._soon and not timers._later
