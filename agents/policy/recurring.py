"""Times that are known in advance and may come again: each day, week, month or year, by the local time of a brand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, model_validator

from agents.policy.parts import Part
from agents.policy.zone import zone


def _moment(value: Any) -> Any:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("write a date and a time with its zone, without quotes: 2026-11-27T08:00:00-05:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class Recurring(Part):
    """A time from a start to an end, which may come again."""

    start: Moment
    """Date and time with its zone."""
    end: Moment
    """Date and time with its zone."""
    repeats: Literal["daily", "weekly", "monthly", "yearly"] | None = None
    """How often it comes again at the same local time; `start` and `end` are of the first. A month that lacks the day is left out."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        if self.repeats is not None and self.end - self.start > timedelta(days=_PERIODS[self.repeats]):
            raise ValueError(f"lasts longer than it takes to come again ({self.repeats}): give it an end before that")
        return self

    def holds(self, at: int, zone_name: str) -> bool:
        """Whether a time (ms) is within it. It repeats by the local time of the brand's zone."""
        if at < _ms(self.start):
            return False
        if self.repeats is None or at < _ms(self.end):
            return at < _ms(self.end)
        where = zone(zone_name)
        now, first, end = (where.local(t).replace(tzinfo=None) for t in (at, _ms(self.start), _ms(self.end)))
        lasts = end - first
        if self.repeats == "daily" or self.repeats == "weekly":
            return (now - first) % timedelta(days=_PERIODS[self.repeats]) < lasts
        return any(began <= now < began + lasts for began in _began(self.repeats, first, now))


#: The fewest days between two dates of what repeats.
_PERIODS = {"daily": 1, "weekly": 7, "monthly": 28, "yearly": 365}


def _began(repeats: str, first: datetime, now: datetime) -> Iterator[datetime]:
    """The local times at which it may last have begun, newest first; a date that does not exist is left out."""
    months = now.year * 12 + now.month - 1
    if repeats == "yearly":
        months -= (now.month - first.month) % 12
    for month in (months, months - (12 if repeats == "yearly" else 1)):
        try:
            yield first.replace(year=month // 12, month=month % 12 + 1)
        except ValueError:
            continue


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
