"""The result of a check, and helpers for its wording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of looking at one thing."""

    subject: str
    """The thing, as docs/doctor.md lists it."""
    ok: bool
    message: str
    """One line. For a fault: its cause and the remedy."""


def findings(subject: str, faults: Iterable[str], ok: str) -> Iterator[Finding]:
    """A finding for each fault; without faults, a single finding that is ok, with the text of `ok`."""
    found = False
    for message in faults:
        found = True
        yield Finding(subject, False, message)
    if not found:
        yield Finding(subject, True, ok)


def duration_text(ms: int) -> str:
    """A duration as text, rounded and without a sign: `3 s`, `12 min`, `24 h`."""
    seconds = round(abs(ms) / 1000)
    for unit, least, each in (("days", 172_800, 86_400), ("h", 7_200, 3_600), ("min", 120, 60)):
        if seconds >= least:
            return f"{round(seconds / each):,} {unit}"
    return f"{seconds} s"
