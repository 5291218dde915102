"""Contacts counted outside, and events that the policy expects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from agents.decider import Unusable
from agents.policy.policy import Brand
from agents.policy.surge_policy import ExpectedEvent
from agents.surge.state import SOURCES, contacts_key
from schemas.records import ContactCount, SurgeOpened
from tests.support.decider_runner import Run
from tests.support.surge_told import (
    DAY,
    HOUR,
    MINUTE,
    START,
    after_three_days,
    begun,
    kinds,
    noise,
    of,
    play,
    policy,
    run,
)

# --- contacts counted outside ------------------------------------------------------------------------------------


def _calls(to: Run, start: int, counts: list[int], source: str = "calls") -> Run:
    for i, count in enumerate(counts):
        at = start + i * MINUTE
        to.fact(ContactCount(id=f"{source}{at}", brand="andina", source=source, minute=at, count=count))
        to.tick(at + MINUTE)
    return to


@cache
def _fifteen_days_of_calls() -> Run:
    return _calls(begun(), START, [int(n) for n in np.random.default_rng(2).poisson(20, 15 * 24 * 60)])


def _after_fifteen_days() -> Run:
    """A run in which twenty calls a minute have come for fifteen days, computed once for all tests."""
    known, to = _fifteen_days_of_calls(), run()
    assert known.events == []
    to.tick(known.time)
    for key, record in known.state.items():
        to.restore(key, record)
    return to


def test_seventy_percent_more_calls_open_a_load_within_45_minutes() -> None:
    random = np.random.default_rng(3)
    to = _after_fifteen_days()
    rise = to.time
    _calls(to, rise, [int(n) for n in random.poisson(34, 240)])
    [opened] = of(to, SurgeOpened)
    assert opened.time <= rise + 45 * MINUTE
    seen = opened.evidence
    assert (seen.detector, seen.scope, seen.name) == ("load", "contacts", "calls")
    assert seen.ratio >= seen.threshold >= 1.5
    _calls(to, to.time, [int(n) for n in random.poisson(20, 180)])
    assert kinds(to)[-1] == "SurgeClosed"


def test_calls_that_are_no_longer_counted_end_their_load() -> None:
    to = _after_fifteen_days()
    _calls(to, to.time, [60] * 60)
    assert kinds(to) == ["SurgeOpened"]
    to.tick(to.time + 2 * HOUR)
    assert kinds(to) == ["SurgeOpened", "SurgeClosed"]


def test_a_count_of_calls_that_comes_twice_or_late_changes_nothing() -> None:
    to = _calls(begun(), START, [20] * 60)
    before = dict(to.state)
    _calls(to, START + 30 * MINUTE, [900] * 2)
    assert dict(to.state) == before


def test_calls_that_cannot_be_and_one_source_too_many_become_dead_letters() -> None:
    to = begun()
    for n in range(SOURCES):
        _calls(to, START, [20], source=f"s{n}")
    one = ContactCount(id="x", brand="andina", source="s0", minute=START + 2 * MINUTE, count=3)
    for bad in (
        {"count": -1},
        {"count": 10**12},
        {"minute": 5},
        {"minutes": 0},
        {"minutes": 61},
        {"source": "s99"},
        {"source": "s" * 65},
        {"brand": "a|b"},
    ):
        with pytest.raises(Unusable):
            to.fact(msgspec.structs.replace(one, **bad))


# --- counts of several minutes -----------------------------------------------------------------------------------


def _by(to: Run, minutes: int, start: int, each_minute: list[int]) -> Run:
    """The same calls, counted together by so many minutes; each count comes when its minutes are over."""
    for i in range(0, len(each_minute), minutes):
        at, count = start + i * MINUTE, sum(each_minute[i : i + minutes])
        to.tick(at + minutes * MINUTE)
        to.fact(ContactCount(id=f"c{at}", brand="andina", source="calls", minute=at, count=count, minutes=minutes))
    return to


@cache
def _fifteen_days_by(minutes: int) -> Run:
    return _by(begun(), minutes, START, [int(n) for n in np.random.default_rng(2).poisson(20, 15 * 24 * 60)])


def _after_fifteen_days_by(minutes: int) -> Run:
    known, to = _fifteen_days_by(minutes), run()
    to.tick(known.time)
    for key, record in known.state.items():
        to.restore(key, record)
    return to


@pytest.mark.parametrize("minutes", [30, 60])
def test_calls_counted_by_several_minutes_raise_no_false_load_and_teach_the_same_usual(minutes: int) -> None:
    coarse, fine = _fifteen_days_by(minutes), _fifteen_days_of_calls()
    assert coarse.events == []
    by_bins, by_minutes = (one.state[contacts_key("andina", "calls")].load for one in (coarse, fine))
    assert by_bins.usual == pytest.approx(by_minutes.usual, abs=50)  # thousandths of a call a minute
    assert by_bins.strayed <= by_minutes.strayed + 0.01


@pytest.mark.parametrize("minutes", [30, 60])
def test_a_rise_counted_by_several_minutes_opens_one_load_that_lasts_until_it_is_over(minutes: int) -> None:
    """At most a count later than by single minutes, and not anew with every count."""
    random = np.random.default_rng(3)
    to = _after_fifteen_days_by(minutes)
    rise = to.time
    _by(to, minutes, rise, [int(n) for n in random.poisson(34, 240)])
    [opened] = of(to, SurgeOpened)
    assert opened.time <= rise + (45 + minutes) * MINUTE
    assert kinds(to) == ["SurgeOpened"]
    _by(to, minutes, to.time, [int(n) for n in random.poisson(20, 240)])
    assert kinds(to)[-1] == "SurgeClosed"
    assert len(of(to, SurgeOpened)) == 1


def test_counts_of_several_minutes_that_no_longer_come_end_their_load() -> None:
    to = _after_fifteen_days_by(60)
    _by(to, 60, to.time, [60] * 120)
    assert kinds(to) == ["SurgeOpened"]
    to.tick(to.time + HOUR)
    assert kinds(to) == ["SurgeOpened"], "the next hour is not over"
    to.tick(to.time + 2 * HOUR)
    assert kinds(to) == ["SurgeOpened", "SurgeClosed"]


def test_an_expected_event_in_a_part_of_the_counted_minutes_explains_only_its_part() -> None:
    begin = START + 15 * DAY + HOUR // 2
    held = policy(Brand(name="andina", expected_events=[_event(begin, 1, 15.0)]))
    known, to = _fifteen_days_by(60), run(held=held)
    to.tick(known.time)
    for key, record in known.state.items():
        to.restore(key, record)
    _by(to, 60, to.time, [20] * 30 + [300] * 60 + [20] * 30)
    assert to.events == []


def test_counted_minutes_that_overlap_what_is_counted_change_nothing() -> None:
    to = _by(begun(), 30, START, [20] * 120)
    before = dict(to.state)
    to.fact(ContactCount(id="x", brand="andina", source="calls", minute=START + 105 * MINUTE, count=900, minutes=30))
    assert dict(to.state) == before


# --- expected events ---------------------------------------------------------------------------------------------


def _event(begin: int, hours: int, factor: float, root: str | None = None) -> ExpectedEvent:
    start, end = (datetime.fromtimestamp(t / 1000, UTC) for t in (begin, begin + hours * HOUR))
    return ExpectedEvent(name="raffle", start=start, end=end, factor=factor, root=root)


def test_an_expected_event_scales_what_is_usual_and_is_no_lesson() -> None:
    begin = START + 3 * DAY
    held = policy(Brand(name="andina", expected_events=[_event(begin, 2, 15.0)]))
    posts = [150] * 24 + noise(10, 40)
    assert play(after_three_days(held=held), posts).events == []
    assert kinds(play(after_three_days(), posts)) == ["SurgeOpened", "SurgeClosed"]


def test_what_goes_beyond_an_expected_event_names_it_and_opens_no_crisis() -> None:
    begin = START + 3 * DAY
    held = policy(Brand(name="andina", expected_events=[_event(begin, 2, 2.0)]))
    to = after_three_days(held=held)
    play(to, [400] * 4, complaints=350)
    assert kinds(to)[0] == "SurgeOpened"
    assert "CrisisOpened" not in kinds(to)
    assert of(to, SurgeOpened)[0].evidence.expected_event == "raffle"


@pytest.mark.parametrize(
    ("repeats", "on", "off"),
    [
        (None, ["2026-03-01 20:00"], ["2026-03-02 20:00", "2026-03-08 20:00"]),
        (
            "daily",
            ["2026-03-01 21:59", "2026-03-02 20:00", "2026-07-14 21:00"],
            ["2026-02-28 20:30", "2026-03-02 19:59"],
        ),
        (
            "weekly",
            ["2026-03-08 20:00", "2026-04-05 21:59"],
            ["2026-03-02 20:00", "2026-04-05 22:00", "2026-02-22 20:00"],
        ),
        ("monthly", ["2026-04-01 20:00", "2027-01-01 21:00"], ["2026-04-02 20:00", "2026-03-31 21:00"]),
        ("yearly", ["2027-03-01 20:00", "2030-03-01 21:00"], ["2026-04-01 20:00", "2025-03-01 20:00"]),
    ],
)
def test_an_expected_event_comes_again_at_the_same_local_time(repeats: Any, on: list[str], off: list[str]) -> None:
    """From eight to ten in Madrid, also when its clocks have changed on 29 March."""
    zone = ZoneInfo("Europe/Madrid")
    first = datetime(2026, 3, 1, 20, tzinfo=zone)
    event = ExpectedEvent(name="show", start=first, end=first + timedelta(hours=2), repeats=repeats)
    brand = Brand(name="andina", zone="Europe/Madrid", expected_events=[event])
    for texts, expected in ((on, [event]), (off, [])):
        for text in texts:
            at = int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)
            assert brand.expected(at) == expected, text


def test_an_expected_event_of_a_day_that_a_month_lacks_is_left_out_and_one_over_new_year_is_not() -> None:
    event = ExpectedEvent(
        name="end of the month",
        start=datetime(2026, 1, 31, tzinfo=UTC),
        end=datetime(2026, 2, 2, tzinfo=UTC),
        repeats="monthly",
    )
    held = [
        day
        for day in range(365)
        if event.holds(int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + day * 86_400) * 1000, "UTC")
    ]
    assert held[:4] == [30, 31, 89, 90]
    assert len(held) == 13


def test_an_expected_post_may_be_passed_on_as_often_as_expected() -> None:
    begin = START + 3 * DAY
    for root, expected in (("raffle-post", []), ("another", ["SurgeOpened"])):
        to = after_three_days(
            held=policy(Brand(name="andina", expected_events=[_event(begin, 2, 20.0, "raffle-post")]))
        )
        play(to, [100] * 3, complaints=0, roots={root: 90})
        assert kinds(to)[:1] == expected
