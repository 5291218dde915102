"""The figures of desks over the past: waiting, targets, and the load of each operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from netcenter.replay.verdicts import MINUTE, share_of
from schemas.records import (
    Assigned,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    OperatorChanged,
    Overflowed,
    Record,
    Returned,
    WorkChanged,
)


class WorkVerdict(msgspec.Struct, gc=False):
    """One round of work: how long it waited, and how it ended."""

    priority: int
    queued_at: int
    started_at: int
    due_at: int | None
    """ms; None: no target, or one that is only measured."""
    accepted_at: int | None = None
    """ms; when an operator accepted it for the first time."""
    ended_at: int | None = None
    answered: bool = False

    def waited_until(self, end: int) -> int | None:
        """ms; when the waiting in the queue ended: accepted, answered, or the end of the past. None: it was withdrawn."""
        if self.accepted_at is not None:
            return self.accepted_at
        if self.ended_at is None:
            return end
        return self.ended_at if self.answered else None

    def in_target(self, end: int) -> bool | None:
        """Whether it was answered in time; None where nothing can be said: no target, withdrawn, or not due yet."""
        if self.due_at is None or (self.ended_at is not None and not self.answered):
            return None
        if self.ended_at is not None:
            return self.ended_at <= self.due_at
        return None if self.due_at > end else False


class WaitingTimes(msgspec.Struct):
    """Minutes of waiting."""

    count: int = 0
    p50_min: float | None = None
    p95_min: float | None = None
    longest_min: float | None = None


class OperatorLoad(msgspec.Struct):
    """What one operator did."""

    accepted: int = 0
    answered: int = 0
    signed_in_h: float = 0.0
    """hours at any desk; who neither signs out nor has an end counts as signed in until the end of the past"""
    occupancy: float | None = None
    """0..1; the share of the time signed in with at least one accepted case; None: never signed in."""


class DeskFigures(msgspec.Struct):
    """The figures of all desks of a replay."""

    rounds: int = 0
    """rounds of work queued"""
    answered: int = 0
    open: int = 0
    """rounds of work that are neither answered nor withdrawn at the end"""
    in_queue: WaitingTimes = msgspec.field(default_factory=WaitingTimes)
    """until an operator accepted, or somebody answered; work that waits at the end counts until then"""
    until_answer: WaitingTimes = msgspec.field(default_factory=WaitingTimes)
    """from the start of the clock until the answer, of answered work"""
    in_target: float | None = None
    """0..1; rounds of work answered in time, over those answered or late"""
    in_target_by_priority: dict[str, float] = {}
    occupancy: float | None = None
    """0..1; the mean of the operators"""
    occupancy_spread: float | None = None
    """the largest occupancy of an operator less the smallest"""
    returns: dict[str, int] = {}
    """by reason"""
    escalations: dict[str, int] = {}
    """by rung"""
    overflows: int = 0
    holding_replies: dict[str, int] = {}
    """due, dry runs, suppressed, cancelled"""
    operators: dict[str, OperatorLoad] = {}


class _Person:
    """The load and presence of one operator."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.busy_since = self.busy_ms = self.accepted = self.answered = 0
        self.desks: dict[str, tuple[int, int | None]] = {}
        """By desk: since when they are signed in (ms), and until when at most."""
        self.stays: list[tuple[int, int]] = []

    def take(self, work_id: str, time: int) -> None:
        self.accepted += 1
        if not self.held:
            self.busy_since = time
        self.held.add(work_id)

    def put_down(self, work_id: str, time: int) -> None:
        if work_id in self.held:
            self.held.discard(work_id)
            if not self.held:
                self.busy_ms += time - self.busy_since

    def presence(self, changed: OperatorChanged) -> None:
        stay = self.desks.get(changed.desk)
        if stay is not None and stay[1] is not None and stay[1] < changed.at:
            self.stays.append((stay[0], stay[1]))
            del self.desks[changed.desk]
            stay = None
        if changed.change == "signed_out":
            if self.desks.pop(changed.desk, None) is not None and stay is not None:
                self.stays.append((stay[0], changed.at))
        elif changed.change == "signed_in":
            self.desks[changed.desk] = (changed.at if stay is None else stay[0], changed.until)
        elif changed.change == "renewed" and stay is not None and stay[1] is not None and changed.until is not None:
            self.desks[changed.desk] = (stay[0], max(stay[1], changed.until))

    def load(self, end: int) -> OperatorLoad:
        open_stays = [(since, _least(end, until)) for since, until in self.desks.values()]
        present = _covered([*self.stays, *open_stays])
        busy = self.busy_ms + (end - self.busy_since if self.held else 0)
        share = min(1.0, busy / present) if present else None
        return OperatorLoad(self.accepted, self.answered, round(present / (60 * MINUTE), 2), share)


