"""The burst detector over a series, bin by bin, as the role surge runs it: it sees nothing of what comes later."""

from __future__ import annotations

from typing import NamedTuple

from agents.policy.surge import Surge
from agents.surge.burst import Burst
from netcenter.backtest.series_files import CountSeries


class JudgedSeries(NamedTuple):
    """What was said of each bin."""

    series: CountSeries
    usual: list[float]
    """posts a bin: the usual level"""
    scores: list[float]
    """1 opens a burst"""
    bursts: list[tuple[int, int]]
    """indexes: the bin that opened each, and the first after it; the last may be open at the end"""

    @property
    def alerts(self) -> list[int]:
        """Indexes of the bins in which one is raised."""
        return [start for start, _ in self.bursts]


def judge(series: CountSeries, rule: Surge) -> JudgedSeries:
    """Every bin of the file is a step; one that is left out is not told from one that follows at once."""
    burst = Burst.new()
    usual, scores, bursts = [], [], []
    begun: int | None = None
    for i, value in enumerate(series.values):
        burst = burst.step(value, rule)
        usual.append(burst.level)
        scores.append(burst.score(rule))
        if burst.kind and begun is None:
            begun = i
        elif not burst.kind and begun is not None:
            bursts.append((begun, i))
            begun = None
    if begun is not None:
        bursts.append((begun, len(series.values)))
    return JudgedSeries(series, usual, scores, bursts)
