"""What all parts of the policy are made of: a strict base, durations, names."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Part(BaseModel):
    """A part of the policy: nothing in it is unknown, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def duration(value: Any) -> Any:
    """ms of "90s", "60m", "2h" or "1d". Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError('write a duration as text: "90s", "60m", "2h" or "1d"')
    match = re.fullmatch(r"(\d+)([smhd])", value)
    if match is None or int(match[1]) == 0:
        raise ValueError(f'{value!r} is no duration above zero: write "90s", "60m", "2h" or "1d"')
    return int(match[1]) * UNITS[match[2]]


Duration = Annotated[int, BeforeValidator(duration)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]
