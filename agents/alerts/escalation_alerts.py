"""Alerts of escalated cases: one for each person who is asked, until each of the cases is accepted, answered or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.alerts.counting import gravest
from agents.alerts.state import MINUTE, RUNGS, Climb, Escalations, Incident, Incidents, LastAlert, next_look
from agents.alerts.versions import TOLD_NOW, Said, is_to_be_told, version
from agents.decider import At
from schemas.records import Alert, Severity
from schemas.times import rfc3339


def woken(state: Incidents, person: Escalations, at: At) -> Iterator[Alert | Incident]:
    """The person as they are after their cases were counted, and the alert that follows, if one does.

    It fires while a case waits. It becomes a warning when one has waited for `unaccepted` or has climbed to the lead, and is told
    again when the number has grown much.
    """
    climbs = [climb for _, climb in state.asked(person.fingerprint)]
    after = replace(person, woken_at=at.time, check_at=None)
    alert = _alert(after, climbs, at)
    if climbs:
        late_at = climbs[0].at + at.policy.alerts.unaccepted
        last = person.last_alert
        withheld = alert.withheld is not None if alert is not None else last is not None and last.withheld
        after = after.looked_at(next_look(at.time, at.time if withheld else person.changed_at))
        after = after.looked_at(late_at) if late_at > at.time else after
    yield after
    if alert is not None:
        yield alert


def _alert(person: Escalations, climbs: list[Climb], at: At) -> Alert | None:
    last = person.last_alert
    late = bool(climbs) and at.time - climbs[0].at >= at.policy.alerts.unaccepted
    lead = any(climb.rung == "lead" for climb in climbs)
    before: Severity = last.severity if last is not None and last.firing else "info"
    said = _said(person, gravest(before, "warning" if late or lead else "info"), climbs, at)
    why = _why(last, said.severity, climbs, late, at)
    if why is not None:
        return version(person, said._replace(reason=why), at)
    return version(person, said, at) if is_to_be_told(person, said, at) else None


def _why(last: LastAlert | None, severity: Severity, climbs: list[Climb], late: bool, at: At) -> str | None:
    """Why there is a next version; None where the cases give no reason for one."""
    if last is None or not last.firing:
        return f"escalated: {climbs[0].why}" if climbs else None
    if not climbs:
        return "ended: none is left, each is accepted, answered, withdrawn or moved"
    if severity != last.severity:
        minutes = at.policy.alerts.unaccepted // MINUTE
        return f"unaccepted: nobody has taken one for {minutes} min" if late else "climbed: one has reached the lead"
    cases = len(climbs)
    grown = cases >= at.policy.alerts.told_again * last.overdue and cases - last.overdue >= 2
    return f"grown: {cases}, {last.overdue} told last" if grown else None


def _said(person: Escalations, severity: Severity, climbs: list[Climb], at: At) -> Said:
    """What is to be said of the cases; the end, where none waits. Climbs: the first to be asked for comes first."""
    evidence = {"cases": str(len(climbs))}
    if person.person:
        evidence |= {"to": person.person}
    if climbs:
        first = climbs[0]
        rung = max((climb.rung for climb in climbs), key=RUNGS.index)
        evidence |= {"desk": first.desk, "oldest_at": rfc3339(first.at), "rung": rung, "why": first.why}
    elif person.desk:
        evidence |= {"desk": person.desk}
    waits = "1 escalated case waits" if len(climbs) == 1 else f"{len(climbs)} escalated cases wait"
    whom = person.person or f"somebody at desk {person.desk}, which names no person for its ladder"
    summary = f"{person.brand}: {waits if climbs else 'no escalated case waits'} for {whom}"
    mode = at.policy.brand(person.brand).mode
    return Said("escalation", severity, mode, bool(climbs), summary, evidence, TOLD_NOW)
