"""The stretches of time in which simulated operators are signed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agents.policy.calendar import DAYS, Hours


def shifts_from(hours: Sequence[Hours], zone: str, start: int) -> Iterator[tuple[int, int]]:
    """The shifts (from, to) in ms that end after `start` (ms), by their beginning, without end; nothing without hours.

    A shift may begin before the one before it has ended.
    """
    info = ZoneInfo(zone)
    day = datetime.fromtimestamp(start // 1000, info).replace(hour=0, minute=0, second=0, tzinfo=None)
    day -= timedelta(days=1)
    while hours:
        name = DAYS[day.weekday()]
        for opens, closes in sorted(shift.minutes for shift in hours if name in shift.days):
            begins, ends = (_moment(day + timedelta(minutes=minutes), info) for minutes in (opens, closes))
            if ends > start:
                yield begins, ends
        day += timedelta(days=1)


def _moment(local: datetime, info: ZoneInfo) -> int:
    return int(local.replace(tzinfo=info).timestamp() * 1000)
