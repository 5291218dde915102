"""Numbers, durations and times in the form in which people read them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.times import EARLIEST, LATEST

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR_DAYS = 365
_WHOLE = 10
"""From this number on, a fraction tells nothing."""


def number(value: float) -> str:
    """`1,240`; below ten with one digit after the point, where it is not 0: `2.5`, `2`."""
    return f"{value:,.0f}" if abs(value) >= _WHOLE or f"{value:.1f}".endswith(".0") else f"{value:.1f}"


def counted(value: float, one: str, many: str) -> str:
    """`1 post`, `1,240 posts`."""
    said = number(value)
    return f"{said} {one if said == '1' else many}"


def duration(ms: int) -> str:
    """`less than a minute`, `35 min`, `3 h 50 min`, `2 days 3 h`."""
    if ms < _MINUTE:
        return "less than a minute"
    if ms < _HOUR:
        return f"{ms // _MINUTE} min"
    if ms < _DAY:
        hours, rest = divmod(ms, _HOUR)
        return f"{hours} h {rest // _MINUTE} min" if rest >= _MINUTE else f"{hours} h"
    days, rest = divmod(ms, _DAY)
    said = counted(days, "day", "days")
    return f"{said} {rest // _HOUR} h" if rest >= _HOUR else said


def rarity(days: float) -> str:
    """How seldom something comes whose return period is so many days: `once in 40 days`, `once in 2 years`."""
    if days < 1:
        return f"once in {duration(max(_MINUTE, round(days * _DAY)))}"
    if days < 2 * _YEAR_DAYS:
        return f"once in {counted(round(days), 'day', 'days')}"
    return f"once in {counted(round(days / _YEAR_DAYS), 'year', 'years')}"


def share(part: float) -> str:
    """`38 %` of a part between 0 and 1."""
    return f"{part:.0%}".replace("%", " %")


class LocalTimes:
    """Times on the clock of a zone, as somebody reads them at a given moment."""

    def __init__(self, zone: str | None, now: int) -> None:
        """zone: a name of the tz database; without it, and where it is unknown, UTC. now: ms; when the message is read."""
        self._zone, self.name = _zone(zone)
        self._now = now

    def full(self, ms: int) -> str:
        """`Mon 12 Jun 2023 20:15, America/Bogota`."""
        then = self._local(ms)
        return f"{_date(then)} {then.year} {then:%H:%M}, {self.name}"

    def short(self, ms: int) -> str:
        """`20:15`; on another day than now `Mon 12 Jun 20:15`."""
        then = self._local(ms)
        return f"{then:%H:%M}" if then.date() == self._local(self._now).date() else f"{_date(then)} {then:%H:%M}"

    def _local(self, ms: int) -> datetime:
        # A day from the last one that can be written, there is room for every zone.
        shown = min(max(ms, EARLIEST), LATEST - _DAY)
        return datetime.fromtimestamp(shown / 1000, UTC).astimezone(self._zone)


def _zone(name: str | None) -> tuple[tzinfo, str]:
    try:
        return (ZoneInfo(name), name) if name else (UTC, "UTC")
    except (ZoneInfoNotFoundError, ValueError):  # a zone of a newer tz database than ours
        return UTC, "UTC"


def _date(then: datetime) -> str:
    return f"{_DAYS[then.weekday()]} {then.day} {_MONTHS[then.month - 1]}"
