"""Burst: how seldom a series has so many posts. Each bin of 5 minutes is one step.

1. Usual. The level is the usual number of posts in a bin, an average over days in which no bin counts in full that is far
   above it. Each hour of the day has a factor beside the level, learnt over two weeks.
2. Now. Two windows: the posts of the last quarter of an hour and of the last three hours.
3. Beside. Each window beside the level, and beside the level at these hours of the day: four ratios, as logarithms.
4. Seldom. Of each ratio two values are tracked: those that one bin in 20 and one in 200 exceed. An exponential through them
   says how seldom a ratio is, however high it is, as a return period: once in so many days. What the series reaches on most
   days is not rare, whatever the exponential says, so a daily peak teaches itself within days.

The rarest ratio is the score of the bin. It means the same in every series, so one setting is enough for all: `rarity` of
the policy opens a burst.
"""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Annotated, NamedTuple

import msgspec
from msgspec.structs import replace

from agents.policy.parts import UNITS
from agents.policy.surge_policy import SurgePolicy

#: ms; one step.
BIN = 5 * 60_000
HOUR, DAY = UNITS["h"] // BIN, UNITS["d"] // BIN
#: Bins of the two windows.
SHORT, LONG = 3, 36
#: Hours of the day that the long window goes through, besides the one in which it begins.
_HOURS = max(1, LONG // HOUR)
#: Bins of the stretch that says whether a burst goes on: half an hour.
_NOW = 6
#: Bins after which the level has half forgotten.
_HALVED = 3.5 * DAY
#: The level's share of a new bin.
_HALF: float = 1 - 0.5 ** (1 / _HALVED)
#: Once so many bins were seen, a bin counts as at most _STRAY deviations above the level, so a flood hardly teaches it.
_SETTLED = HOUR
_STRAY = 2.0
#: Posts that are added to both sides of a ratio, so that a ratio of small numbers stays near 1.
_ADDED = 2.0
#: The shares of bins that exceed the two tracked values.
_OFTEN = 0.05
_SELDOM = 0.005
_SPREAD = math.log(_OFTEN / _SELDOM)
#: How far a tracked value moves upwards where a bin exceeds it; else it moves down by 1.
_ABOVE_OFTEN, _ABOVE_SELDOM = 1 / _OFTEN - 1, 1 / _SELDOM - 1
#: Bins over which the tracked values are learnt; and the weight of those that a new series starts with, in bins.
_MEMORY = 15 * DAY
_START = 1.5 * DAY
#: The tail of a usual brand: the value that is exceeded in one of 20 bins, and the scale. A value that is higher by the scale
#: is exceeded e times less often.
_USUAL_OFTEN = 0.7
_USUAL_SCALE = 0.23
#: The least scale, because small changes of an even series are not news.
_LEAST = 0.1
#: Days over which an hour of the day is averaged, and how many times the level it may be, or the level it.
_HOUR_DAYS = 14
_HOUR_TIMES = 3.0
_HOUR_FACTOR = math.log(_HOUR_TIMES)
#: A ratio is not rare that was as high, give or take the margin, on _OF_DAYS of the last _DAYS.
_DAYS = 7
_OF_DAYS = 3
_MARGIN = 0.1
#: The bins of one window move together, so a window of k bins gives DAY / k independent looks a day. The four ratios move
#: together too, and count as three. This is the rank at which each ratio comes once a day.
_INDEPENDENT = 3.0
_LOOKS = tuple(math.log(_OFTEN * _INDEPENDENT * DAY / bins) for bins in (SHORT, SHORT, LONG, LONG))
#: The usual posts of a window are at least this, because a ratio to a smaller number says nothing.
_LEAST_USUAL = 0.5
#: The score of a bin of which nothing can be said; no ratio is as low.
_NONE = -9.0


_Ratios = Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]
"""A value for each ratio: the short window beside the level, beside these hours; then the long window."""
_Past = tuple[list[float], list[float], list[list[int]], list[float], list[float]]
"""(often, seldom, days, highest, bars), see the fields of `Burst`."""


