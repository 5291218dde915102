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
    """The version after `incident.last_alert`. An alert that fires again after it was resolved starts at `at.time`. Its severity
    never falls before it is resolved.
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
        mode=said.mode,
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
    """Whether a receiver may be told now from whom the last version was withheld."""
    last = incident.last_alert
    if last is None or not (last.firing and last.withheld):
        return False
    said = Said(kind, last.severity, "live", True, "", {}, "")
    return bool(set(_told(incident.brand, said, last, desk, at).receivers) - set(last.receivers))


class _Told(NamedTuple):
    receivers: tuple[str, ...]
    texts: tuple[str, ...]
    withheld: str | None


def _told(brand: str, said: Said, last: LastAlert | None, desk: str | None, at: At) -> _Told:
    """Whom a version is told: who was told of this incident before, and whom a route names that neither a silence nor the night
    holds back.
    """
    receivers = dict.fromkeys(last.receivers if last else ())
    texts = dict.fromkeys(last.texts if last else ())
    policy, own = at.policy.alerts, at.policy.brand(brand)
    what = (brand, said.kind, said.severity, desk)
    waiting: dict[str, str] = {}
    if said.firing:
        silent = next((s for s in policy.silences if s.match.matches(*what) and s.holds(at.time, own.zone)), None)
        works = said.severity == "page" or own.works(at.time)
        for route in policy.routes:
            if not route.match.matches(*what):
                continue
            if silent is not None:
                waiting |= dict.fromkeys(route.receivers, f"silence: {silent.reason}")
            elif route.hours == "working" and not works:
                waiting |= dict.fromkeys(route.receivers, "nobody is on shift, by the brand's calendar")
            else:
                receivers |= dict.fromkeys(route.receivers)
                texts |= dict.fromkeys(route.receivers if route.texts else ())
    whys: dict[str, list[str]] = {}
    for receiver, why in waiting.items():
        if receiver not in receivers:
            whys.setdefault(why, []).append(receiver)
    withheld = "; ".join(f"{', '.join(names)}: {why}" for why, names in whys.items()) or None
    return _Told(tuple(receivers), tuple(texts), withheld)
