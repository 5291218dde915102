"""Durations as text for the reasons of events."""

from __future__ import annotations


def duration(ms: int) -> str:
    """Returns a duration (ms) as text: in hours if they are whole and more than two, else in minutes."""
    return f"{ms // 3_600_000} h" if ms and ms % 3_600_000 == 0 and ms > 7_200_000 else f"{ms // 60_000} min"
