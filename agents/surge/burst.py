"""Burst: are there many more posts than this series usually brings? One step for each closed bin of 5 minutes.

Two quantities are watched, each against its own tail: how far the level of the last three hours stands above the usual
level, and how far ten minutes stand above the two hours before them. So what counts as rare is learnt from each series,
whatever its size and temper; nothing is set for one. While a burst is open its bins do not teach the usual level; the
tails learn from its first six hours that such things happen.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from agents.policy.surge import Surge
from agents.surge.tail import HOUR, MONTH, Prior, Tail, rank, significance

#: ms; the step.
BIN = 5 * 60_000
_MONTH = MONTH * BIN
#: Steps that the two levels look back over, each newer one counting more, and those of a jump.
SUSTAINED, BEFORE, JUMP = 36, 24, 2
_SLOW, _OLD = 2 / (SUSTAINED + 1), 2 / (BEFORE + 1)
#: Steps remembered one by one: half an hour, by which it is told that a burst is over.
LAST = 6
#: The usual level follows the last ten days; once it has settled, no bin counts in it for more than so many deviations.
_LEVEL, _SETTLED, _STRAY = 10 * 24 * HOUR, 8 * HOUR, 6.0
#: A level says something once it has seen a day, a jump once it has seen an hour.
_DAY = 24 * HOUR
#: Posts added to both sides of a ratio, so that a quiet night proves little.
_ADDED = 2.0
#: Times the usual level that a jump reaches at least, so that the first posts after an outage are none.
_RISES = 1.5
_DAILY = rank(1 / _DAY)
#: Posts that are expected of a window at least, for a ratio to say something.
_LEAST = 0.5
#: Steps of a burst from which the tails learn.
_TEACHES = 6 * HOUR
_USUAL_SUSTAINED, _USUAL_JUMP = Prior(0.65, 0.22), Prior(0.55, 0.3)

Kind = Literal["", "sustained", "jump"]


class Burst(msgspec.Struct, frozen=True, array_like=True):
    """A series."""

    age: int
    """bins seen whole"""
    level: float
    """posts a bin: the usual"""
    slow: float
    """posts a bin, over the last three hours"""
    before: float
    """posts a bin, in the two hours before the last ten minutes"""
    last: list[float]
    """posts in each of the last bins, oldest first"""
    sustained: Tail
    jump: Tail
    ranks: tuple[float, float]
    """of the last bin, in each tail; 0 where too little is known"""
    kind: Kind = ""
    """what has opened the burst; empty: none is open"""
    lasted: int = 0
    """bins since it opened; once it is over, how many they were"""
    total: float = 0.0
    """posts in them"""
    calm: int = 0
    """bins since something was above the usual"""
    strict: float = 0.0
    """by how much more rare a burst must be than the policy says, in ranks: for the parts of a brand"""

    @classmethod
    def new(cls, strict: float = 0.0) -> Burst:
        """A series of which nothing was seen."""
        tails = Tail.of(_USUAL_SUSTAINED), Tail.of(_USUAL_JUMP)
        return cls(0, 0.0, 0.0, 0.0, [], *tails, (0.0, 0.0), strict=strict)

    def step(self, count: float, rule: Surge, *, partial: bool = False, incident: bool = False) -> Burst:
        """With one more bin. One that is partial may open a burst, but teaches nothing and ends none.

        While the brand has an incident of whatever series, no bin teaches the usual level.
        """
        level, before, slow = (self.level, self.before, self.slow) if self.last else (count, count, count)
        slow += _SLOW * (count - slow)
        if partial:
            slow = max(slow, self.slow)
        last = [*self.last, count][-LAST:]
        if len(last) > JUMP + 1:
            before += _OLD * (last[-JUMP - 2] - before)
        recent = sum(last[-JUMP:])
        high = math.log((slow * SUSTAINED + _ADDED) / (level * SUSTAINED + _ADDED))
        steep = math.log((recent + _ADDED) / (before * min(JUMP, len(last)) + _ADDED))
        rises = recent >= max(rule.minimum, _RISES * level * min(JUMP, len(last)))
        ranks = (
            self.sustained.rank(high) if self.age >= _DAY and slow * SUSTAINED >= rule.minimum else 0.0,
            self.jump.rank(steep) if self.age >= HOUR and rises else 0.0,
        )
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
                # What it was about must not open the next one by its memory alone.
                slow = min(slow, sum(last) / len(last))
                if calm * BIN < rule.calm:
                    level = total / lasted
        age, sustained, jump = self.age, self.sustained, self.jump
        if not partial:
            age += 1
            if not kind and not incident:
                level += _taught(level, count, age)
            if not kind or lasted < _TEACHES:
                sustained, jump = sustained.seen(high), jump.seen(steep)
            if age % HOUR == 0:
                sustained, jump = sustained.hourly(), jump.hourly()
        return Burst(age, level, slow, before, last, sustained, jump, ranks, kind, lasted, total, calm, self.strict)

    def settled(self, rule: Surge) -> bool:
        """Of a burst that has ended with the last bin: it has become the usual."""
        return not self.kind and self.lasted * BIN >= rule.new_normal > self.calm * BIN

    def score(self, rule: Surge) -> float:
        """How near the last bin came to opening a burst; 1 opens it."""
        (high, steep), (highest, steepest) = self.ranks, self._bars(rule)
        return max(0.0, high / highest, steep / steepest)

    def _bars(self, rule: Surge) -> tuple[float, float]:
        """The ranks that open a burst."""
        return rank(rule.sustained / _MONTH) + self.strict, rank(rule.jump / _MONTH) + self.strict

    def _opens(self, ranks: tuple[float, float], rule: Surge) -> Kind:
        highest, steepest = self._bars(rule)
        if ranks[0] >= highest:
            return "sustained"
        return "jump" if ranks[1] >= steepest else ""

    def far(self, posts: int, minutes: int) -> bool:
        """Whether so many in the last minutes are above the usual level as is hardly seen once a day."""
        expected = self.level * minutes * 60_000 / BIN
        beyond = math.log((posts + _ADDED) / (expected + _ADDED))
        return beyond >= max(self.sustained.value(_DAILY), self.jump.value(_DAILY))

    def judged(self, rule: Surge) -> Judged:
        """What the last bin was judged by: of the two quantities the rarer one."""
        (high, steep), (highest, steepest) = self.ranks, self._bars(rule)
        if steep / steepest > high / highest:
            bins = min(JUMP, len(self.last))
            expected, value = self.before * bins, self.jump.value(steepest)
            return _judged("jump", bins, sum(self.last[-bins:]), expected, value, significance(steep))
        expected, value = self.level * SUSTAINED, self.sustained.value(highest)
        return _judged("sustained", SUSTAINED, self.slow * SUSTAINED, expected, value, significance(high))


class Judged(NamedTuple):
    """A window beside what was to be expected of it."""

    kind: Kind
    bins: int
    actual: float
    """posts; of a sustained burst the newer ones count more"""
    baseline: float
    """posts"""
    threshold: float
    """the ratio that opens a burst"""
    significance: float
    """-log10 of the share of bins that are as rare"""


def _judged(kind: Kind, bins: int, actual: float, expected: float, value: float, rarity: float) -> Judged:
    expected = max(expected, _LEAST)
    return Judged(kind, bins, actual, expected, (math.exp(value) * (expected + _ADDED) - _ADDED) / expected, rarity)


def _taught(level: float, count: float, age: int) -> float:
    """By how much a bin changes the usual level."""
    stray = count - level
    if age > _SETTLED:
        floor = max(level, 0.05)
        stray = min(stray, _STRAY * math.sqrt(floor + floor * floor))
    return stray * max(1 / _LEVEL, 1 / age)
