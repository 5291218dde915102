"""What counts as a flood, and what is expected to make people talk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from agents.policy.parts import UNITS, Duration, Part
from agents.policy.zone import zone


def _moment(value: Any) -> Any:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("write a date and a time with its zone, without quotes: 2026-11-27T08:00:00-05:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class ExpectedEvent(Part):
    """A raffle, a match, a sale: while it lasts, more posts than usual are usual, and no rule opens a crisis."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """It stands in the evidence of a surge."""
    start: Moment
    """With its zone."""
    end: Moment
    """With its zone."""
    factor: Annotated[float, Field(ge=1, le=1_000)] = 1.0
    """Times the usual that is expected; 1 only names the event, and prevents an automatic crisis."""
    root: str | None = None
    """Native id of the post that it is about; left out, the whole brand is meant."""

    repeats: Literal["daily", "weekly", "monthly", "yearly"] | None = None
    """It comes again at the same local time; `start` and `end` are of the first. A day that a month lacks is left out."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        if self.repeats is not None and self.end - self.start > timedelta(days=_PERIODS[self.repeats]):
            raise ValueError(f"lasts longer than it takes to come again ({self.repeats}): give it an end before that")
        return self

    def holds(self, at: int, zone_name: str) -> bool:
        """Whether it is on at a time (ms); when it comes again is told by the brand's zone."""
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


#: Days; the least that passes before it comes again.
_PERIODS = {"daily": 1, "weekly": 7, "monthly": 28, "yearly": 365}


def _began(repeats: str, first: datetime, now: datetime) -> Iterator[datetime]:
    """When it may have begun last, and the time before that: local times of the dates that exist."""
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


_Rarity = Annotated[Duration, Field(le=UNITS["d"])]


class SurgeSettings(Part):
    """What counts as a flood."""

    minimum: Annotated[int, Field(ge=1)] = 10
    """Posts in a window, at least: small numbers are no flood."""
    sustained: _Rarity = 5 * UNITS["h"]
    """A burst: the level of the last hours is one that a brand usually reaches for no longer than this in 30 days."""
    jump: _Rarity = 5 * UNITS["m"]
    """A burst: so steep a rise within ten minutes is usually seen for no longer than this in 30 days."""
    load_ratio: Annotated[float, Field(gt=1)] = 1.5
    """A load: contacts of half an hour, times what is usual at this hour of the week."""
    conversation: Annotated[int, Field(ge=1)] = 50
    """Posts within 15 minutes by which others join one conversation, at least."""
    silent: Annotated[int, Field(ge=1)] = 20
    """A channel is silent when so many posts were to be expected of it and none came."""
    complaint_share: Annotated[float, Field(gt=0, le=1)] = 0.4
    """A surge with this share of complaints, and more complaints than usual, is a crisis."""
    crisis: Literal["open", "confirm"] = "open"
    """Whether such a surge opens a crisis, or waits for a person to declare it."""
    calm: Duration = 30 * UNITS["m"]
    """A surge is over when nothing has been above the usual for this long."""
    new_normal: Duration = UNITS["d"]
    """What has lasted this long is the new normal."""
