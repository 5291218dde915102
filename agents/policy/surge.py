"""What counts as a flood."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.policy.parts import UNITS, Duration, Part


class Surge(Part):
    """What counts as a flood."""

    window: Annotated[Duration, Field(le=UNITS["h"])] = 30 * UNITS["m"]
    """The stretch that is counted, at most an hour."""
    baseline: Annotated[Duration, Field(le=UNITS["d"])] = 6 * UNITS["h"]
    """The trailing stretch before the window that says what is usual, at most a day."""
    warm_up: Duration = 2 * UNITS["h"]
    """No surge before this much baseline was seen."""
    minimum: Annotated[int, Field(ge=1)] = 10
    """Posts in the window, at least."""
    open_ratio: Annotated[float, Field(gt=1)] = 2.5
    """Times what is usual that opens a surge."""
    close_ratio: Annotated[float, Field(gt=0)] = 1.5
    """Times what is usual under which it closes."""
    significance: Annotated[float, Field(gt=0)] = 6.0
    """-log10 of the chance of so many posts by accident, at least: small numbers do not flicker."""
