"""The order of play: records by time, Ticks between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK, in_order_of_play
from schemas import ids, records


def line(at: int, number: int) -> Line:
    record = records.ContactCount(id=ids.make("contacts", at, number), brand="b", source="s", minute=at, count=1)
    return Line(at, "volumes", record, number)


def shape(played: list[Line | int]) -> list[int | str]:
    return [x if isinstance(x, int) else f"#{x.number}" for x in played]


def test_a_tick_stands_before_the_first_record_and_on_every_interval_before_the_next() -> None:
    """Time is told first; a record exactly on an interval comes after that interval's Tick; time runs on."""
    lines = [line(25, 1), line(30, 2), line(52, 3)]
    assert shape(list(in_order_of_play(lines, interval=10, run_on=15))) == [20, "#1", 30, "#2", 40, 50, "#3", 60, 70]


def test_records_are_sorted_by_time_and_then_by_line() -> None:
    """The file's own order decides between records of one time."""
    lines = [line(9, 1), line(3, 2), line(9, 3), line(3, 4), line(1, 5)]
    assert shape(list(in_order_of_play(lines, interval=100, run_on=1))) == [0, "#5", "#2", "#4", "#1", "#3", 100]


def test_time_runs_on_to_the_first_interval_at_or_past_the_end() -> None:
    """An end that falls on an interval has its Tick and no more; no time to run on still closes the last interval."""
    assert shape(list(in_order_of_play([line(10, 1)], interval=10, run_on=20))) == [10, "#1", 20, 30]
    assert shape(list(in_order_of_play([line(10, 1)], interval=10, run_on=0))) == [10, "#1"]
    assert shape(list(in_order_of_play([line(11, 1)], interval=10, run_on=0))) == [10, "#1", 20]


def test_without_records_there_is_no_time() -> None:
    """An empty file plays nothing."""
    assert list(in_order_of_play([])) == []


def test_an_interval_of_nothing_is_refused() -> None:
    """It would never end."""
    with pytest.raises(ValueError, match="interval: 0 ms"):
        list(in_order_of_play([line(1, 1)], interval=0))


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=30), st.integers(0, 10**7))
def test_every_record_is_played_once_between_its_ticks(times: list[int], until: int) -> None:
    """Ticks are all whole intervals from the first record to the end, and no record is before the Tick ahead of it."""
    played = list(in_order_of_play([line(at, n) for n, at in enumerate(times)], run_on=until))
    ticks = [x for x in played if isinstance(x, int)]
    end = -(-(max(times) + until) // TICK) * TICK
    assert ticks == list(range(min(times) // TICK * TICK, end + 1, TICK))
    assert sorted(x.number for x in played if isinstance(x, Line)) == list(range(len(times)))
    now = played[0]
    assert isinstance(now, int)
    for one in played:
        if isinstance(one, int):
            now = one
        else:
            assert now <= one.at < now + TICK
