"""Load: do many more people than usual want something? By the minute, on questions and complaints or on calls.

Half an hour is compared to what the same stretch of the week has brought, and to how the day has gone so far. That more
came is significant only beside how far half hours have strayed from this before, and beside chance. People call by the
clock, but talk in waves, and of waves this rule would make a flood each: so of posts it tells only where a brand's
contacts have come as evenly as calls do, and are many.
"""

from __future__ import annotations

import math

import msgspec

from agents.policy.surge import Surge
from agents.surge import week
from agents.surge.tally import MINUTE
from agents.surge.week import HOUR

#: Minutes that are judged together.
WINDOW = 30
#: Deviations above the usual that are no accident: of a normal distribution one half hour in 2,000.
_SURE = 3.3
#: How far half hours stray beyond chance before this is known, and while an hour of the week is judged by other days
#: (standard deviations of a logarithm).
_STRAY, _OTHER_DAYS = 0.15, 0.4
#: However even a series is, half hours are not trusted to stray less.
_EVEN = 0.05
#: Minutes over which the straying and the day's own level are followed.
_STRAYED, _TODAY = 7 * 24 * 60, 3 * 60
#: The day's own level is believed to be so many times the usual, at most.
_BUSY = math.log(1.5)
#: A minute of the last half hour: contacts, and how many were usual then.
Known = tuple[float, float]


class Load(msgspec.Struct, frozen=True, array_like=True):
    """Contacts of one kind."""

    since: int
    """ms; start of the first minute seen"""
    until: int
    """ms; end of the last minute seen"""
    usual: list[int]
    """contacts a minute by hour of the week"""
    window: list[Known | None]
    """the last half hour, oldest first; None: not known"""
    hour: tuple[int, float]
    """of the hour that is going on: minutes known, contacts in them"""
    strayed: float = _STRAY**2
    """variance of half hours around the usual, as a logarithm, beyond that of chance"""
    day: float = 0.0
    """how the day goes beside the usual, as a logarithm"""
    open: bool = False
    lasted: int = 0
    """minutes since it opened"""
    calm: int = 0
    """minutes since contacts were above the usual"""
    posts: bool = False
    """they are posts, not calls"""

    @classmethod
    def new(cls, start: int, *, posts: bool = False) -> Load:
        """Contacts of which nothing was seen before `start` (ms)."""
        return cls(start, start, week.empty(), [], (0, 0.0), posts=posts)

    def step(self, count: float | None, rule: Surge, *, incident: bool = False) -> Load:
        """With the next minute; None: not known. In an incident nothing says what is usual."""
        at, until = self.until, self.until + MINUTE
        cells = self.usual
        usual = week.around(cells, at)
        minute = (count, usual * math.exp(self.day)) if count is not None and usual >= 0 else None
        window = [*self.window, minute][-WINDOW:]
        minutes, contacts = self.hour
        if count is not None and not self.open and not incident:
            minutes, contacts = minutes + 1, contacts + count
        strayed, day, opened, lasted, calm = self.strayed, self.day, self.open, self.lasted, self.calm
        beyond = _beyond(window)
        if beyond is not None and count is not None:
            if not opened:
                opened, lasted, calm = self._opens(at, window, beyond, rule), 0, 0
            else:
                lasted += 1
                calm = 0 if beyond >= 0.5 * math.log(rule.load_ratio) else calm + 1
                opened = calm * MINUTE < rule.calm
                if opened and lasted * MINUTE >= rule.new_normal:
                    opened, cells = False, week.times(cells, math.exp(beyond + day))
                    window, day = [], 0.0
            if not opened and not incident:
                chance = 1 / (1 + sum(m[1] for m in window if m is not None))
                beside = min(beyond * beyond, 9 * (strayed + chance)) - chance
                strayed = max(0.0, strayed + (beside - strayed) / _STRAYED)
                day = max(-_BUSY, min(_BUSY, day + max(-_BUSY, min(_BUSY, beyond)) / _TODAY))
        if until % HOUR == 0:
            if minutes >= 30:
                cells = week.taught(cells, at, contacts / minutes, (at - self.since) // (week.SLOTS * HOUR))
            minutes, contacts = 0, 0.0
        hour = (minutes, contacts)
        return Load(self.since, until, cells, window, hour, strayed, day, opened, lasted, calm, self.posts)

    def skip(self, until: int) -> Load:
        """As if nothing had been seen until then (ms): the window is empty, and nothing is open."""
        return msgspec.structs.replace(self, until=until, window=[], hour=(0, 0.0), open=False)

    def settled(self, rule: Surge) -> bool:
        """Of one that has ended with its last minute: it has become the usual."""
        return not self.open and self.lasted * MINUTE >= rule.new_normal

    def window_sums(self) -> tuple[float, float]:
        """Contacts of the last half hour, and how many are usual."""
        known = [minute for minute in self.window if minute is not None]
        return sum(count for count, _ in known), sum(usual for _, usual in known)

    def significance(self) -> float:
        """-log10 of the chance that so many come by accident, of the last half hour."""
        beyond = _beyond(self.window)
        if beyond is None:
            return 0.0
        chance = 0.5 * math.erfc(beyond / self._deviation(self.until - MINUTE, self.window) / math.sqrt(2))
        return -math.log10(max(chance, 1e-300))

    def threshold(self, rule: Surge) -> float:
        """The ratio that opens a load."""
        return max(rule.load_ratio, math.exp(_SURE * self._deviation(self.until - MINUTE, self.window)))

    def _opens(self, at: int, window: list[Known | None], beyond: float, rule: Surge) -> bool:
        if beyond < math.log(rule.load_ratio) or sum(m[0] for m in window if m is not None) < rule.minimum:
            return False
        usual = sum(m[1] for m in window if m is not None)
        if self.posts and (usual < rule.minimum or self.strayed > _STRAY**2):
            return False
        return len(window) == WINDOW and beyond >= _SURE * self._deviation(at, window)

    def _deviation(self, at: int, window: list[Known | None]) -> float:
        """Of a half hour from the usual, as a logarithm: by experience and by chance."""
        expected = sum(m[1] for m in window if m is not None)
        other = 0.0 if week.own(self.usual, at) >= 0 else _OTHER_DAYS**2
        return math.sqrt(max(self.strayed, _EVEN**2) + other + 1 / (1 + expected))


def _beyond(window: list[Known | None]) -> float | None:
    """How far the window lies from the usual, as a logarithm; None where too little is known."""
    known = [minute for minute in window if minute is not None]
    if not known:
        return None
    return math.log((sum(m[0] for m in known) + 1) / (sum(m[1] for m in known) + 1))
