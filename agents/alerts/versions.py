"""The next version of an incident's alert, and whom it is told."""

from __future__ import annotations

from typing import NamedTuple

from agents.alerts.state import Incident, LastAlert
from agents.decider import At
from schemas import ids
from schemas.records import Alert, AlertKind, Mode, Severity


class Said(NamedTuple):
    """What a version says."""

    kind: AlertKind
    severity: Severity
    mode: Mode
    firing: bool
    summary: str
    """A sentence for people."""
    evidence: dict[str, str]
    """Each figure once, for programs: numbers as digits, times as RFC 3339."""
    reason: str
    cause: str | None = None
    """Id of the event that led to it; None: the cause of the decision."""


def version(incident: Incident, said: Said, at: At) -> Alert:
    """The version after `incident.last_alert`. An alert that fires again after it was resolved starts at `at.time`. What was told in
    live mode is told its end, though the brand is in shadow mode by then.
    """
    last, fingerprint = incident.last_alert, incident.fingerprint
    goes_on = last is not None and last.firing
    number = last.version + 1 if last else 1
    starts_at = last.starts_at if last and goes_on else at.time
    told = _told(incident.brand, said, last if goes_on else None, said.evidence.get("desk"), at)
    envelope = at.envelope(fingerprint, number, said.reason)
    envelope["id"] = ids.make("alert", starts_at, number, fingerprint)
    if said.cause is not None:
        envelope["cause"] = said.cause
    runbooks = at.policy.alerts.runbooks
    return Alert(
        **envelope,
        state="firing" if said.firing else "resolved",
        kind=said.kind,
        severity=said.severity,
        brand=incident.brand,
        mode="live" if last is not None and goes_on and last.live else said.mode,
        summary=said.summary,
        starts_at=starts_at,
        ends_at=None if said.firing else at.time,
        evidence={**said.evidence, "zone": at.policy.brand(incident.brand).zone},
        links={"runbook": f"{runbooks.rstrip('/')}/{said.kind}.md"} if runbooks else {},
        receivers=list(told.receivers),
        texts=list(told.texts),
        withheld=told.withheld if said.firing else None,
    )


def is_to_be_told(incident: Incident, kind: AlertKind, desk: str | None, at: At) -> bool:
    """Whether what was withheld from receivers, or from some of them, may be told now."""
    last = incident.last_alert
    if last is None or not (last.firing and last.withheld):
        return False
    told = _told(incident.brand, Said(kind, last.severity, "live", True, "", {}, ""), last, desk, at)
    return told.withheld is None or bool(set(told.receivers) - set(last.receivers))


class _Told(NamedTuple):
    receivers: tuple[str, ...]
    texts: tuple[str, ...]
    withheld: str | None


def _told(brand: str, said: Said, last: LastAlert | None, desk: str | None, at: At) -> _Told:
    """Whom a version is told: who was told of this incident before, and whom a route names that the night does not hold back; in a
    silence nobody, but for the end.
    """
    before, texts = (last.receivers, last.texts) if last is not None else ((), ())
    if not said.firing:
        return _Told(before, texts, None)
    policy, own = at.policy.alerts, at.policy.brand(brand)
    what = (brand, said.kind, said.severity, desk)
    routes = [route for route in policy.routes if route.match.matches(*what)]
    silence = next((s for s in policy.silences if s.match.matches(*what) and s.holds(at.time, own.zone)), None)
    if silence is not None:
        names = dict.fromkeys((*before, *(name for route in routes for name in route.receivers)))
        return _Told((), (), f"{', '.join(names) or 'nobody is told'}: silence: {silence.reason}")
    works = said.severity == "page" or own.works(at.time)
    open_now = [route for route in routes if works or route.hours == "always"]
    receivers = dict.fromkeys((*before, *(name for route in open_now for name in route.receivers)))
    shown = dict.fromkeys((*texts, *(name for route in open_now if route.texts for name in route.receivers)))
    later = dict.fromkeys(name for route in routes for name in route.receivers if name not in receivers)
    withheld = f"{', '.join(later)}: nobody is on shift, by the brand's calendar" if later else None
    return _Told(tuple(receivers), tuple(shown), withheld)
