"""What the resolution clock times: from a case's first message that wants an answer to its closing, pauses left out."""

from __future__ import annotations

import msgspec

from agents.cases.state import Base, Message, Target
from agents.policy import Brand
from schemas.records import Label

_NONE = Target()


class Life:
    """The case from a first message that wants an answer to its closing: what one resolution clock times.

    A reopening goes on with it, unless the closing was no resolution (no_reply, deleted, muted).
    """

    __slots__ = (
        "_started_at",
        "_timed",
        "ended_at",
        "members",
        "met",
        "paused_at",
        "paused_counted",
        "paused_ms",
        "pauses",
        "target",
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
        self.target = _NONE
        """Of the messages that are no longer kept."""
        self.paused_ms = self.paused_counted = 0
        if base is not None:
            self._started_at, self.target = base.started_at, base.target or _NONE
            self.paused_at, self.paused_ms, self.met = base.paused_at, base.paused_ms, base.met
            self.paused_counted, self.ended_at = base.paused_counted, base.closed_at

    @property
    def started_at(self) -> int:
        """ms; of its first message."""
        return self.members[0].at if self._started_at is None else self._started_at

    @property
    def label(self) -> Label:
        """Of its first message."""
        return self.members[0].label if self._started_at is None else self.target.label

    @property
    def empty(self) -> bool:
        """Nothing in it wants an answer, as it turned out."""
        return not self.members and self._started_at is None

    @property
    def paused(self) -> int:
        """ms; of the pauses that have ended."""
        return self.paused_ms + sum(end - begin for begin, end in self.pauses)

    def paused_before(self, at: int, brand: Brand) -> int:
        """ms that the calendar counts of the pauses that ended by a time (ms)."""
        return self.paused_counted + sum(brand.counted(*pause) for pause in self.pauses if pause[1] <= at)

    @property
    def told(self) -> bool:
        """There is something to tell of it: a target, or a closing that met it."""
        if self.met or self.target.due_at is not None:
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


def target(life: Life, brand: Brand) -> Target:
    """The earliest of its messages' dues, each moved by the pauses since."""
    found = None
    if life.target.due_at is not None:
        found = msgspec.structs.replace(life.target, due_at=_moved(life.target.due_at, 0, life, brand))
    for m in life.members:
        if m.resolve_by is not None:
            due = _moved(m.resolve_by, m.at, life, brand)
            if found is None or found.due_at is None or due < found.due_at:
                target = brand.counted(life.started_at, m.resolve_by) - life.paused_before(m.at, brand)
                found = Target(due, m.label, m.courtesy, m.rule, target)
    return found or Target(label=life.label)


def _moved(due: int, since: int, life: Life, brand: Brand) -> int:
    """ms; what the calendar still counted when a pause began is left when it ends."""
    for begin, end in life.pauses:
        begin = max(begin, since)
        if begin < end and begin <= due:
            due = brand.after(end, brand.counted(begin, due))
    return due
