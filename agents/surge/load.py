"""Load: whether many more people than usual want something. Each minute is one step.

The contacts are questions and complaints among the posts, or calls that another program counts. The last half hour is
compared with the same half hour of other weeks, and with the level of the day so far. A rise must be larger than chance
and the usual deviations of half hours explain. Calls come one by one, but posts come in waves, and each wave would open
a load. So for posts a load opens only where the brand's contacts are many and come as evenly as calls do.
"""

from __future__ import annotations

import math

import msgspec

from agents.policy.surge_policy import SurgePolicy
from agents.surge import week
from agents.surge.tally import MINUTE
from agents.surge.week import HOUR

#: The length of the window, in minutes.
WINDOW = 30
#: A rise of this many standard deviations is not chance: in a normal distribution, one half hour in 2,000 has such a
#: rise.
_SURE = 3.3
#: A load opens only where so many minutes of its window are known.
_KNOWN = 20
#: The deviation of half hours beyond chance that is assumed until it is learnt, and while an hour is judged by the same
#: hour of other days (standard deviation of a logarithm).
_STRAY, _OTHER_DAYS = 0.15, 0.4
#: The least deviation that is assumed, however even the series is.
_EVEN = 0.05
#: Minutes over which the deviation and the day's own level are averaged.
_STRAYED, _TODAY = 7 * 24 * 60, 3 * 60
#: The day's own level is at most this multiple of the usual, as a logarithm.
_BUSY = math.log(1.5)
#: A minute: (contacts, usual contacts at this time).
KnownMinute = tuple[float, float]


