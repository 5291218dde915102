"""The basic parts of the policy's models: a strict base class, durations and names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from schemas.names import NAME

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LONGEST = 3_650 * UNITS["d"]
"""ms; ten years. A longer duration is taken as a typing error."""


class Part(BaseModel):
    """Base of the policy's models: no unknown fields, no conversion between types, and no change after an object was
    made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy as pydantic makes it, but without the cached properties, because they may depend on the changed
        fields.
        """
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


def duration(value: Any) -> Any:
    """The milliseconds of "90s", "60m", "2h" or "1d". Raises ValueError for other values."""
    if not isinstance(value, str):
        raise ValueError('write a duration as text: "90s", "60m", "2h" or "1d"')
    match = re.fullmatch(r"(\d{1,12})([smhd])", value, re.ASCII)
    if match is None or int(match[1]) == 0:
        raise ValueError(f'{value!r} is no duration above zero: write "90s", "60m", "2h" or "1d"')
    ms = int(match[1]) * UNITS[match[2]]
    if ms > LONGEST:
        raise ValueError(f"{value!r} is more than ten years")
    return ms


def written(ms: int) -> str:
    """A duration (ms) as people write it: "60m", "24h", "72h", "30d"."""
    for unit, least in (("d", 4 * UNITS["d"]), ("h", 2 * UNITS["h"]), ("m", UNITS["m"])):
        if ms >= least and ms % UNITS[unit] == 0:
            return f"{ms // UNITS[unit]}{unit}"
    return f"{ms / UNITS['s']:.15g}s"


DURATION = {
    "type": "string",
    "pattern": "^0*[1-9][0-9]*[smhd]$",
    "description": "Seconds, minutes, hours or days.",
    "examples": ["90s", "60m", "2h", "1d"],
}

Duration = Annotated[int, BeforeValidator(duration), PlainSerializer(written), WithJsonSchema(DURATION)]
"""A duration in ms; the file writes it as text."""
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
