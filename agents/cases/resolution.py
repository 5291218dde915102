"""The resolution clock: from the case's first message that wants an answer to its closing, pauses left out."""

from __future__ import annotations

from agents.cases.state import Message
from agents.cases.timeline import Life
from agents.policy import Brand


def due(life: Life, brand: Brand) -> int | None:
    """ms; the earliest of its messages' dues, each moved by the pauses since; None: it is only measured."""
    found = None if life.resolve_by is None else _moved(life.resolve_by, 0, life, brand)
    for m in life.members:
        if m.resolve_by is not None:
            moved = _moved(m.resolve_by, m.at, life, brand)
            found = moved if found is None else min(found, moved)
    return found


def governing(life: Life, brand: Brand) -> Message | None:
    """The message that sets the due, where it is still kept."""
    timed = [m for m in life.members if m.resolve_by is not None]
    return min(timed, key=lambda m: (_moved(m.resolve_by or 0, m.at, life, brand), m.at), default=None)


def _moved(due: int, since: int, life: Life, brand: Brand) -> int:
    """ms; what the calendar still counted when a pause began is left when it ends."""
    for begin, end in life.pauses:
        begin = max(begin, since)
        if begin < end and begin <= due:
            due = brand.after(end, brand.counted(begin, due))
    return due
