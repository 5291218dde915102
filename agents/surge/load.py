"""Load: do many more people than usual want something? By the minute, on questions and complaints or on calls.

Half an hour is compared to what the same stretch of the week has brought, and to how the day has gone so far. That more
came is significant only beside how far half hours have strayed from this before, and beside chance. On posts of all
kinds the same rule would flood: people talk in waves, but call by the clock.
"""

from __future__ import annotations

import math

import msgspec

from agents.policy.surge import Surge

MINUTE, HOUR = 60_000, 3_600_000
#: ms; 1970-01-01 was a Thursday: hours of the week are counted from it, which week they are of is all the same.
_WEEK = 7 * 24
#: Minutes that are judged together.
WINDOW = 30
#: Deviations above the usual that are no accident: of a normal distribution one half hour in 740.
_SURE = 3.0
#: How far half hours stray beyond chance before this is known, and while an hour of the week is judged by other days
#: (standard deviations of a logarithm).
_STRAY, _OTHER_DAYS = 0.15, 0.4
#: However even a series is, half hours are not trusted to stray less.
_EVEN = 0.05
#: Minutes over which the straying and the day's own level are followed.
_STRAYED, _TODAY = 7 * 24 * 60, 6 * 60
#: The day's own level is believed to be so many times the usual, at most.
_BUSY = math.log(1.5)
#: Weeks that an hour's usual follows, and how many times it an hour may teach at most.
_WEEKS, _TEACHES = 4, 2.0
#: A minute of the last half hour: contacts, and how many were usual then.
Known = tuple[float, float]


class Load(msgspec.Struct, frozen=True, array_like=True):
    """Contacts of one kind."""

    since: int
    """ms; start of the first minute seen"""
    until: int
    """ms; end of the last minute seen"""
    usual: list[int]
    """contacts a minute by hour of the week, in thousandths; -1: never seen"""
    window: list[Known | None]
    """the last half hour, oldest first; None: not known"""
    hour: tuple[int, float]
    """of the hour that is going on: minutes known, contacts in them"""
    strayed: float = _STRAY**2
    """variance of half hours around the usual, as a logarithm, beyond that of chance"""
    today: float = 0.0
    """how the day goes beside the usual, as a logarithm"""
    open: bool = False
    calm: int = 0
    """minutes since contacts were above the usual"""

    @classmethod
    def new(cls, start: int) -> Load:
        """Contacts of which nothing was seen before `start` (ms)."""
        return cls(start, start, [-1] * _WEEK, [], (0, 0.0))

    def step(self, count: float | None, rule: Surge) -> Load:
        """With the next minute; None: not known."""
        at, until = self.until, self.until + MINUTE
        usual, known = self._rate(at), count is not None
        minute = (count, usual * math.exp(self.today)) if count is not None and usual >= 0 else None
        window = [*self.window, minute][-WINDOW:]
        minutes, contacts = self.hour
        if count is not None and not self.open:
            minutes, contacts = minutes + 1, contacts + count
        strayed, today, opened, calm = self.strayed, self.today, self.open, self.calm
        beyond = _beyond(window)
        if beyond is not None and known:
            if not opened:
                opened, calm = self._opens(at, window, beyond, rule), 0
            else:
                calm = 0 if beyond >= 0.5 * math.log(rule.load_ratio) else calm + 1
                opened = calm * MINUTE < rule.calm
            if not opened:
                chance = 1 / (1 + sum(m[1] for m in window if m is not None))
                strayed += (min(beyond * beyond, 9 * (strayed + chance)) - chance - strayed) / _STRAYED
                today = max(-_BUSY, min(_BUSY, today + max(-_BUSY, min(_BUSY, beyond)) / _TODAY))
        cells = self.usual
        if until % HOUR == 0:
            cells = self._taught(minutes, contacts)
            minutes, contacts = 0, 0.0
        return Load(self.since, until, cells, window, (minutes, contacts), strayed, today, opened, calm)

    def skip(self, until: int) -> Load:
        """As if nothing had been seen until then (ms): the window is empty."""
        return msgspec.structs.replace(self, until=until, window=[], hour=(0, 0.0), open=False, calm=0)

    def window_sums(self) -> tuple[float, float]:
        """Contacts of the last half hour, and how many are usual."""
        known = [minute for minute in self.window if minute is not None]
        return sum(count for count, _ in known), sum(usual for _, usual in known)

    def significance(self) -> float:
        """-log10 of the chance that so many come by accident, of the last half hour."""
        beyond = _beyond(self.window)
        if beyond is None:
            return 0.0
        return -math.log10(0.5 * math.erfc(beyond / self._deviation(self.until - MINUTE, self.window) / math.sqrt(2)))

    def _opens(self, at: int, window: list[Known | None], beyond: float, rule: Surge) -> bool:
        if beyond < math.log(rule.load_ratio) or sum(m[0] for m in window if m is not None) < rule.minimum:
            return False
        return len(window) == WINDOW and beyond >= _SURE * self._deviation(at, window)

    def _deviation(self, at: int, window: list[Known | None]) -> float:
        """Of a half hour from the usual, as a logarithm: by experience and by chance."""
        expected = sum(m[1] for m in window if m is not None)
        own = self.usual[_slot(at)] >= 0
        return math.sqrt(max(self.strayed, _EVEN**2) + (0.0 if own else _OTHER_DAYS**2) + 1 / (1 + expected))

    def _rate(self, at: int) -> float:
        """Contacts usual in the minute at `at` (ms), between the middles of two hours; -1: not known."""
        middle = (at % HOUR) / HOUR - 0.5
        here, beside = self._hour(at), self._hour(at + (HOUR if middle >= 0 else -HOUR))
        if here < 0 or beside < 0:
            return here
        return here + (beside - here) * abs(middle)

    def _hour(self, at: int) -> float:
        """Contacts a minute usual in an hour: its own, else that of the busiest day at this hour."""
        slot = _slot(at)
        if self.usual[slot] >= 0:
            return self.usual[slot] / 1000
        return max(self.usual[slot % 24 :: 24]) / 1000

    def _taught(self, minutes: int, contacts: float) -> list[int]:
        if minutes < 30:
            return self.usual
        slot, rate = _slot(self.until), round(1000 * contacts / minutes)
        known = self.usual[slot]
        if known >= 0:
            weeks = (self.until - self.since) // (_WEEK * HOUR)
            rate = known + round((min(rate, _TEACHES * known + 1000) - known) / min(_WEEKS, 1 + weeks))
        return [*self.usual[:slot], rate, *self.usual[slot + 1 :]]


def _slot(at: int) -> int:
    return at // HOUR % _WEEK


def _beyond(window: list[Known | None]) -> float | None:
    """How far the window lies from the usual, as a logarithm; None where too little is known."""
    known = [minute for minute in window if minute is not None]
    if not known:
        return None
    return math.log((sum(m[0] for m in known) + 1) / (sum(m[1] for m in known) + 1))