class Burst(msgspec.Struct, frozen=True, array_like=True):
    """The state of one series of posts."""

    strict: float
    """By how much the logarithm of the return period must be longer than the policy's: 0 for a brand, more for its parts."""
    age: int
    """Whole bins that were seen."""
    level: float
    """The usual number of posts in a bin."""
    hours: Annotated[list[int], msgspec.Meta(min_length=24, max_length=24)]
    """By hour of the day: the factor beside the level, in thousandths."""
    hour: tuple[int, float]
    """(bins that are known, posts in them) of the hour that is not over yet."""
    last: list[float]
    """Posts in each of the last bins, oldest first."""
    often: _Ratios
    """For each ratio the value that one bin in 20 exceeds."""
    seldom: _Ratios
    """For each ratio the value that one bin in 200 exceeds."""
    days: list[list[int]]
    """The highest values of each ratio on the last days, oldest first, in thousandths."""
    highest: _Ratios
    """The highest values of today, of those that one bin in 20 exceeds."""
    bars: _Ratios
    """For each ratio the value up to which it is not rare, because several of the last days reached it."""
    score: float
    """The logarithm of the return period of the last bin, in days."""
    rarest: int
    """Which ratio is the rarest in the last bin."""
    usual: float
    """The posts that were usual in its window."""
    open: bool
    lasted: int
    """Bins since the burst opened, or since the last one did."""
    total: float
    """Posts since the burst opened."""
    calm: int
    """Bins since the last half hour was above the usual."""
    ended: int = LONG
    """Bins since the last burst ended, as far as they lie in the long window, which is still high from it."""

    @classmethod
    def new(cls, strict: float = 0.0) -> Burst:
        """A series before its first bin."""
        often, seldom = [_USUAL_OFTEN] * 4, [_USUAL_OFTEN + _USUAL_SCALE * _SPREAD] * 4
        none = [_NONE] * 4
        return cls(
            strict, 0, 0.0, [1000] * 24, (0, 0.0), [], often, seldom, [], none, none, _NONE, 0, 0.0, False, 0, 0.0, 0
        )  # fmt: skip

    def late(self, posts: dict[int, float], local: int, *, teaches: Container[int] = ()) -> Burst:
        """The series where posts of earlier bins came late, by how many bins ago (1: the last one); the next bin begins at
        `local` (ms; local time of the brand). What is judged is not judged again. Those of the bins in `teaches` teach what
        they would have taught in time.
        """
        last, level, (bins, known) = self.last.copy(), self.level, self.hour
        for ago, more in posts.items():
            if ago > len(last):
                continue
            before = last[-ago]
            last[-ago] = before + more
            if ago in teaches:
                times = 1000 / self.hours[(local - ago * BIN) // UNITS["h"] % 24]
                level += (
                    self._stray((before + more) * times, level) - self._stray(before * times, level)
                ) * self._share()
                known += more if ago <= bins else 0.0
        return replace(self, last=last, level=level, hour=(bins, known))

    def step(self, count: float, local: int, rule: SurgePolicy, *, partial: bool = False) -> Burst:
        """The series after one more bin with `count` posts, which began at `local` (ms; local time of the brand).

        A burst opens when the score reaches the policy's rarity, and ends after a calm time. A partial bin may open a burst;
        it ends none and teaches nothing.
        """
        level = self.level if self.age else count
        last = [*self.last, count][-LONG:]
        usual, posts = self._usual(level, local), self._posts(last, level, local)
        short, long = math.log(posts[0] + _ADDED), math.log(posts[1] + _ADDED)
        a, b, c, d = [math.log(expected + _ADDED) for expected in usual]
        ratios = [short - a, short - b, long - c, long - d]
        score, rarest = self._rarest(ratios, posts, rule.minimum)
        opened, lasted, total, calm = self.open, self.lasted + 1, self.total + count, self.calm
        if opened and not partial:
            calm = 0 if self._goes_on(last, level) else calm + 1
            opened = calm * BIN < rule.calm and lasted * BIN < rule.new_normal
            if not opened and calm * BIN < rule.calm:
                level = total / (lasted + 1)
        elif not opened and score > _NONE and self._opens(score, last, level, rule):
            opened, lasted, total, calm = True, 0, count, 0
        past: _Past = (self.often, self.seldom, self.days, self.highest, self.bars)
        age, hours, hour = self.age, self.hours, self.hour
        if not partial:
            past = self._tails(ratios, ends_day=local // BIN % DAY == DAY - 1)
            age, level, hours, hour = self._taught(count, level, local)
        ended = 0 if self.open and not opened else min(LONG, self.ended + 1)
        now = (score, rarest, usual[rarest], opened, lasted, total, calm, ended)
        return Burst(self.strict, age, level, hours, hour, last, *past, *now)  # type: ignore[arg-type]

    def _usual(self, level: float, local: int) -> tuple[float, float, float, float]:
        """For each ratio the usual posts of its window, which ends with the bin that began at `local` (ms)."""
        hours, hour, bins = self.hours, local // UNITS["h"] % 24, local // BIN % HOUR + 1
        here, before = hours[hour], hours[hour - 1]
        beside = here if bins >= SHORT else (here * bins + before * (SHORT - bins)) / SHORT
        between = sum([hours[hour - n] for n in range(1, _HOURS)])
        through = (here * bins + between * HOUR + hours[hour - _HOURS] * (HOUR - bins)) / (_HOURS * HOUR)
        short, long = level * SHORT, level * LONG
        return short, short * beside / 1000, long, long * through / 1000

    def _posts(self, last: list[float], level: float, local: int) -> tuple[float, float]:
        """The posts in the short and in the long window; bins before the first one count as usual."""
        short, long = sum(last[-SHORT:]), sum(last)
        missing = LONG - len(last)
        if missing:
            here = level * self.hours[local // UNITS["h"] % 24] / 1000
            short, long = short + here * max(0, SHORT - len(last)), long + here * missing
        return short, long

    def _rarest(self, ratios: list[float], posts: tuple[float, float], minimum: int) -> tuple[float, int]:
        """(score, ratio) of the rarest ratio whose window has the policy's least number of posts. Nothing is judged in a series'
        first hour, and no long window on its first day, because its level is that of a night until then, nor one with a burst that
        is over.
        """
        best, rarest = _NONE, 0
        short = self.age < DAY or (not self.open and self.ended < LONG)
        judged = 0 if self.age < HOUR else 2 if short else 4
        for i, ratio in enumerate(ratios[:judged]):
            if ratio > self.often[i] and ratio > self.bars[i] and posts[i // 2] >= minimum:
                score = (ratio - self.often[i]) / self._scale(i) - _LOOKS[i]
                if score > best:
                    best, rarest = score, i
        return best, rarest

    def _opens(self, score: float, last: list[float], level: float, rule: SurgePolicy) -> bool:
        return score >= self.opens_at(rule) and self._goes_on(last, level)

    def _goes_on(self, last: list[float], level: float) -> bool:
        """Whether the last half hour is above the usual, so that the long window is not high from what is over."""
        now = last[-_NOW:]
        return math.log((sum(now) + _ADDED) / (level * len(now) + _ADDED)) >= self.often[2]

    def _scale(self, ratio: int) -> float:
        return max(_LEAST, (self.seldom[ratio] - self.often[ratio]) / _SPREAD)

    def _tails(self, ratios: list[float], *, ends_day: bool) -> _Past:
        """What the ratios teach after a whole bin."""
        step = 1 / min(_MEMORY, _START + self.age)
        often, seldom, highest = self.often.copy(), self.seldom.copy(), self.highest
        for i, ratio in enumerate(ratios):
            low, high = often[i], seldom[i]
            by = (high - low) / _SPREAD
            by = step * (by if by > _LEAST else _LEAST)
            if ratio > low:
                often[i] = low + by * _ABOVE_OFTEN
                seldom[i] = high + by * _ABOVE_SELDOM if ratio > high else high - by
                if ratio > highest[i]:
                    highest = [*highest[:i], ratio, *highest[i + 1 :]]
            else:
                often[i], seldom[i] = low - by, high - by
        if not ends_day:
            return often, seldom, self.days, highest, self.bars
        days = [*self.days, [round(1000 * ratio) for ratio in highest]][-_DAYS:]
        nth = -(-len(days) * _OF_DAYS // _DAYS)
        bars = [sorted(values)[-nth] / 1000 + _MARGIN for values in zip(*days, strict=True)]
        return often, seldom, days, [_NONE] * 4, bars

    def _taught(self, count: float, level: float, local: int) -> tuple[int, float, list[int], tuple[int, float]]:
        """(age, level, hours, hour) after a whole bin."""
        hour, hours = local // UNITS["h"] % 24, self.hours
        level += self._stray(count * 1000 / hours[hour], level) * self._share()
        bins, posts = self.hour[0] + 1, self.hour[1] + count
        if local // BIN % HOUR == HOUR - 1:
            beside = max(-_HOUR_FACTOR, min(_HOUR_FACTOR, math.log((posts + 1) / (level * bins + 1))))
            known = math.log(hours[hour] / 1000)
            known += (beside - known) / min(_HOUR_DAYS, self.age / DAY + 2)
            hours = [*hours[:hour], round(1000 * math.exp(known)), *hours[hour + 1 :]]
            bins, posts = 0, 0.0
        return self.age + 1, level, hours, (bins, posts)

    def _stray(self, count: float, level: float) -> float:
        """How far a bin is from the level; a settled series counts no bin in full that is far above it."""
        if self.age <= _SETTLED:
            return count - level
        floor = max(level, 0.05)
        stray, most = count - level, _STRAY * math.sqrt(floor + floor * floor)
        return stray if stray < most else most

    def _share(self) -> float:
        """The level's share of a new bin."""
        return max(_HALF, 1 / (self.age + 1))

    def lively(self, local: int) -> float:
        """How many times the usual posts of the day there are at an hour of the day; local: ms, local time of the brand."""
        return self.hours[local // UNITS["h"] % 24] / 1000

    def settled(self, rule: SurgePolicy) -> bool:
        """Whether the burst that ended with the last bin has become the usual level. Call it only after such an end."""
        return not self.open and self.lasted * BIN >= rule.new_normal > self.calm * BIN

    def return_period(self) -> float:
        """Days: so many posts as in the last bin's rarest window come once in this time."""
        return math.exp(self.score)

    def opens_at(self, rule: SurgePolicy) -> float:
        """The logarithm of the return period (days) that opens a burst."""
        return math.log(rule.rarity / UNITS["d"]) + self.strict

    def far(self, posts: int, minutes: int) -> bool:
        """Whether this number of posts in the last minutes is so far above the usual level that this happens less than
        once a day.
        """
        usual = self.level * minutes * 60_000 / BIN
        ratio = math.log((posts + _ADDED) / (usual + _ADDED))
        return ratio >= max(self.bars[0], self.often[0] + self._scale(0) * _LOOKS[0])

    def judged(self, rule: SurgePolicy) -> JudgedWindow:
        """The window by which the last bin was judged."""
        bins = min(SHORT if self.rarest < 2 else LONG, len(self.last))
        usual = max(self.usual, _LEAST_USUAL)
        bar = max(
            self.bars[self.rarest],
            self.often[self.rarest] + self._scale(self.rarest) * (self.opens_at(rule) + _LOOKS[self.rarest]),
        )
        needed = max(float(rule.minimum), math.exp(bar) * (usual + _ADDED) - _ADDED)
        rank = self.score + _LOOKS[self.rarest]
        return JudgedWindow(
            bins,
            sum(self.last[-bins:]),
            usual,
            needed / usual,
            (rank - math.log(_OFTEN)) / math.log(10),
            self.return_period(),
        )


class JudgedWindow(NamedTuple):
    """The posts of a window, and the posts that are usual."""

    bins: int
    actual: float
    """Number of posts."""
    baseline: float
    """Usual posts."""
    threshold: float
    """The ratio of actual to baseline that opens a burst."""
    significance: float
    """-log10 of the share of bins that are as rare."""
    return_period: float
    """Days: so many come once in this time."""
