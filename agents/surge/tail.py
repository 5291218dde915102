"""The upper tail of a quantity's distribution: how often it has high values, learnt from about a month of its own
values. The quantity is the logarithm of a ratio. Its past values are in a histogram whose weights halve in 30 days. An
exponential curve through two values, exceeded in one of 20 steps and in one of 200 steps, also covers values that have
not occurred yet. A new series starts with a typical tail.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

#: The width of a cell of the histogram. The first cell also holds all lower values, the last all higher ones.
_WIDTH = 0.15
_CELLS = 40
#: The exponential curve goes through two values: these are the shares of steps that exceed them.
_OFTEN, _SELDOM = 0.05, 0.005
_SPREAD = math.log(_OFTEN / _SELDOM)
#: The smallest scale. With a smaller scale, small changes of a very regular series would count as rare.
_LEAST = 0.1
#: Steps in an hour and in 30 days, and the factor by which the past loses weight each hour.
HOUR = 12
MONTH = 30 * 24 * HOUR
_FORGET = 0.5 ** (HOUR / MONTH)
#: The weight of the tail that a new series starts with, in steps: a day and a half.
_PRIOR = 36 * HOUR


class Prior(NamedTuple):
    """The tail that a new series starts with."""

    often: float
    """The value that is exceeded in one of 20 steps."""
    scale: float
    """A value that is higher by this much is exceeded e times less often."""


class Tail(msgspec.Struct, frozen=True, array_like=True):
    """The learnt tail."""

    cells: list[float]
    """The histogram: steps by value; old steps count less."""
    often: float
    """The value that is exceeded in one of 20 steps."""
    scale: float
    """A value that is higher by this much is exceeded e times less often."""

    @classmethod
    def of(cls, prior: Prior) -> Tail:
        """The tail of a new series."""
        above = [min(1.0, _OFTEN * math.exp((prior.often - i * _WIDTH) / prior.scale)) for i in range(_CELLS)]
        above[0] = 1.0
        shares = [here - beyond for here, beyond in zip(above, [*above[1:], 0.0], strict=True)]
        return cls([_PRIOR * share for share in shares], prior.often, prior.scale)

    def rank(self, value: float) -> float:
        """How rare a value is: 0 where it is exceeded in one of 20 steps, 1 where it is exceeded e times less often,
        and so on.
        """
        return (value - self.often) / self.scale

    def value(self, rank: float) -> float:
        """The value that has this rank."""
        return self.often + rank * self.scale

    def seen(self, value: float) -> Tail:
        """The tail after one more step. The step changes the tail's curve at the next call of `hourly`."""
        cells = self.cells.copy()
        cells[min(_CELLS - 1, max(0, int(value / _WIDTH)))] += 1.0
        return Tail(cells, self.often, self.scale)

    def hourly(self) -> Tail:
        """The tail an hour later: the past loses some weight, and the curve is fitted to the histogram again."""
        cells = [cell * _FORGET for cell in self.cells]
        total = sum(cells)
        often = _quantile(cells, _OFTEN * total)
        return Tail(cells, often, max(_LEAST, (_quantile(cells, _SELDOM * total) - often) / _SPREAD))


def rank(share: float) -> float:
    """The rank of a value that is exceeded in this share of the steps (0 to 1)."""
    return math.log(_OFTEN / share)


def significance(rank: float) -> float:
    """-log10 of the share of steps that exceed a value of this rank."""
    return (rank - math.log(_OFTEN)) / math.log(10)


def _quantile(cells: list[float], weight: float) -> float:
    """The value above which the cells of the histogram hold this weight."""
    above = 0.0
    for i in range(_CELLS - 1, -1, -1):
        cell = cells[i]
        if above + cell >= weight:
            return _WIDTH * (i + 1 - (weight - above) / cell)
        above += cell
    return 0.0
