"""Alerts of overdue cases: a desk's alert fires when many are overdue, and is resolved when few were for a while."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.alerts.counting import Count, count, gravest
from agents.alerts.state import MINUTE, Incident, Incidents, OverdueDesk, SurgeIncident, next_look
from agents.alerts.versions import TOLD_NOW, Said, is_to_be_told, version
from agents.decider import At
from schemas.records import Alert, Severity


def woken(state: Incidents, desk: OverdueDesk, at: At) -> Iterator[Alert | Incident]:
    """The desk as it is after a whole minute at which its cases are counted, and the alert that follows, if one does.

    1. The alert fires when at one limit of the policy so many of the cases that wait are overdue.
    2. It is told again when that number has grown or fallen much, or the alert is graver.
    3. It is resolved when at every limit fewer than half of that number were overdue for `sla_calm`.

    Cases of a flood that fires are counted there.
    """
    counted = _count(state, desk, at)
    last = desk.last_alert
    firing = last is not None and last.firing
    calm_since = (at.time if desk.calm_since is None else desk.calm_since) if firing and counted.calm else None
    after = replace(desk, woken_at=at.time, check_at=None, calm_since=calm_since, late=counted.overdue > 0)
    alert = _alert(after, counted, at)
    if alert is not None:
        firing = alert.state == "firing"
        after = replace(after, calm_since=calm_since if firing else None, changed_at=at.time)
    withheld = (alert is not None and alert.withheld is not None) or (
        alert is None and last is not None and last.withheld
    )
    wanted = [
        counted.next_at,
        next_look(at.time, after.changed_at) if firing else None,
        calm_since + at.policy.alerts.sla_calm if firing and calm_since is not None else None,
        at.time + 1 if firing and withheld else None,
    ]
    for time in wanted:
        after = after if time is None else after.looked_at(time)
    yield after
    if alert is not None:
        yield alert


def _count(state: Incidents, desk: OverdueDesk, at: At) -> Count:
    floods = [
        one for one in state.of(desk.brand, SurgeIncident) if one.last_alert is not None and one.last_alert.firing
    ]
    own = (
        (work, step)
        for work, step in state.waiting(desk.brand)
        if step.desk == desk.desk and not any(flood.takes(work, at.time) for flood in floods)
    )
    found = count(own, at)
    if desk.carried:
        found.add_overdue(desk.brand, desk.desk, len(desk.carried), min(desk.carried.values()), at)
    return found


def _alert(desk: OverdueDesk, counted: Count, at: At) -> Alert | None:
    last = desk.last_alert
    if last is None or not last.firing:
        return _version(desk, True, counted, counted.reason, at) if counted.reached else None
    if counted.calm:
        calm = at.policy.alerts.sla_calm
        if desk.calm_since is not None and at.time - desk.calm_since >= calm:
            return _version(desk, False, counted, f"calm: few overdue for {calm // MINUTE} min", at)
    elif gravest(*(one.limit.severity for one in counted.reached), last.severity) != last.severity:
        return _version(desk, True, counted, f"graver: {counted.reason}", at)
    why = None if counted.calm else counted.changed(last.overdue, at)
    if why is None and is_to_be_told(desk, _said(desk, True, counted, TOLD_NOW, at), at):
        why = TOLD_NOW
    return None if why is None else _version(desk, True, counted, why, at)


def _version(desk: OverdueDesk, firing: bool, counted: Count, reason: str, at: At) -> Alert:
    return version(desk, _said(desk, firing, counted, reason, at), at)


def _said(desk: OverdueDesk, firing: bool, counted: Count, reason: str, at: At) -> Said:
    last = desk.last_alert
    before: Severity = last.severity if last is not None and last.firing else "info"
    severity = gravest(before, *(one.limit.severity for one in counted.reached))
    evidence = {"desk": desk.desk, "queue": str(counted.waiting), **counted.figures()}
    if counted.reached:
        evidence["opens_at"] = str(counted.reached[0].opens_at)
    cases = "case" if counted.waiting == 1 else "cases"
    again = "" if firing else "; calm again"
    summary = f"{desk.brand}: {counted.overdue} of {counted.waiting} {cases} overdue at desk {desk.desk}{again}"
    mode = at.policy.brand(desk.brand).mode
    return Said("sla_breach", severity, mode, firing, summary, evidence, reason)
