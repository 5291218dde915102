"""Alerts of escalated cases: one for each person who is asked, until for a while each of the cases is accepted, answered or
withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.alerts.counting import gravest
from agents.alerts.state import MINUTE, RUNGS, Climb, Escalations, Incident, Incidents, LastAlert, next_look
from agents.alerts.versions import TOLD_NOW, Said, is_to_be_told, version
from agents.decider import At
from schemas.records import Alert, Severity
from schemas.times import rfc3339

#: Cases by which a number must differ from the one that was told last.
_LEAST = 5


def woken(state: Incidents, person: Escalations, at: At) -> Iterator[Alert | Incident]:
    """The person as they are after their cases were counted, and the alert that follows, if one does.

    1. The alert fires when a case waits. It becomes a warning when one has waited for `unaccepted` or has climbed to the lead.
    2. It is told again when the number has grown or fallen much.
    3. It is resolved when no case has waited for `sla_calm`, so that a case after a case is one alert.
    """
    climbs = [climb for _, climb in state.asked(person.fingerprint)]
    firing = person.last_alert is not None and person.last_alert.firing
    calm_since = (at.time if person.calm_since is None else person.calm_since) if firing and not climbs else None
    after = replace(person, woken_at=at.time, check_at=None, calm_since=calm_since)
    alert = _alert(after, climbs, at)
    if calm_since is not None:
        over = alert is not None and alert.state == "resolved"
        after = replace(after, calm_since=None) if over else after.looked_at(calm_since + at.policy.alerts.sla_calm)
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
    why = _why(last, said, climbs, late, at)
    if why is not None:
        return version(person, said._replace(reason=why), at)
    return version(person, said, at) if is_to_be_told(person, said, at) else None


def _why(last: LastAlert | None, said: Said, climbs: list[Climb], late: bool, at: At) -> str | None:
    """Why there is a next version; None where the cases give no reason for one."""
    if last is None or not last.firing:
        return f"escalated: {climbs[0].why}" if climbs else None
    if not said.firing:
        minutes = at.policy.alerts.sla_calm // MINUTE
        return f"ended: for {minutes} min none was left, each is accepted, answered, withdrawn or moved"
    if said.severity != last.severity:
        minutes = at.policy.alerts.unaccepted // MINUTE
        return f"unaccepted: nobody has taken one for {minutes} min" if late else "climbed: one has reached the lead"
    cases, told, much = len(climbs), last.overdue, at.policy.alerts.told_again
    if cases >= much * told and cases - told >= _LEAST:
        return f"grown: {cases}, {told} told last"
    fallen = 0 < cases * much <= told and told - cases >= _LEAST
    return f"fallen: {cases}, {told} told last" if fallen else None


def _said(person: Escalations, severity: Severity, climbs: list[Climb], at: At) -> Said:
    """What is to be said of the cases; the end, where none has waited for long enough. Climbs: the first to be asked for comes
    first.
    """
    calm = person.calm_since is not None and at.time - person.calm_since >= at.policy.alerts.sla_calm
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
    return Said("escalation", severity, mode, not calm, summary, evidence, TOLD_NOW)
