"""The local time of a zone of the tz database: its offsets, and when its days end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = 86_400_000
BLOCK = 32 * DAY
"""ms; the stretch of time that is computed at once. Blocks are counted from the epoch."""
_MS = timedelta(milliseconds=1)


@lru_cache(maxsize=1_024)
def zone(name: str) -> Zone:
    """The zone of a name; the same object each time. Raises ValueError for a name that the tz database does not have."""
    try:
        return Zone(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the tz database, such as America/Bogota") from None


class Zone:
    """A time zone, with a cache of the ends of its days."""

    def __init__(self, info: ZoneInfo) -> None:
        self.info = info
        self._days: dict[int, tuple[list[int], list[int]]] = {}

    def local(self, at: int) -> datetime:
        """The local time of a moment (ms), with its offset."""
        return datetime.fromtimestamp(at // 1000, self.info).replace(microsecond=at % 1000 * 1000)

    def midnight(self, at: int) -> int:
        """ms; when the local day of a moment (ms) ends, which is the first moment of a later date."""
        number = at // BLOCK
        days = self._days.get(number)
        if days is None:
            days = self._days[number] = self._ends(number)
        begins, ends = days
        return ends[bisect_right(begins, at) - 1]

    def _ends(self, number: int) -> tuple[list[int], list[int]]:
        """(begins, ends) in ms of the local days of a block."""
        begins: list[int] = []
        dates: list[int] = []
        # The last day ends after the block. Three more days are enough, even where a zone skipped a date.
        for start, end, offset in self.pieces(number * BLOCK, (number + 1) * BLOCK + 3 * DAY):
            for date in range((start + offset) // DAY, (end + offset - 1) // DAY + 1):
                begins.append(max(start, date * DAY - offset))
                dates.append(date)
        ends = [
            next((begins[later] for later in range(i + 1, len(dates)) if dates[later] > date), begins[-1])
            for i, date in enumerate(dates)
        ]
        return begins, ends

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(from, to, offset) in ms for each stretch of [start, end) in which local time is UTC plus the offset."""
        since, offset = start, self.offset(start)
        at = start
        while at < end:
            # Since 2000 no zone has changed its clocks twice within a day: the closest two changes are almost a week apart.
            later = min(at + DAY, end)
            new = self.offset(later)
            if new != offset:
                change = self._change(at, later)
                yield since, change, offset
                since, offset = change, new
            at = later
        if since < end:
            yield since, end, offset

    def _change(self, before: int, after: int) -> int:
        """ms; when the offset that holds at `before` (ms) ends, at the latest at `after` (ms)."""
        old = self.offset(before)
        before, after = before // 1000, after // 1000
        while after - before > 1:
            middle = (before + after) // 2
            if self.offset(middle * 1000) == old:
                before = middle
            else:
                after = middle
        return after * 1000

    def offset(self, at: int) -> int:
        """ms; local time minus UTC at a moment (ms)."""
        return (datetime.fromtimestamp(at // 1000, self.info).utcoffset() or timedelta()) // _MS
