"""What is remembered of a flood that is open, and of a crisis."""

from __future__ import annotations

import msgspec


class Incident(msgspec.Struct, frozen=True, array_like=True):
    """A brand's open surge: one, however many series tell of it."""

    id: str
    started_at: int
    """ms"""
    seq: int
    """of its last event"""
    told: list[str]
    """the series that were told of"""
    reported: float
    """the largest ratio told of"""
    peak: float
    """the largest ratio"""
    excess: float
    """posts above the usual"""
    root: str | None
    """the root post that was named"""
    settled: bool = False
    """a series of it has ended by becoming the usual"""


class Crisis(msgspec.Struct, frozen=True, array_like=True):
    """A brand's last crisis; none is open where `by` is empty."""

    id: str
    seq: int
    by: str
    """`rule`, or the person who declared it"""
    surge: str | None
    """whose crisis it is; once it was closed, whose crisis it is no longer"""
    declared: int = 0
    """ms; when a person last opened or closed one"""
