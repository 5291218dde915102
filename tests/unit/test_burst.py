"""A burst is what is rare in a series: judged by its own tail, whatever its size and temper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from agents.policy.surge_policy import SurgePolicy
from agents.surge.burst import Burst
from agents.surge.tail import HOUR, MONTH, Prior, Tail, rank, significance

RULE = SurgePolicy()
DAY = 24 * HOUR


def steps(counts: Any, burst: Burst | None = None, rule: SurgePolicy = RULE) -> tuple[Burst, list[int]]:
    """The series after the counts, and at which of them a burst opened."""
    burst, opened = burst or Burst.new(), []
    for i, count in enumerate(counts):
        was, burst = burst.kind, burst.step(float(count), rule)
        if burst.kind and not was:
            opened.append(i)
    return burst, opened


@pytest.mark.parametrize("level", [0.5, 3, 30, 300])
def test_an_even_series_has_two_bursts_in_a_month_at_most_whatever_its_size(level: float) -> None:
    counts = np.random.default_rng(1).poisson(level, MONTH)
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
    assert burst.kind
    burst, _ = steps([20] * (HOUR // 2 + 3), burst)
    assert not burst.kind and not burst.settled(RULE)


def test_the_first_posts_after_an_outage_are_no_burst() -> None:
    counts = np.random.default_rng(1).poisson(20, 14 * DAY)
    burst, _ = steps(counts)
    for hours in (1, 4, 12):
        assert steps([0] * hours * HOUR + [20] * 2 * HOUR, burst)[1] == []


def test_its_score_is_one_where_it_opens() -> None:
    burst, _ = steps(np.random.default_rng(1).poisson(20, 4 * DAY))
    for count in [30, 60, 120, 240, 480]:
        burst = burst.step(count, RULE)
        assert (burst.score(RULE) >= 1) is bool(burst.kind)


def test_a_part_of_a_brand_must_be_rarer() -> None:
    loose, strict = Burst.new(), Burst.new(strict=1.5)
    assert strict.judged(RULE).threshold > loose.judged(RULE).threshold


# --- tails -------------------------------------------------------------------------------------------------------


def test_a_tail_learns_how_far_a_quantity_goes() -> None:
    random = np.random.default_rng(1)
    tail = Tail.of(Prior(0.65, 0.22))
    for i, value in enumerate(random.exponential(0.3, 3 * MONTH)):
        tail = tail.seen(value)
        if i % HOUR == 0:
            tail = tail.hourly()
    # Exceeded in one of 20 and of 200: 0.3 ln 20 and 0.3 ln 200.
    assert tail.often == pytest.approx(0.3 * math.log(20), rel=0.05)
    assert tail.value(rank(0.005)) == pytest.approx(0.3 * math.log(200), rel=0.1)


def test_a_rank_and_a_share_are_two_words_for_one_thing() -> None:
    assert rank(0.05) == 0
    assert significance(rank(0.001)) == pytest.approx(3)
    tail = Tail.of(Prior(0.65, 0.22))
    assert tail.rank(tail.value(2.5)) == pytest.approx(2.5)


def test_a_new_tail_is_that_of_a_usual_brand() -> None:
    fresh = Tail.of(Prior(0.65, 0.22))
    later = fresh.hourly()
    assert later.often == pytest.approx(0.65, abs=0.02)
    assert later.scale == pytest.approx(0.22, abs=0.02)
