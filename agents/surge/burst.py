"""Burst: whether a series has many more posts than it usually has. Each bin of 5 minutes is one step.

Two quantities are watched: how far the level of the last three hours is above the usual level, and how far the last ten
minutes are above the two hours before. Each quantity is compared with its own past (agents/surge/tail.py), so the
series itself teaches which values are rare, whatever its size. While a burst is open, its bins do not change the usual
level. The tails learn from the first six hours of a burst.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from agents.policy.surge_policy import SurgePolicy
from agents.surge.tail import HOUR, MONTH, Prior, Tail, rank, significance

#: ms; one step.
BIN = 5 * 60_000
_MONTH = MONTH * BIN
#: The number of bins in the level of three hours, in the level before a jump, and in a jump.
SUSTAINED, BEFORE, JUMP = 36, 24, 2
#: The weights of a new bin in the level of three hours and in the level before a jump.
_SLOW, _OLD = 2 / (SUSTAINED + 1), 2 / (BEFORE + 1)
#: The number of last bins that are stored one by one: half an hour. They decide whether a burst is over.
LAST = 6
#: The usual level is an average over about ten days. From the ninth hour on a bin counts as at most six deviations
#: above it.
_LEVEL, _SETTLED, _STRAY = 10 * 24 * HOUR, 8 * HOUR, 6.0
#: The level is judged after a day of bins, a jump after an hour.
_DAY = 24 * HOUR
#: Posts that are added to numerator and denominator, so that a ratio of small numbers stays near 1.
_ADDED = 2.0
#: A jump has at least this many times the usual posts, so that the first posts after an outage are not a jump.
_RISES = 1.5
_DAILY = rank(1 / _DAY)
#: The expected posts of a window are at least this, because a ratio to a smaller number says nothing.
_LEAST = 0.5
#: The tails learn from the first bins of a burst, up to this number.
_TEACHES = 6 * HOUR
_USUAL_SUSTAINED, _USUAL_JUMP = Prior(0.65, 0.22), Prior(0.55, 0.3)

Kind = Literal["", "sustained", "jump"]


class Burst(msgspec.Struct, frozen=True, array_like=True):
    """The state of one series of posts."""

    age: int
    """Whole bins that were seen."""
    level: float
    """The usual number of posts in a bin."""
    slow: float
    """Average posts per bin over the last three hours."""
    before: float
    """Average posts per bin in the two hours before the last ten minutes."""
    last: list[float]
    """Posts in each of the last bins, oldest first."""
    sustained: Tail
    jump: Tail
    ranks: tuple[float, float]
    """How rare the last bin is in each tail (sustained, jump); 0 where too little is known."""
    kind: Kind = ""
    """The quantity that opened the burst; empty where none is open."""
    lasted: int = 0
    """Number of bins from the opening of the burst, or of the last burst, to its end or until now."""
    total: float = 0.0
    """Number of posts in the bins that `lasted` counts."""
    calm: int = 0
    """Bins since the series was last above its usual level."""
    strict: float = 0.0
    """By how many ranks a burst must be rarer than the policy says: 0 for a brand, more for its parts."""

    @classmethod
    def new(cls, strict: float = 0.0) -> Burst:
        """A series before its first bin."""
        tails = Tail.of(_USUAL_SUSTAINED), Tail.of(_USUAL_JUMP)
        return cls(0, 0.0, 0.0, 0.0, [], *tails, (0.0, 0.0), strict=strict)

    def step(self, count: float, rule: SurgePolicy, *, partial: bool = False, in_surge: bool = False) -> Burst:
        """The series after one more bin with `count` posts. 1. The levels are updated, and the bin's two quantities are
        ranked in their tails. 2. A burst opens by the ranks, or ends after a calm half hour. A partial bin may open a
        burst, but does not end one. 3. A whole bin changes the tails; and the usual level, unless a burst or the
        brand's surge is open.
        """
        level, before, slow = (self.level, self.before, self.slow) if self.last else (count, count, count)
        slow += _SLOW * (count - slow)
        if partial:
            slow = max(slow, self.slow)
        last = [*self.last, count][-LAST:]
        if len(last) > JUMP + 1:
            before += _OLD * (last[-JUMP - 2] - before)
        high = math.log((slow * SUSTAINED + _ADDED) / (level * SUSTAINED + _ADDED))
        steep = math.log((sum(last[-JUMP:]) + _ADDED) / (before * min(JUMP, len(last)) + _ADDED))
        ranks = self._ranks(high, steep, level, slow, last, rule)
        kind, lasted, total, calm = self.kind, self.lasted, self.total, self.calm
        if not kind:
            kind = self._opens(ranks, rule)
            if kind:
                lasted, total, calm = 0, count, 0
        elif not partial:
            lasted, total = lasted + 1, total + count
            above = math.log((sum(last) + _ADDED) / (level * len(last) + _ADDED)) >= self.sustained.often
            calm = 0 if above else calm + 1
            if calm * BIN >= rule.calm or lasted * BIN >= rule.new_normal:
                kind = ""
                # The posts of this burst must not open the next burst.
                slow = min(slow, sum(last) / len(last))
                if calm * BIN < rule.calm:
                    level = total / lasted
        age, sustained, jump = self.age, self.sustained, self.jump
        if not partial:
            age += 1
            if not kind and not in_surge:
                level += _taught(level, count, age)
            if not kind or lasted < _TEACHES:
                sustained, jump = sustained.seen(high), jump.seen(steep)
            if age % HOUR == 0:
                sustained, jump = sustained.hourly(), jump.hourly()
        return Burst(age, level, slow, before, last, sustained, jump, ranks, kind, lasted, total, calm, self.strict)

    def _ranks(
        self, high: float, steep: float, level: float, slow: float, last: list[float], rule: SurgePolicy
    ) -> tuple[float, float]:
        """The ranks of a bin's two quantities; 0 where too little is known, or too few posts came."""
        rises = sum(last[-JUMP:]) >= max(rule.minimum, _RISES * level * min(JUMP, len(last)))
        return (
            self.sustained.rank(high) if self.age >= _DAY and slow * SUSTAINED >= rule.minimum else 0.0,
            self.jump.rank(steep) if self.age >= HOUR and rises else 0.0,
        )

    def settled(self, rule: SurgePolicy) -> bool:
        """Whether the burst that ended with the last bin has become the usual level. Call it only after such an end."""
        return not self.kind and self.lasted * BIN >= rule.new_normal > self.calm * BIN

    def score(self, rule: SurgePolicy) -> float:
        """How near the last bin came to opening a burst; 1 opens it."""
        (high, steep), (highest, steepest) = self.ranks, self._bars(rule)
        return max(0.0, high / highest, steep / steepest)

    def _bars(self, rule: SurgePolicy) -> tuple[float, float]:
        """The ranks that open a burst: (sustained, jump)."""
        return rank(rule.sustained / _MONTH) + self.strict, rank(rule.jump / _MONTH) + self.strict

    def _opens(self, ranks: tuple[float, float], rule: SurgePolicy) -> Kind:
        highest, steepest = self._bars(rule)
        if ranks[0] >= highest:
            return "sustained"
        return "jump" if ranks[1] >= steepest else ""

    def far(self, posts: int, minutes: int) -> bool:
        """Whether this number of posts in the last minutes is so far above the usual level that this happens less than
        once a day.
        """
        expected = self.level * minutes * 60_000 / BIN
        beyond = math.log((posts + _ADDED) / (expected + _ADDED))
        return beyond >= max(self.sustained.value(_DAILY), self.jump.value(_DAILY))

    def judged(self, rule: SurgePolicy) -> JudgedWindow:
        """The window of the rarer of the two quantities, by which the last bin was judged."""
        (high, steep), (highest, steepest) = self.ranks, self._bars(rule)
        if steep / steepest > high / highest:
            bins = min(JUMP, len(self.last))
            expected, value = self.before * bins, self.jump.value(steepest)
            return _window("jump", bins, sum(self.last[-bins:]), expected, value, significance(steep))
        expected, value = self.level * SUSTAINED, self.sustained.value(highest)
        return _window("sustained", SUSTAINED, self.slow * SUSTAINED, expected, value, significance(high))


class JudgedWindow(NamedTuple):
    """The posts of a window, and the posts that were expected."""

    kind: Kind
    bins: int
    actual: float
    """Number of posts; in a sustained burst newer bins count more."""
    baseline: float
    """Expected posts."""
    threshold: float
    """The ratio that opens a burst."""
    significance: float
    """-log10 of the share of bins that are as rare."""


def _window(kind: Kind, bins: int, actual: float, expected: float, value: float, rarity: float) -> JudgedWindow:
    expected = max(expected, _LEAST)
    return JudgedWindow(
        kind, bins, actual, expected, (math.exp(value) * (expected + _ADDED) - _ADDED) / expected, rarity
    )


def _taught(level: float, count: float, age: int) -> float:
    """The amount by which a bin changes the usual level."""
    stray = count - level
    if age > _SETTLED:
        floor = max(level, 0.05)
        stray = min(stray, _STRAY * math.sqrt(floor + floor * floor))
    return stray * max(1 / _LEVEL, 1 / age)
