"""Points in time: integers, milliseconds since the epoch in UTC. Their text form, and the range that is accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

EARLIEST = 946_684_800_000
"""ms; 2000-01-01. No record may have an earlier time: such a time is a mistake, for instance seconds in place of
milliseconds.
"""
LATEST = 253_402_300_799_999
"""ms; the last millisecond of the year 9999, which is the last time that RFC 3339 can write."""


def rfc3339(ms: int) -> str:
    """The time as RFC 3339 text in UTC. Whole seconds have no fraction."""
    minute, rest = divmod(ms, 60_000)
    second, fraction = divmod(rest, 1000)
    return _minute(minute) + _SECONDS[second] + _FRACTIONS[fraction]


_SECONDS = [f":{second:02d}" for second in range(60)]
_FRACTIONS = ["Z", *(f".{fraction:03d}Z" for fraction in range(1, 1000))]


@lru_cache(maxsize=8_192)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")
