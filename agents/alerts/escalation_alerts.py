"""Alerts of escalated cases: one for each person, until each of the cases is answered or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.alerts.counting import gravest
from agents.alerts.state import MINUTE, Escalations, Incident, Incidents, OpenWork, next_look
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
    firing = last is not None and last.firing
    late = oldest is not None and at.time - oldest >= at.policy.alerts.unaccepted
    severity = gravest(last.severity if last is not None and firing else "info", "warning" if late else "info")
    if not works:
        return (
            _version(
                person, False, severity, works, oldest, "ended: none is left, each is answered, withdrawn or moved", at
            )
            if firing
            else None
        )
    if last is None or not firing:
        return _version(person, True, severity, works, oldest, "escalated: an operator asked for it", at)
    if severity != last.severity:
        minutes = at.policy.alerts.unaccepted // MINUTE
        return _version(
            person, True, severity, works, oldest, f"unaccepted: one has had no answer for {minutes} min", at
        )
    if len(works) >= at.policy.alerts.told_again * last.overdue and len(works) - last.overdue >= 2:
        return _version(person, True, severity, works, oldest, f"grown: {len(works)}, {last.overdue} told last", at)
    said = _said(person, True, severity, works, oldest, TOLD_NOW, at)
    return version(person, said, at) if is_to_be_told(person, said, at) else None


def _desk(works: list[OpenWork]) -> str:
    """The desk of the case that was escalated first."""
    first = min(works, key=lambda work: (work.escalated_at, work.work)).newest
    return first.desk if first is not None else ""


def _version(
    person: Escalations,
    firing: bool,
    severity: Severity,
    works: list[OpenWork],
    oldest: int | None,
    reason: str,
    at: At,
) -> Alert:
    return version(person, _said(person, firing, severity, works, oldest, reason, at), at)


def _said(
    person: Escalations,
    firing: bool,
    severity: Severity,
    works: list[OpenWork],
    oldest: int | None,
    reason: str,
    at: At,
) -> Said:
    evidence = {"to": person.person, "cases": str(len(works))}
    if oldest is not None:
        evidence |= {"desk": _desk(works), "oldest_at": rfc3339(oldest)}
    cases = "case" if len(works) == 1 else "cases"
    waits = (
        f"{len(works)} escalated {cases} {'waits' if len(works) == 1 else 'wait'}"
        if firing
        else "no escalated case waits"
    )
    summary = f"{person.brand}: {waits} for {person.person}"
    mode = at.policy.brand(person.brand).mode
    return Said("escalation", severity, mode, firing, summary, evidence, reason)