class Load(msgspec.Struct, frozen=True, array_like=True):
    """Contacts from one source."""

    since: int
    """ms; start of the first minute that was seen."""
    until: int
    """ms; end of the last minute that was seen."""
    usual: list[int]
    """Usual contacts per minute, by hour of the week (agents/surge/week.py)."""
    window: list[KnownMinute | None]
    """The last 30 minutes, oldest first; None for a minute that is not known."""
    hour: tuple[int, float]
    """(minutes that are known, contacts in them) of the hour that is not over yet."""
    strayed: float = _STRAY**2
    """Variance of half hours around the usual level, without the variance by chance; of logarithms."""
    day: float = 0.0
    """The level of the day relative to the usual level, as a logarithm."""
    open: bool = False
    lasted: int = 0
    """Minutes since the load opened."""
    calm: int = 0
    """Minutes since contacts were last above the usual level."""
    posts: bool = False
    """Whether the contacts are posts; otherwise another program counts them."""

    @classmethod
    def new(cls, start: int, *, posts: bool = False) -> Load:
        """Contacts without any data before `start` (ms)."""
        return cls(start, start, week.empty(), [], (0, 0.0), posts=posts)

    def step(self, count: float | None, rule: SurgePolicy, *, in_surge: bool = False) -> Load:
        """The load after the next minute with `count` contacts; None where the count is not known.

        1. The window moves by the minute.
        2. A load opens or ends by the window.
        3. Where neither a load nor the brand's surge is open, the deviation is learnt from the window. 4. At the end of
           an hour the usual contacts of this hour of the week are learnt.
        """
        at, until = self.until, self.until + MINUTE
        cells = self.usual
        usual = week.around(cells, at)
        minute = (count, usual * math.exp(self.day)) if count is not None and usual >= 0 else None
        window = [*self.window, minute][-WINDOW:]
        minutes, contacts = self.hour
        if count is not None and not self.open and not in_surge:
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
            if not opened and not in_surge:
                strayed, day = _taught(window, beyond, strayed, day)
        if until % HOUR == 0:
            if minutes >= 30:
                cells = week.taught(cells, at, contacts / minutes, (at - self.since) // (week.SLOTS * HOUR))
            minutes, contacts = 0, 0.0
        hour = (minutes, contacts)
        return Load(self.since, until, cells, window, hour, strayed, day, opened, lasted, calm, self.posts)

    def late(self, contacts: dict[int, int]) -> Load:
        """The load where contacts of earlier five minutes came late, by the start of these (ms). Those within the window count
        in it, evenly over their minutes; those of the open hour are learnt with it.
        """
        window, (minutes, known) = self.window.copy(), self.hour
        first = self.until - len(window) * MINUTE
        for start, count in contacts.items():
            places = [
                i for i in range((start - first) // MINUTE, (start - first) // MINUTE + 5) if 0 <= i < len(window)
            ]
            for i in places:
                minute = window[i]
                if minute is not None:
                    window[i] = minute[0] + count / 5, minute[1]
            if start >= self.until - self.until % HOUR and minutes and not self.open:
                known += count
        return msgspec.structs.replace(self, window=window, hour=(minutes, known))

    def skip(self, until: int) -> Load:
        """The load at `until` (ms) after a time without data: the window is empty, and no load is open."""
        return msgspec.structs.replace(self, until=until, window=[], hour=(0, 0.0), open=False)

    def settled(self, rule: SurgePolicy) -> bool:
        """Whether the load that ended with the last minute has become the usual level. Call it only after such an
        end.
        """
        return not self.open and self.lasted * MINUTE >= rule.new_normal

    def window_sums(self) -> tuple[float, float]:
        """(contacts, usual contacts) of the last half hour."""
        known = [minute for minute in self.window if minute is not None]
        return sum(count for count, _ in known), sum(usual for _, usual in known)

    def significance(self) -> float:
        """-log10 of the probability that as many contacts as in the last half hour come by chance."""
        beyond = _beyond(self.window)
        if beyond is None:
            return 0.0
        chance = 0.5 * math.erfc(beyond / self._deviation(self.until - MINUTE, self.window) / math.sqrt(2))
        return -math.log10(max(chance, 1e-300))

    def threshold(self, rule: SurgePolicy) -> float:
        """The ratio to the usual level that opens a load."""
        return max(rule.load_ratio, math.exp(_SURE * self._deviation(self.until - MINUTE, self.window)))

    def _opens(self, at: int, window: list[KnownMinute | None], beyond: float, rule: SurgePolicy) -> bool:
        if beyond < math.log(rule.load_ratio) or sum(m[0] for m in window if m is not None) < rule.minimum:
            return False
        usual = sum(m[1] for m in window if m is not None)
        if self.posts and (usual < rule.minimum or self.strayed > _STRAY**2):
            return False
        known = sum(minute is not None for minute in window)
        return len(window) == WINDOW and known >= _KNOWN and beyond >= _SURE * self._deviation(at, window)

    def _deviation(self, at: int, window: list[KnownMinute | None]) -> float:
        """The standard deviation of a half hour from the usual, as a logarithm: by experience and by chance."""
        expected = sum(m[1] for m in window if m is not None)
        other = 0.0 if week.own(self.usual, at) >= 0 else _OTHER_DAYS**2
        return math.sqrt(max(self.strayed, _EVEN**2) + other + 1 / (1 + expected))


def _beyond(window: list[KnownMinute | None]) -> float | None:
    """How far the window is above the usual level, as a logarithm; None where no minute of it is known."""
    known = [minute for minute in window if minute is not None]
    if not known:
        return None
    return math.log((sum(m[0] for m in known) + 1) / (sum(m[1] for m in known) + 1))


def _taught(window: list[KnownMinute | None], beyond: float, strayed: float, day: float) -> tuple[float, float]:
    """(strayed, day) after a window that is `beyond` the usual level."""
    chance = 1 / (1 + sum(m[1] for m in window if m is not None))
    beside = min(beyond * beyond, 9 * (strayed + chance)) - chance
    # The fewer contacts are usual, the less their number says about anything but chance.
    tells = _STRAY**2 / (_STRAY**2 + chance)
    strayed = max(0.0, strayed + tells * (beside - strayed) / _STRAYED)
    return strayed, max(-_BUSY, min(_BUSY, day + max(-_BUSY, min(_BUSY, beyond)) / _TODAY))
