"""Times and durations as reasons tell them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_MINUTES = [f"{m // 60:02}:{m % 60:02}" for m in range(1440)]
_SECONDS = [f":{s:02}Z" for s in range(60)]


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}T"


def iso(ms: int) -> str:
    """ms as text, in UTC, whole seconds."""
    day, second = divmod(ms // 1000, 86_400)
    minute, second = divmod(second, 60)
    return _date(day) + _MINUTES[minute] + _SECONDS[second]


def span(ms: int) -> str:
    """A duration (ms) as text, in hours where they are whole and more than two."""
    return f"{ms // 3_600_000} h" if ms and ms % 3_600_000 == 0 and ms > 7_200_000 else f"{ms // 60_000} min"
