"""How many posts are usual at this hour, and how improbable it is that there are so many more."""

from __future__ import annotations

import math
import statistics

import msgspec

from agents.surge.series import DAY

#: Posts added to both sides of a comparison of two stretches, so that a quiet night proves little.
_PRIOR = 5
#: Bins of an hour.
_HOUR = 12
#: A brand seen for less than a day may grow by this much an hour without being a flood.
_MORNING = 2.0


class Usual(msgspec.Struct, frozen=True):
    """An estimate."""

    posts: float
    """usual in a window; at least 1"""
    support: int
    """posts that were counted to know it"""

    def significance(self, actual: int, part: float = 1.0) -> float:
        """-log10 of a bound on the chance of so many independent posts in a `part` of the window.

        Chernoff's bound on the share of the posts counted in both stretches that falls into the window: so an
        estimate that rests on few posts proves less.
        """
        expected = self.posts * part
        if actual <= expected:
            return 0.0
        support = max(1, self.support)
        share, fair = actual / (actual + support), expected / (expected + support)
        rest = math.log((1 - share) / (1 - fair))
        return (actual * math.log(share / fair) + support * rest) / math.log(10)


def usual(posts: list[int], surging: list[bool], start: int, width: int, baseline: int) -> Usual:
    """Posts usual in a window of bins [start, start + width), by the bins before; lists by bin, oldest first.

    The baseline is the last `baseline` bins before the window that belong to no surge. Once yesterday is
    known, the answer is the middle of three guesses: the baseline's level; yesterday's level at the
    window's hour, half a window more on either side; the latter scaled by how today has been to
    yesterday so far. So any one of them may be spoiled by an outage or a flood. Before, it is the higher
    of the baseline's level and the last hour's carried on at the pace at which that hour grew, so that a
    morning is no flood.
    """
    before: list[int] = []
    i = start - 1
    while i >= 0 and len(before) < baseline:
        if not surging[i]:
            before.append(i)
        i -= 1
    if not before:
        return Usual(1.0, 0)
    level = sum(posts[i] for i in before) / len(before)
    then = range(max(0, start - DAY - width // 2), max(0, start - DAY + width + width // 2))
    around = [posts[i] for i in then if not surging[i]]
    twins = [i for i in before if i >= DAY and not surging[i - DAY]]
    if 2 * len(around) < width or 2 * len(twins) < len(before):
        hour, earlier = (sum(posts[i] for i in part) for part in (before[:_HOUR], before[_HOUR : 2 * _HOUR]))
        pace = min(_MORNING, max(1.0, (hour + _PRIOR) / (earlier + _PRIOR)))
        return Usual(max(1.0, width * max(level, pace * hour / min(_HOUR, len(before)))), hour)
    today = (sum(posts[i] for i in twins) + _PRIOR) / (sum(posts[i - DAY] for i in twins) + _PRIOR)
    yesterday = sum(around) / len(around)
    return Usual(max(1.0, width * statistics.median((level, yesterday, yesterday * today))), sum(around))
