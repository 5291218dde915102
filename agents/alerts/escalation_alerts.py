"""Alerts of escalated cases: one for each person, until each of the cases is answered or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.alerts.counting import gravest
from agents.alerts.state import MINUTE, Escalations, Incident, Incidents, LastAlert, OpenWork, next_look
from agents.alerts.versions import TOLD_NOW, Said, is_to_be_told, version
from agents.decider import At
from schemas.records import Alert, Severity
from schemas.times import rfc3339


def woken(state: Incidents, person: Escalations, at: At) -> Iterator[Alert | Incident]:
    """The person as they are after their cases were counted, and the alert that follows, if one does.

    It fires while a case waits. It becomes a warning when one has waited for `unaccepted`, and is told again when the number
    has grown much.
    """
    works = [work for work, _ in state.waiting(person.brand) if work.escalated_to == person.person]
    oldest = min((work.escalated_at for work in works), default=None)
    after = replace(person, woken_at=at.time, check_at=None)
    alert = _alert(after, works, oldest, at)
    if oldest is not None:
        late_at = oldest + at.policy.alerts.unaccepted
        last = person.last_alert
        withheld = alert.withheld is not None if alert is not None else last is not None and last.withheld
        after = after.looked_at(next_look(at.time, at.time if withheld else person.changed_at))
        after = after.looked_at(late_at) if late_at > at.time else after
    yield after
    if alert is not None:
        yield alert


def _alert(person: Escalations, works: list[OpenWork], oldest: int | None, at: At) -> Alert | None:
    last = person.last_alert
    late = oldest is not None and at.time - oldest >= at.policy.alerts.unaccepted
    before: Severity = last.severity if last is not None and last.firing else "info"
    said = _said(person, gravest(before, "warning" if late else "info"), works, oldest, at)
    why = _why(last, said.severity, len(works), at)
    if why is not None:
        return version(person, said._replace(reason=why), at)
    return version(person, said, at) if is_to_be_told(person, said, at) else None


def _why(last: LastAlert | None, severity: Severity, cases: int, at: At) -> str | None:
    """Why there is a next version; None where the cases give no reason for one."""
    if last is None or not last.firing:
        return "escalated: an operator asked for it" if cases else None
    if not cases:
        return "ended: none is left, each is answered, withdrawn or moved"
    if severity != last.severity:
        minutes = at.policy.alerts.unaccepted // MINUTE
        return f"unaccepted: one has had no answer for {minutes} min"
    grown = cases >= at.policy.alerts.told_again * last.overdue and cases - last.overdue >= 2
    return f"grown: {cases}, {last.overdue} told last" if grown else None


def _desk(works: list[OpenWork]) -> str:
    """The desk of the case that was escalated first."""
    first = min(works, key=lambda work: (work.escalated_at, work.work)).newest
    return first.desk if first is not None else ""


def _said(person: Escalations, severity: Severity, works: list[OpenWork], oldest: int | None, at: At) -> Said:
    """What is to be said of the cases; the end, where none waits."""
    evidence = {"to": person.person, "cases": str(len(works))}
    if oldest is not None:
        evidence |= {"desk": _desk(works), "oldest_at": rfc3339(oldest)}
    waits = "1 escalated case waits" if len(works) == 1 else f"{len(works)} escalated cases wait"
    summary = f"{person.brand}: {waits if works else 'no escalated case waits'} for {person.person}"
    mode = at.policy.brand(person.brand).mode
    return Said("escalation", severity, mode, bool(works), summary, evidence, TOLD_NOW)
