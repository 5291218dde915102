"""A burst is what is rare in a series: judged by its own past, whatever its size and temper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from agents.policy.surge_policy import SurgePolicy
from agents.surge.burst import BIN, DAY, HOUR, Burst

RULE = SurgePolicy()


def steps(counts: Any, burst: Burst | None = None, rule: SurgePolicy = RULE, first: int = 0) -> tuple[Burst, list[int]]:
    """The series after the counts, the first of which is of bin `first`, and at which of them a burst opened."""
    burst, opened = burst or Burst.new(), []
    for i, count in enumerate(counts):
        was, burst = burst.open, burst.step(float(count), (first + i) * BIN, rule)
        if burst.open and not was:
            opened.append(i)
    return burst, opened


@pytest.mark.parametrize("level", [0.5, 3, 30, 300])
def test_an_even_series_has_two_bursts_in_a_month_at_most_whatever_its_size(level: float) -> None:
    counts = np.random.default_rng(1).poisson(level, 30 * DAY)
    assert len(steps(counts)[1]) <= 2


def test_the_same_rise_is_a_burst_of_an_even_series_and_none_of_a_wild_one() -> None:
    random = np.random.default_rng(1)
    even = random.poisson(50, 14 * DAY)
    wild = random.poisson(50 * np.repeat(np.exp(random.normal(0, 1, 14 * 24)), HOUR))
    rise = [200] * HOUR
    for calm, found in ((even, True), (wild, False)):
        before, _ = steps(calm)
        assert bool(steps(rise, before)[1]) is found


def test_a_burst_ends_when_nothing_has_been_above_the_usual_for_the_policys_calm() -> None:
    burst, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    burst, opened = steps([400] * 3, burst)
    assert opened
    burst, _ = steps([20] * (HOUR // 2), burst)
    assert burst.open
    burst, _ = steps([20] * (HOUR // 2 + 3), burst)
    assert not burst.open and not burst.settled(RULE)


def test_what_is_over_opens_no_second_burst_from_the_long_window() -> None:
    """The three hours are high for three hours after a flood."""
    burst, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    burst, first = steps([400] * 7 * HOUR, burst)
    assert len(first) == 1
    assert steps(np.random.default_rng(2).poisson(20, 6 * HOUR), burst)[1] == []


def test_the_first_posts_after_an_outage_are_no_burst() -> None:
    counts = np.random.default_rng(1).poisson(20, 14 * DAY)
    burst, _ = steps(counts)
    for hours in (1, 4, 12):
        assert steps([0] * hours * HOUR + [20] * 2 * HOUR, burst)[1] == []


def test_a_burst_opens_where_its_return_period_reaches_the_policys() -> None:
    burst, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    for count in [30, 60, 120, 240, 480]:
        burst, _ = steps([count], burst)
        assert (burst.return_period() >= 5) is burst.open


def test_what_it_says_is_what_was_counted() -> None:
    burst, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    burst, _ = steps([100, 200, 300], burst)
    seen = burst.judged(RULE)
    assert (seen.bins, seen.actual) == (3, 600)
    assert seen.baseline == pytest.approx(60, rel=0.1)
    assert seen.actual / seen.baseline >= seen.threshold > 1
    assert seen.return_period == pytest.approx(burst.return_period())


def test_a_part_of_a_brand_must_be_rarer() -> None:
    loose, strict = Burst.new(), Burst.new(strict=1.5)
    assert strict.judged(RULE).threshold > loose.judged(RULE).threshold


def test_a_rarer_setting_opens_later_or_not_at_all() -> None:
    burst, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    rise = [round(20 * 1.1**n) for n in range(24)]
    rules = [RULE.model_copy(update={"rarity": days * 86_400_000}) for days in (1, 5, 300)]
    told = [[*steps(rise, burst, rule)[1], len(rise)][0] for rule in rules]
    assert told == sorted(told)
    assert told[0] < told[-1]


# --- rhythm ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hour", "lasts", "times"), [(9, 12, 8), (20, 3, 30), (0, 24, 5)])
@pytest.mark.parametrize("days", [range(7), range(5)], ids=["daily", "on weekdays"])
def test_a_peak_at_the_same_hour_is_told_in_the_first_days_only(
    hour: int, lasts: int, times: float, days: range
) -> None:
    usual = np.full(35 * DAY, 20.0)
    for day in range(35):
        if day % 7 in days:
            usual[day * DAY + hour * HOUR : day * DAY + hour * HOUR + lasts] *= times
    _, opened = steps(np.random.default_rng(1).poisson(usual))
    assert [at // DAY for at in opened if at >= 3 * DAY] == []


def test_the_hours_follow_the_brands_local_time() -> None:
    """The same posts, seen where the day begins five hours later."""
    counts = np.random.default_rng(1).poisson(20 * (1 + np.sin(np.arange(14 * DAY) * 2 * math.pi / DAY)))
    here, there = steps(counts)[0], steps(counts, first=DAY - 5 * HOUR)[0]
    assert there.hours == pytest.approx([*here.hours[5:], *here.hours[:5]], rel=0.1, abs=60)


# --- what it teaches -----------------------------------------------------------------------------------------------


def test_a_flood_hardly_teaches_the_usual_level() -> None:
    calm, _ = steps(np.random.default_rng(1).poisson(20, 7 * DAY))
    after, _ = steps([2_000] * 3 * HOUR, calm)
    assert after.level < 1.2 * calm.level


def test_a_partial_bin_teaches_nothing_and_ends_nothing() -> None:
    calm, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    open_, _ = steps([400] * 3, calm)
    burst = open_
    for n in range(DAY):
        burst = burst.step(0.0, n * BIN, RULE, partial=True)
    assert burst.open
    learnt = ("age", "level", "hours", "often", "seldom", "days", "highest", "bars")
    assert [getattr(burst, name) for name in learnt] == [getattr(open_, name) for name in learnt]


def test_the_tails_learn_what_share_of_bins_exceeds_them() -> None:
    """Of a series whose posts stray, one bin in 20 exceeds the first value and one in 200 the second."""
    random = np.random.default_rng(1)
    counts = random.poisson(50 * np.exp(random.normal(0, 0.5, 60 * DAY)))
    burst, _ = steps(counts[: 45 * DAY])
    often, seldom, tried = 0, 0, 15 * DAY
    for n, count in enumerate(counts[45 * DAY :]):
        before, level = burst, burst.level
        burst = burst.step(float(count), n * BIN, RULE)
        ratio = math.log((sum(burst.last[-3:]) + 2) / (level * 3 + 2))
        often += ratio > before.often[0]
        seldom += ratio > before.seldom[0]
    assert often / tried == pytest.approx(0.05, rel=0.25)
    assert seldom / tried == pytest.approx(0.005, rel=0.5)
