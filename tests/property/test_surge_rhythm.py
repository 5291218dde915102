"""A daily rhythm alone is no surge: six weeks of generated posts."""

from __future__ import annotations

import numpy as np

from schemas.records import SurgeOpened
from tests.support.surge_told import BINS, of, play, run


def rhythm(a_day: int, days: int, seed: int) -> list[int]:
    """Posts by bin: a daily sine, its trough 5 % of its peak and at an hour by the seed."""
    random = np.random.default_rng(seed)
    when = np.arange(days * BINS)
    level = a_day / BINS * (1 - 0.905 * np.cos(2 * np.pi * (when + 0.5 - random.integers(BINS)) / BINS))
    return [int(n) for n in random.poisson(level)]


def test_a_daily_rhythm_alone_opens_no_more_than_one_surge_in_six_weeks() -> None:
    """Two weeks each of a small, a middling and a large brand."""
    opened = [of(play(run(), rhythm(a_day, 14, a_day)), SurgeOpened) for a_day in (600, 5_000, 15_000)]
    assert sum(map(len, opened)) <= 1
