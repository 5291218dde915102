"""The next version of an incident's alert, and whom it is told."""

from __future__ import annotations

from typing import NamedTuple

from agents.alerts.state import Incident, LastAlert
from agents.decider import At
from schemas import ids
from schemas.records import Alert, AlertKind, Mode, Severity

TOLD_NOW = "told now: it was withheld before, or the policy has changed"


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
    desks: tuple[str, ...] = ()
    """The desks where many of a flood's cases are overdue: the alert is routed as one of overdue cases too."""

    @property
    def aspects(self) -> list[tuple[str, str | None]]:
        """(kind, desk) of each thing that the alert is about, for routes and silences."""
        return [(self.kind, self.evidence.get("desk")), *(("sla_breach", desk) for desk in self.desks)]


def version(incident: Incident, said: Said, at: At) -> Alert:
    """The version after `incident.last_alert`. An alert that fires again after it was resolved starts at `at.time`. What was told in
    live mode is told its end, though the brand is in shadow mode by then.
    """
    last, fingerprint = incident.last_alert, incident.fingerprint
    goes_on = last is not None and last.firing
    number = last.version + 1 if last else 1
    starts_at = last.starts_at if last and goes_on else at.time
    told = _told(incident.brand, said, last if goes_on else None, at)
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


def is_to_be_told(incident: Incident, said: Said, at: At) -> bool:
    """Whether somebody is to be told of an alert that fires, though nothing has changed: what was withheld may be told now, the
    policy has another route, or the brand is in live mode now.
    """
    last = incident.last_alert
    if last is None or not last.firing:
        return False
    told = _told(incident.brand, said, last, at)
    freed = last.withheld and told.withheld is None
    return freed or bool(set(told.receivers) - set(last.receivers)) or (said.mode == "live" and not last.live)


class _Told(NamedTuple):
    receivers: tuple[str, ...]
    texts: tuple[str, ...]
    withheld: str | None


def _told(brand: str, said: Said, last: LastAlert | None, at: At) -> _Told:
    """Whom a version is told: who was told of this incident before, and whom a route names that the night does not hold back; in a
    silence of all that it is about nobody, but for the end.
    """
    before = last.receivers if last is not None else ()
    policy, own = at.policy.alerts, at.policy.brand(brand)
    works = said.severity == "page" or own.works(at.time)
    receivers: dict[str, None] = dict.fromkeys(before)
    shown: set[str] = set()
    waiting: dict[str, str] = {}
    spoken = False
    for kind, desk in said.aspects:
        what = (brand, kind, said.severity, desk)
        routes = [route for route in policy.routes if route.match.matches(*what)]
        shown |= {name for route in routes if route.texts for name in route.receivers}
        silence = next((s for s in policy.silences if s.match.matches(*what) and s.holds(at.time, own.zone)), None)
        spoken = spoken or silence is None
        for route in routes:
            if silence is not None:
                waiting |= dict.fromkeys(route.receivers, f"silence: {silence.reason}")
            elif works or route.hours == "always":
                receivers |= dict.fromkeys(route.receivers)
            else:
                waiting |= dict.fromkeys(route.receivers, "nobody is on shift, by the brand's calendar")
    if not said.firing:
        receivers, waiting = dict.fromkeys(before), {}
    elif not spoken:
        waiting = dict.fromkeys((*before, *waiting), f"silence: {silence.reason}") if silence is not None else waiting
        receivers = {}
    return _Told(tuple(receivers), tuple(name for name in receivers if name in shown), _withheld(receivers, waiting))


def _withheld(receivers: dict[str, None], waiting: dict[str, str]) -> str | None:
    """Who waits, and why; None where nobody does."""
    whys: dict[str, list[str]] = {}
    for name, why in waiting.items():
        if name not in receivers:
            whys.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in whys.items()) or None
