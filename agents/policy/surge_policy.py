"""The settings of surges, and of expected events, during which more posts than usual are normal."""

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
    """An expected event, such as a raffle, a match or a sale.

    While it lasts, more posts than usual are expected, and no rule opens a crisis.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The name that the evidence of a surge shows."""
    start: Moment
    """Date and time with its zone."""
    end: Moment
    """Date and time with its zone."""
    factor: Annotated[float, Field(ge=1, le=1_000)] = 1.0
    """How many times the usual posts are expected. With 1 the event is only named, and prevents a crisis by rule."""
    root: str | None = None
    """Native id of the post that the event is about. Left out: the event is about the whole brand."""
    repeats: Literal["daily", "weekly", "monthly", "yearly"] | None = None
    """How often the event repeats at the same local time; `start` and `end` are of the first event. A month that lacks
    the day is left out."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end is not after start")
        if self.repeats is not None and self.end - self.start > timedelta(days=_PERIODS[self.repeats]):
            raise ValueError(f"lasts longer than it takes to come again ({self.repeats}): give it an end before that")
        return self

    def holds(self, at: int, zone_name: str) -> bool:
        """Whether the event takes place at a time (ms). It repeats by the local time of the brand's zone."""
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


#: The fewest days between two dates of a repeated event.
_PERIODS = {"daily": 1, "weekly": 7, "monthly": 28, "yearly": 365}


def _began(repeats: str, first: datetime, now: datetime) -> Iterator[datetime]:
    """The local times at which the event may last have begun, newest first; a date that does not exist is left out."""
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


class SurgePolicy(Part):
    """The limits from which a flood counts as a surge or a crisis."""

    minimum: Annotated[int, Field(ge=1)] = 10
    """A window has at least this many posts. Fewer posts open no surge."""
    rarity: Annotated[Duration, Field(ge=UNITS["h"], le=366 * UNITS["d"])] = 5 * UNITS["d"]
    """A burst: so many posts come once in this time, by what the series itself has shown. The budget of false alerts: they come
    once in one to three times this time."""
    load_ratio: Annotated[float, Field(gt=1)] = 1.5
    """A load: the contacts of half an hour are at least this many times the usual number at this hour of the week."""
    conversation: Annotated[int, Field(ge=1)] = 50
    """A conversation opens a surge when at least this many posts join it within 15 minutes."""
    silent: Annotated[int, Field(ge=1)] = 20
    """A channel is silent when this many posts were expected and none came."""
    complaint_share: Annotated[float, Field(gt=0, le=1)] = 0.4
    """A surge with at least this share of complaints, and far more complaints than usual, is a crisis."""
    crisis: Literal["open", "confirm"] = "open"
    """`open`: such a surge opens a crisis. `confirm`: a person must declare it."""
    calm: Duration = 30 * UNITS["m"]
    """A surge is over when no series has been above its usual level for this long."""
    new_normal: Duration = UNITS["d"]
    """A surge that has lasted this long is closed as the new normal."""
