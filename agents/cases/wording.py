"""Times and durations as the reasons of events spell them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_MINUTES = [f"{m // 60:02}:{m % 60:02}" for m in range(1440)]
_SECONDS = [f":{s:02}Z" for s in range(60)]


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}T"


def iso(ms: int) -> str:
    """Returns a time (ms) as RFC 3339 text in UTC, in whole seconds."""
    day, second = divmod(ms // 1000, 86_400)
    minute, second = divmod(second, 60)
    return _date(day) + _MINUTES[minute] + _SECONDS[second]


def duration(ms: int) -> str:
    """Returns a duration (ms) as text: in hours if they are whole and more than two, else in minutes."""
    return f"{ms // 3_600_000} h" if ms and ms % 3_600_000 == 0 and ms > 7_200_000 else f"{ms // 60_000} min"