class DeskVerdicts:
    """Keeps a small record of each round of work and of each operator, from the records of a replay."""

    def __init__(self) -> None:
        self.work: dict[str, WorkVerdict] = {}
        self.end = 0
        """ms; the time of the last record."""
        self._people: dict[str, _Person] = {}
        self._holders: dict[str, str] = {}
        self._returns: Counter[str] = Counter()
        self._rungs: Counter[str] = Counter()
        self._holding: Counter[str] = Counter()
        self._overflows = 0

    def tell(self, topic: str, records: list[Record]) -> None:
        """Process the records that were written to a topic, by roles and by people."""
        if topic == "desk":
            for record in records:
                if isinstance(record, WorkChanged):
                    self._work(record)
                elif isinstance(record, OperatorChanged):
                    self._person(record.operator).presence(record)
        elif topic == "assignments":
            for record in records:
                self._event(record)

    def _person(self, name: str) -> _Person:
        return self._people.setdefault(name, _Person())

    def _work(self, changed: WorkChanged) -> None:
        self.end = max(self.end, changed.time)
        due = None if changed.non_sla else changed.due_at
        work = self.work.get(changed.aggregate)
        if work is None:
            self.work[changed.aggregate] = WorkVerdict(changed.priority, changed.time, changed.started_at, due)
        elif changed.change == "changed":
            work.priority, work.started_at, work.due_at = changed.priority, changed.started_at, due
        elif changed.change in ("answered", "withdrawn"):
            work.ended_at, work.answered = changed.time, changed.change == "answered"
            holder = self._put_down(changed.aggregate, changed.time)
            if work.answered and holder is not None:
                holder.answered += 1

    def _event(self, event: Record) -> None:
        if isinstance(event, Assigned):
            self._put_down(event.aggregate, event.time)
            self._holders[event.aggregate] = event.operator
            self._person(event.operator).take(event.aggregate, event.time)
            work = self.work.get(event.aggregate)
            if work is not None and work.accepted_at is None:
                work.accepted_at = event.time
        elif isinstance(event, Returned):
            self._put_down(event.aggregate, event.time)
            self._returns[event.return_reason] += 1
        elif isinstance(event, Escalated):
            self._rungs[event.rung] += 1
        elif isinstance(event, Overflowed):
            self._overflows += 1
        elif isinstance(event, HoldingReplyDue):
            self._holding["suppressed" if event.suppressed else "dry runs" if event.dry_run else "due"] += 1
        elif isinstance(event, HoldingReplyCancelled):
            self._holding["cancelled"] += 1

    def _put_down(self, work_id: str, time: int) -> _Person | None:
        name = self._holders.pop(work_id, None)
        if name is None:
            return None
        person = self._person(name)
        person.put_down(work_id, time)
        return person

    # --- figures --------------------------------------------------------------------------------------------------

    def queue_times(self) -> list[tuple[int, int]]:
        """(from, to) in ms of the waiting in the queue, of each round of work that was not withdrawn before."""
        found = ((work.queued_at, work.waited_until(self.end)) for work in self.work.values())
        return [(since, until) for since, until in found if until is not None]

    def figures(self) -> DeskFigures:
        """The figures at the end."""
        work, end = list(self.work.values()), self.end
        loads = {name: person.load(end) for name, person in sorted(self._people.items())}
        occupied = [load.occupancy for load in loads.values() if load.occupancy is not None]
        answered = [w for w in work if w.answered]
        return DeskFigures(
            rounds=len(work),
            answered=len(answered),
            open=sum(w.ended_at is None for w in work),
            in_queue=waiting(until - since for since, until in self.queue_times()),
            until_answer=waiting(w.ended_at - w.started_at for w in answered if w.ended_at is not None),
            in_target=_attained(work, end),
            in_target_by_priority={
                str(p): share
                for p in sorted({w.priority for w in work})
                if (share := _attained([w for w in work if w.priority == p], end)) is not None
            },
            occupancy=sum(occupied) / len(occupied) if occupied else None,
            occupancy_spread=max(occupied) - min(occupied) if occupied else None,
            returns=dict(sorted(self._returns.items())),
            escalations=dict(sorted(self._rungs.items())),
            overflows=self._overflows,
            holding_replies=dict(sorted(self._holding.items())),
            operators=loads,
        )


def waiting(times: Iterable[int]) -> WaitingTimes:
    """The figures of waiting times (ms)."""
    minutes = sorted(max(0, time) / MINUTE for time in times)
    longest = minutes[-1] if minutes else None
    return WaitingTimes(len(minutes), *map(_rounded, (share_of(minutes, 0.5), share_of(minutes, 0.95), longest)))


def _rounded(minutes: float | None) -> float | None:
    return None if minutes is None else round(minutes, 3)


def _attained(work: Sequence[WorkVerdict], end: int) -> float | None:
    found = [kept for w in work if (kept := w.in_target(end)) is not None]
    return sum(found) / len(found) if found else None


def _least(time: int, other: int | None) -> int:
    return time if other is None else min(time, other)


def _covered(stays: Iterable[tuple[int, int]]) -> int:
    """ms that any of the stretches covers."""
    covered = last = 0
    for since, until in sorted(stays):
        covered += max(0, until - max(since, last))
        last = max(last, until)
    return covered
