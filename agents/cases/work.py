"""The work that the desk gets: one round of work while messages of the case wait for an answer at that desk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.cases.event_factory import EventFactory
from agents.cases.state import Emitted, SlaClock
from agents.cases.timeline import Timeline
from schemas.records import WorkChanged
from schemas.times import rfc3339


def event(
    factory: EventFactory,
    line: Timeline,
    before: Emitted | None,
    why: str,
    operator: str | None = None,
    escalated: bool = False,
) -> WorkChanged | None:
    """Returns the event that queues a round of work, changes it or withdraws it; None: the round stays as it is.

    `before`: the case as emitted when the step began. `why`: the reason for a withdrawal. `escalated`: the work goes to the
    person who is responsible for the desk.
    """
    emitted = factory.emitted
    if not line.pending:
        return factory.worked("withdrawn", f"withdrawn: {why}", [], None, operator=operator) if emitted.work else None
    clock = response(emitted)
    named = _asked(factory, line)
    if not emitted.work:
        reason = f"queued: {emitted.label} to answer, {_by(clock)}"
        # A case that was escalated and is moved to another desk is for the person responsible there.
        escalated = escalated or (before is not None and before.escalated and before.desk != emitted.desk)
        return factory.worked(
            "queued",
            reason,
            line.pending,
            clock,
            **named,
            operator=operator if escalated else None,
            escalated=escalated,
        )
    if escalated:
        person = factory.at.policy.desk(emitted.desk).responsible
        reason = f"changed: escalated to {person or 'the person responsible'}, {_by(clock)}"
        return factory.worked("changed", reason, line.pending, clock, **named, operator=operator, escalated=True)
    if (
        before is None
        or (emitted.label, emitted.priority, emitted.skills, emitted.window_closes_at, emitted.waiting)
        != (before.label, before.priority, named["skills"], named["window_closes_at"], before.waiting)
        or _timed(clock) != _timed(response(before))
    ):
        reason = f"changed: {emitted.label}, priority {emitted.priority}, {_by(clock)}"
        return factory.worked("changed", reason, line.pending, clock, **named)
    return None


def again(factory: EventFactory, line: Timeline) -> Iterator[WorkChanged]:
    """Yields the end of a round of work that release 0.1.0 told to the partition of one desk, and a new round for all desks together.

    A new round has a history of its own at the desk, which begins at 1.
    """
    clock = response(factory.emitted)
    why = f"told anew, for all desks together, {_by(clock)}"
    yield factory.worked("withdrawn", f"withdrawn: {why}", line.pending, clock)
    yield factory.worked("queued", f"queued: {why}", line.pending, clock, **_asked(factory, line))


def _asked(factory: EventFactory, line: Timeline) -> dict[str, Any]:
    """What the messages that wait ask of the desk: skills, and an answer before the channel's reply window closes."""
    governing = line.pending[0] if line.running is None else line.running.governing
    reply_window = factory.view.reply_window
    closes_at = None if reply_window is None else line.last_post + reply_window
    return {"skills": governing.skills, "window_closes_at": closes_at}


def response(emitted: Emitted) -> SlaClock | None:
    """Returns the response clock that runs, as it was emitted; None: none runs."""
    for clock in reversed(emitted.clocks):
        if clock.met_at is None and not clock.void and clock.metric != "resolution":
            return clock
    return None


def _timed(clock: SlaClock | None) -> tuple[int, int | None, bool] | None:
    return None if clock is None else (clock.started_at, clock.due_at, clock.non_sla)


def _by(clock: SlaClock | None) -> str:
    return "no target" if clock is None else f"due {rfc3339(clock.deadline)}"
