"""Runs the burst detector over a series, bin by bin as the surge role does, without looking at later bins.

The detector counts by five minutes. The posts of a longer bin are spread evenly over its five minutes, because nothing says
when in it they came; a burst that opens in a bin is known when the bin is over.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from agents.policy.surge_policy import SurgePolicy
from agents.surge.burst import BIN, Burst
from netcenter.backtest.series_files import CountSeries


class JudgedSeries(NamedTuple):
    """A series with the detector's result for each bin."""

    series: CountSeries
    usual: list[float]
    """posts a bin: the usual level"""
    scores: list[float]
    """the return period of each bin, as a multiple of the policy's rarity, at its highest; 1 opens a burst"""
    bursts: list[tuple[int, int]]
    """for each burst the index of the bin that opened it and of the first bin after it; the last may be open at the end"""

    @property
    def alerts(self) -> list[int]:
        """Indexes of the bins in which a burst opens and so an alert is raised."""
        return [start for start, _ in self.bursts]


def judge(series: CountSeries, rule: SurgePolicy, detector: type[Burst] = Burst) -> JudgedSeries:
    """Return the detector's results. Each row of the file is one step: the function does not notice a bin that is
    missing in the file. detector: `Burst`, or a variant of it that is measured.
    """
    burst = detector.new()
    usual, scores, bursts = [], [], []
    begun: int | None = None
    steps = series.bin // BIN
    for i, value in enumerate(series.values):
        score, opened, level = -math.inf, False, 0.0
        for n in range(steps):
            burst = burst.step(value / steps, series.times[i] + n * BIN, rule)
            score, level = max(score, burst.score - burst.opens_at(rule)), level + burst.level
            opened = opened or burst.open
        usual.append(level)
        scores.append(math.exp(score))
        if opened and begun is None:
            begun = i
        if not burst.open and begun is not None and begun < i:
            bursts.append((begun, i))
            begun = None
    if begun is not None:
        bursts.append((begun, len(series.values)))
    return JudgedSeries(series, usual, scores, bursts)
