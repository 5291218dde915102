"""How far above the usual a brand goes now and then: the upper tail of a quantity, as far back as a month.

The quantity is the logarithm of a ratio. Its past values lie in a histogram that forgets by half in 30 days. Two of its
quantiles, the values exceeded in one of 20 steps and in one of 200, give the tail the form of an exponential, which
reaches where no value has been yet. A brand that is new starts with the tail of a usual one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

#: The width of a cell; the first also holds all below, the last all above.
_WIDTH = 0.15
_CELLS = 40
#: Shares of the steps that exceed the two quantiles.
_OFTEN, _SELDOM = 0.05, 0.005
_SPREAD = math.log(_OFTEN / _SELDOM)
#: The least scale: below it a quantity so regular would make a wave of its own rhythm.
_LEAST = 0.1
#: Steps of an hour, of 30 days, and by what the past counts for less each hour.
HOUR = 12
MONTH = 30 * 24 * HOUR
_FORGET = 0.5 ** (HOUR / MONTH)
#: What a usual brand's tail weighs at the start, in steps: a day and a half.
_PRIOR = 36 * HOUR


class Prior(NamedTuple):
    """The tail of a usual brand."""

    often: float
    """exceeded in one of 20 steps"""
    scale: float
    """by which it grows for each factor e of rarity"""


class Tail(msgspec.Struct, frozen=True, array_like=True):
    """The tail as it is known now."""

    cells: list[float]
    """steps by value, those long ago counting less"""
    often: float
    """the value exceeded in one of 20 steps"""
    scale: float
    """by which it grows for each factor e of rarity"""

    @classmethod
    def of(cls, prior: Prior) -> Tail:
        """Of a brand that is new."""
        above = [min(1.0, _OFTEN * math.exp((prior.often - i * _WIDTH) / prior.scale)) for i in range(_CELLS)]
        above[0] = 1.0
        shares = [here - beyond for here, beyond in zip(above, [*above[1:], 0.0], strict=True)]
        return cls([_PRIOR * share for share in shares], prior.often, prior.scale)

    def rank(self, value: float) -> float:
        """How rare a value is: 0 at the one exceeded in one of 20 steps, 1 more for each factor e of rarity."""
        return (value - self.often) / self.scale

    def value(self, rank: float) -> float:
        """The value of a rank."""
        return self.often + rank * self.scale

    def seen(self, value: float) -> Tail:
        """With one more step; its form is taken anew at `hourly`."""
        cells = self.cells.copy()
        cells[min(_CELLS - 1, max(0, int(value / _WIDTH)))] += 1.0
        return Tail(cells, self.often, self.scale)

    def hourly(self) -> Tail:
        """An hour later: the past counts for a little less, and the form follows what was seen."""
        cells = [cell * _FORGET for cell in self.cells]
        total = sum(cells)
        often = _quantile(cells, _OFTEN * total)
        return Tail(cells, often, max(_LEAST, (_quantile(cells, _SELDOM * total) - often) / _SPREAD))


def rank(share: float) -> float:
    """The rank of a value that is exceeded in this share of the steps."""
    return math.log(_OFTEN / share)


def significance(rank: float) -> float:
    """-log10 of the share of steps that exceed a value of this rank."""
    return (rank - math.log(_OFTEN)) / math.log(10)


def _quantile(cells: list[float], weight: float) -> float:
    """The value above which `weight` lies."""
    above = 0.0
    for i in range(_CELLS - 1, -1, -1):
        cell = cells[i]
        if above + cell >= weight:
            return _WIDTH * (i + 1 - (weight - above) / cell)
        above += cell
    return 0.0
