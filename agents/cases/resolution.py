"""Resolution periods: from a case's first message that wants an answer to its closing, pauses left out."""

from __future__ import annotations

import msgspec

from agents.cases.state import Message, Snapshot, Target
from agents.policy import Brand
from schemas.records import Label

_NONE = Target()


class ResolutionPeriod:
    """The time that one resolution clock measures, from the first message that wants an answer to the closing.

    A reopening continues the period, unless the closing was not a resolution (no_reply, deleted, muted).
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

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.members: list[Message] = []
        self.pauses: list[tuple[int, int]] = []
        """(start, end) in ms of the pauses that have ended and are not part of `paused_ms`."""
        self.paused_at: int | None = None
        self.ended_at: int | None = None
        self.void = self.met = self._timed = False
        self._started_at: int | None = None
        self.target = _NONE
        """The target of the messages that are now in the snapshot."""
        self.paused_ms = self.paused_counted = 0
        if snapshot is not None:
            self._started_at, self.target = snapshot.started_at, snapshot.target or _NONE
            self.paused_at, self.paused_ms, self.met = snapshot.paused_at, snapshot.paused_ms, snapshot.met
            self.paused_counted, self.ended_at = snapshot.paused_counted, snapshot.closed_at

    @property
    def started_at(self) -> int:
        """ms; the time of its first message."""
        return self.members[0].at if self._started_at is None else self._started_at

    @property
    def label(self) -> Label:
        """The label of its first message."""
        return self.members[0].label if self._started_at is None else self.target.label

    @property
    def empty(self) -> bool:
        """Whether no message of the period wants an answer any more, because all messages were dismissed."""
        return not self.members and self._started_at is None

    @property
    def paused(self) -> int:
        """The total length in ms of the pauses that have ended."""
        return self.paused_ms + sum(end - begin for begin, end in self.pauses)

    def paused_before(self, at: int, brand: Brand) -> int:
        """Returns how many ms the calendar counts in the pauses that ended by a time (ms)."""
        return self.paused_counted + sum(brand.counted(*pause) for pause in self.pauses if pause[1] <= at)

    @property
    def has_clock(self) -> bool:
        """Whether the period has a resolution clock: it has a target, or a closing resolved the case."""
        if self.met or self.target.due_at is not None:
            return True
        return self._timed and any(m.resolve_by is not None for m in self.members)

    def join(self, m: Message) -> None:
        """Adds a message."""
        self.members.append(m)
        if m.resolve_by is not None:
            self._timed = True

    def pause(self, at: int) -> None:
        """Begins a pause at a time (ms), unless one runs."""
        if self.paused_at is None:
            self.paused_at = at

    def resume(self, at: int) -> None:
        """Ends the pause that runs at a time (ms), if there is one."""
        if self.paused_at is not None:
            self.pauses.append((self.paused_at, at))
            self.paused_at = None

    def end(self, at: int) -> None:
        """Ends the period at a time (ms), as resolved or by silence."""
        self.resume(at)
        self.ended_at, self.met = at, True


def target(period: ResolutionPeriod, brand: Brand) -> Target:
    """Returns the target with the earliest due of the period's messages, each due moved by the pauses since the message."""
    found = None
    if period.target.due_at is not None:
        found = msgspec.structs.replace(period.target, due_at=_moved(period.target.due_at, 0, period, brand))
    for m in period.members:
        if m.resolve_by is not None:
            due = _moved(m.resolve_by, m.at, period, brand)
            if found is None or found.due_at is None or due < found.due_at:
                target_ms = brand.counted(period.started_at, m.resolve_by) - period.paused_before(m.at, brand)
                found = Target(due, m.label, m.non_sla, m.rule, target_ms)
    return found or Target(label=period.label)


def _moved(due: int, since: int, period: ResolutionPeriod, brand: Brand) -> int:
    """ms; a due moved by the pauses: as much working time is left when a pause ends as when it began."""
    for begin, end in period.pauses:
        begin = max(begin, since)
        if begin < end and begin <= due:
            due = brand.after(end, brand.counted(begin, due))
    return due
