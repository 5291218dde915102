"""The usual counts at each hour of the week: a list of counts per step in thousandths, -1 for an hour without data.

Hours are counted from 1970-01-01, which was a Thursday. Which hour of the week is first in the list makes no
difference.
"""

from __future__ import annotations

HOUR = 3_600_000
SLOTS = 7 * 24
#: The weeks over which an hour is averaged; and the multiple of the usual count above which an hour has no more effect.
_WEEKS, _TEACHES = 4, 2.0


def empty() -> list[int]:
    """The list without any data."""
    return [-1] * SLOTS


def own(usual: list[int], at: int) -> float:
    """The usual count per step in the hour of `at` (ms); -1 where this hour has no data."""
    cell = usual[_slot(at)]
    return cell / 1000 if cell >= 0 else -1


def around(usual: list[int], at: int) -> float:
    """The usual count per step at `at` (ms), interpolated between the middles of two hours; negative where too little
    is known. An hour without data has the usual count of the same hour on the busiest day.
    """
    middle = (at % HOUR) / HOUR - 0.5
    here, beside = _any_day(usual, at), _any_day(usual, at + (HOUR if middle >= 0 else -HOUR))
    if here < 0 or beside < 0:
        return here
    return here + (beside - here) * abs(middle)


def taught(usual: list[int], at: int, rate: float, weeks: int) -> list[int]:
    """The list after the hour of `at` (ms) had `rate` counts per step. `weeks`: how many weeks were seen before."""
    slot, cell = _slot(at), round(1000 * rate)
    known = usual[slot]
    if known >= 0:
        cell = known + round((min(cell, _TEACHES * known + 1000) - known) / min(_WEEKS, 1 + weeks))
    return [*usual[:slot], cell, *usual[slot + 1 :]]


def times(usual: list[int], factor: float) -> list[int]:
    """The list with every usual count multiplied."""
    return [cell if cell < 0 else round(factor * cell) for cell in usual]


def _any_day(usual: list[int], at: int) -> float:
    slot = _slot(at)
    cell = usual[slot]
    return (cell if cell >= 0 else max(usual[slot % 24 :: 24])) / 1000


def _slot(at: int) -> int:
    return at // HOUR % SLOTS
