"""What the resolution clock times: from a case's first message that wants an answer to its closing, pauses left out."""

from __future__ import annotations

from agents.cases.state import Base, Message
from agents.policy import Brand
from schemas.records import Label


class Life:
    """The case from a first message that wants an answer to its closing: what one resolution clock times.

    A reopening goes on with it, unless the closing was no resolution (no_reply, deleted, muted).
    """

    __slots__ = (
        "_label",
        "_started_at",
        "_timed",
        "ended_at",
        "members",
        "met",
        "paused_at",
        "paused_ms",
        "pauses",
        "resolve_by",
        "void",
    )

    def __init__(self, base: Base | None = None) -> None:
        self.members: list[Message] = []
        self.pauses: list[tuple[int, int]] = []
        """Those that have ended and are not in `paused_ms`."""
        self.paused_at: int | None = None
        self.ended_at: int | None = None
        self.void = self.met = self._timed = False
        self._started_at: int | None = None
        self._label: Label = "other"
        self.resolve_by: int | None = None
        self.paused_ms = 0
        if base is not None:
            self._started_at, self._label, self.resolve_by = base.started_at, base.resolving, base.resolve_by
            self.paused_at, self.paused_ms, self.met = base.paused_at, base.paused_ms, base.met
            self.ended_at = base.closed_at

    @property
    def started_at(self) -> int:
        """ms; of its first message."""
        return self.members[0].at if self._started_at is None else self._started_at

    @property
    def label(self) -> Label:
        """Of its first message."""
        return self.members[0].label if self.members else self._label

    @property
    def empty(self) -> bool:
        """Nothing in it wants an answer, as it turned out."""
        return not self.members and self._started_at is None

    @property
    def paused(self) -> int:
        """ms; of the pauses that have ended."""
        return self.paused_ms + sum(end - begin for begin, end in self.pauses)

    @property
    def told(self) -> bool:
        """There is something to tell of it: a target, or a closing that met it."""
        if self.met or self.resolve_by is not None:
            return True
        return self._timed and any(m.resolve_by is not None for m in self.members)

    def join(self, m: Message) -> None:
        """One more message."""
        self.members.append(m)
        if m.resolve_by is not None:
            self._timed = True

    def pause(self, at: int) -> None:
        """From then on, if it is not paused already."""
        if self.paused_at is None:
            self.paused_at = at

    def resume(self, at: int) -> None:
        """From then on, if it is paused."""
        if self.paused_at is not None:
            self.pauses.append((self.paused_at, at))
            self.paused_at = None

    def end(self, at: int) -> None:
        """The case is closed then, resolved or by silence."""
        self.resume(at)
        self.ended_at, self.met = at, True


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
