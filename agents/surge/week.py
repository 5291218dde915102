"""What is usual at each hour of the week: thousandths of a count per step, -1 where an hour was never seen.

1970-01-01 was a Thursday: hours are counted from it, and which of them a week begins with is all the same.
"""

from __future__ import annotations

HOUR = 3_600_000
SLOTS = 7 * 24
#: Weeks that an hour's usual follows, and how many times it an hour may teach at most.
_WEEKS, _TEACHES = 4, 2.0


def empty() -> list[int]:
    """No hour was seen."""
    return [-1] * SLOTS


def own(usual: list[int], at: int) -> float:
    """Usual in the hour at `at` (ms); -1: never seen."""
    cell = usual[_slot(at)]
    return cell / 1000 if cell >= 0 else -1


def around(usual: list[int], at: int) -> float:
    """Usual at `at` (ms), between the middles of two hours; an hour that was never seen is that of the busiest day."""
    middle = (at % HOUR) / HOUR - 0.5
    here, beside = _any_day(usual, at), _any_day(usual, at + (HOUR if middle >= 0 else -HOUR))
    if here < 0 or beside < 0:
        return here
    return here + (beside - here) * abs(middle)


def taught(usual: list[int], at: int, rate: float, weeks: int) -> list[int]:
    """With one more hour, that at `at` (ms), and what a step brought in it; `weeks` were seen before."""
    slot, cell = _slot(at), round(1000 * rate)
    known = usual[slot]
    if known >= 0:
        cell = known + round((min(cell, _TEACHES * known + 1000) - known) / min(_WEEKS, 1 + weeks))
    return [*usual[:slot], cell, *usual[slot + 1 :]]


def times(usual: list[int], factor: float) -> list[int]:
    """All of it grown by a factor."""
    return [cell if cell < 0 else round(factor * cell) for cell in usual]


def _any_day(usual: list[int], at: int) -> float:
    slot = _slot(at)
    cell = usual[slot]
    return (cell if cell >= 0 else max(usual[slot % 24 :: 24])) / 1000


def _slot(at: int) -> int:
    return at // HOUR % SLOTS
