"""A load is more contacts than the hour of the week brings, by so much that it is no accident."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from agents.policy.surge_policy import SurgePolicy
from agents.surge import week
from agents.surge.load import Load

RULE = SurgePolicy()
START = 1_700_006_400_000
WEEK = 7 * 24 * 60


def contacts(weeks: int, a_minute: float, seed: int = 1) -> Any:
    """By the minute: days that rise and fall, and quiet week-ends."""
    t = np.arange(weeks * WEEK)
    hour, day = t / 60 % 24, t // 1440 % 7
    shape = np.exp(1.1 * np.cos(2 * np.pi * (hour - 14) / 24)) * np.where(day < 5, 1.0, 0.6)
    return np.random.default_rng(seed).poisson(a_minute * shape / shape.mean())


def play(counts: Any, load: Load | None = None, rule: SurgePolicy = RULE) -> tuple[Load, list[int]]:
    """The series after the counts, and at which of them a load opened."""
    load, opened = load or Load.new(START), []
    for i, count in enumerate(counts):
        was, load = load.open, load.step(None if count is None else float(count), rule)
        if load.open and not was:
            opened.append(i)
    return load, opened


@cache
def three_weeks() -> Load:
    """What is known after three weeks at ten contacts a minute, computed once: it is frozen."""
    return play(contacts(3, 10))[0]


def test_days_and_weeks_alone_open_one_load_in_four_weeks_at_most() -> None:
    load, _ = play(contacts(1, 10))
    assert len(play(contacts(4, 10, 2), load)[1]) <= 1


def test_seventy_percent_more_are_seen_within_45_minutes() -> None:
    load = three_weeks()
    more = np.random.default_rng(3).poisson(1.7 * contacts(1, 10, 4)[:240])
    [opened] = play(more, load)[1]
    assert opened <= 45


def test_an_outage_teaches_nothing_and_opens_nothing() -> None:
    load = three_weeks()
    quiet, opened = play([None] * 600, load)
    assert opened == [] and quiet.usual == load.usual
    assert play(contacts(1, 10, 5)[600:2000], quiet)[1] == []


def test_an_incident_teaches_nothing() -> None:
    load = three_weeks()
    after = load
    for _ in range(600):
        after = after.step(40.0, RULE, in_surge=True)
    assert after.usual == load.usual


def test_what_has_lasted_a_day_is_the_usual_at_every_hour() -> None:
    counts = contacts(4, 10)
    load, _ = play(counts[: 3 * WEEK])
    double, opened = play(2 * counts[3 * WEEK :], load)
    assert len(opened) == 1 and not double.open
    assert week.own(double.usual, START) == pytest.approx(2 * week.own(load.usual, START), rel=0.3)


def test_an_hour_that_was_never_seen_is_judged_by_other_days_and_less_surely() -> None:
    day, _ = play(contacts(1, 10)[:1440])
    three = three_weeks()
    assert day.threshold(RULE) > three.threshold(RULE)


def test_posts_are_told_of_only_where_they_come_as_evenly_as_calls_and_are_many() -> None:
    random = np.random.default_rng(7)
    waves = np.repeat(np.exp(random.normal(0, 0.5, 3 * WEEK // 60)), 60)
    for level, shape, told in ((10, 1.0, True), (10, waves, False), (0.2, 1.0, False)):
        counts = random.poisson(contacts(3, 10) * level / 10 * shape)
        load, _ = play(counts, Load.new(START, posts=True))
        more = random.poisson(2.5 * contacts(1, 10, 4)[:240] * level / 10)
        assert bool(play(more, load)[1]) is told


def test_few_contacts_open_nothing() -> None:
    assert play([0] * 3 * 1440 + [1] * 9)[1] == []
