"""What the desk is told: one round of work for as long as something is left to answer at one desk."""

from __future__ import annotations

from agents.cases.state import Clock, Told
from agents.cases.telling import Teller
from agents.cases.timeline import Timeline
from agents.cases.wording import iso
from schemas.records import WorkChanged


def tell(
    teller: Teller,
    line: Timeline,
    before: Told | None,
    why: str,
    operator: str | None = None,
    escalated: bool = False,
) -> WorkChanged | None:
    """Queues a round, changes it or takes it back; before: what had been told when the step began.

    why: of a withdrawal. escalated: the responsible person gets it.
    """
    told = teller.told
    if not line.pending:
        return teller.worked("withdrawn", f"withdrawn: {why}", [], None, operator=operator) if told.work else None
    clock = response(told)
    governing = line.pending[0] if line.running is None else line.running.governing
    skills = governing.skills
    window = teller.judge.window
    closes_at = None if window is None else line.last_post + window
    if not told.work:
        reason = f"queued: {told.label} to answer, {_by(clock)}"
        return teller.worked("queued", reason, line.pending, clock, skills=skills, window=closes_at)
    if escalated:
        person = teller.at.policy.desk(told.desk).responsible
        reason = f"changed: escalated to {person or 'whoever is responsible'}, {_by(clock)}"
        return teller.worked("changed", reason, line.pending, clock, skills=skills, window=closes_at, operator=person)
    if (
        before is None
        or (told.label, told.priority, told.skills, told.window) != (before.label, before.priority, skills, closes_at)
        or _timed(clock) != _timed(response(before))
    ):
        reason = f"changed: {told.label}, priority {told.priority}, {_by(clock)}"
        return teller.worked("changed", reason, line.pending, clock, skills=skills, window=closes_at)
    return None


def response(told: Told) -> Clock | None:
    """The response clock that runs, as told."""
    for clock in reversed(told.clocks):
        if clock.met_at is None and not clock.void and clock.metric != "resolution":
            return clock
    return None


def _timed(clock: Clock | None) -> tuple[int, int, bool] | None:
    return None if clock is None else (clock.started_at, clock.due_at, clock.courtesy)


def _by(clock: Clock | None) -> str:
    return "no target" if clock is None else f"due {iso(clock.due_at)}"
