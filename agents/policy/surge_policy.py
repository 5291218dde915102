"""The settings of surges, and of expected events, during which more posts than usual are normal."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.policy.parts import UNITS, Duration, Part
from agents.policy.recurring import Recurring


class ExpectedEvent(Recurring):
    """An expected event, such as a raffle, a match or a sale.

    While it lasts, more posts than usual are expected, and no rule opens a crisis.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The name that the evidence of a surge shows."""
    factor: Annotated[float, Field(ge=1, le=1_000)] = 1.0
    """How many times the usual posts are expected. With 1 the event is only named, and prevents a crisis by rule."""
    root: str | None = None
    """Native id of the post that the event is about. Left out: the event is about the whole brand."""


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
