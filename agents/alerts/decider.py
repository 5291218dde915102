"""Opens, renews and resolves alerts: one fingerprint an incident, whatever is opened is resolved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec.structs import replace

from agents.alerts.incidents import HOUR, Burst, Crisis, Incident, Incidents, Overdue, Told
from agents.decider import At, Timer
from schemas import ids
from schemas.records import (
    Alert,
    AlertKind,
    CaseClosed,
    ClockChanged,
    CrisisClosed,
    CrisisOpened,
    Decided,
    Evidence,
    Mode,
    Record,
    Severity,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)

_Surge = SurgeOpened | SurgeUpdated | SurgeClosed
_Crisis = CrisisOpened | CrisisClosed
_RESPONSE = ("first_response", "next_response")
#: Changes after which a clock is no longer overdue.
_ENDS = ("met", "rescinded", "voided")


class AlertsDecider:
    """The alerts of surges and crises follow them; a desk's overdue clocks are judged at whole minutes."""

    record_types: ClassVar[Any] = Incident

    def initial(self) -> Incidents:
        """No incident."""
        return Incidents()

    def due(self, record: Incident) -> int | None:
        """When it is to be judged or forgotten."""
        return record.due()

    def decide(self, state: Any, fact: Record | Timer, at: At) -> Iterator[Decided]:
        """Facts are remembered where they concern an incident; alerts follow."""
        if isinstance(fact, _Surge):
            if _after_surge(state, fact):
                yield fact
                yield from _tell_surge(_burst(state, fact), fact, at.not_before(fact.time))
        elif isinstance(fact, _Crisis):
            if _after_crisis(state, fact):
                yield fact
                crisis = state[Crisis(fact.brand, fact.aggregate).fingerprint]
                yield _tell_crisis(crisis, fact, at.not_before(fact.time))
        elif isinstance(fact, ClockChanged | CaseClosed):
            if _after_clocks(state, fact):
                yield fact
        elif isinstance(fact, Timer):
            yield fact  # type: ignore[misc]  # woken
            incident = state.get(fact.key)
            if incident is None:
                return
            if _forgettable(incident, at):
                yield fact  # type: ignore[misc]  # woken twice at one moment: forgotten
                return
            if isinstance(incident, Overdue):
                yield from _tell_overdue(incident, at)

    def evolve(self, state: Any, event: Record | Timer) -> dict[str, Incident | None]:
        """Incidents that a fact or an alert changes. The second firing of one timer forgets its incident."""
        if isinstance(event, Alert):
            return {event.fingerprint: replace(state[event.fingerprint], told=Told.of(event))}
        if isinstance(event, _Surge):
            return _after_surge(state, event)
        if isinstance(event, _Crisis):
            return _after_crisis(state, event)
        if isinstance(event, ClockChanged | CaseClosed):
            return _after_clocks(state, event)
        if isinstance(event, Timer):
            incident = state[event.key]
            if incident.woken == event.at:
                return {event.key: None}
            if isinstance(incident, Overdue):
                awake = incident.awake(event.at)
                return {event.key: None if awake.idle else awake}
            return {event.key: replace(incident, woken=event.at)}
        return {}


# --- surges ------------------------------------------------------------------------------------------


def _burst(state: Incidents, fact: _Surge) -> Burst | None:
    """The incident that a surge's event belongs to: its own, else one of the brand that is running."""
    bursts = state.of(fact.brand, Burst)
    own = (burst for burst in bursts if fact.aggregate in burst.surges)
    running = (burst for burst in bursts if burst.running and isinstance(fact, SurgeOpened))
    return next(own, None) or next(running, None)


def _after_surge(state: Incidents, fact: _Surge) -> dict[str, Incident | None]:
    burst = _burst(state, fact)
    if burst is None:
        if not isinstance(fact, SurgeOpened):
            return {}
        burst = Burst(fact.brand, fact.aggregate, fact.mode, {}, [])
    if fact.seq <= burst.surges.get(fact.aggregate, 0):
        return {}
    return {burst.fingerprint: burst.after(fact)}


def _tell_surge(burst: Burst | None, fact: _Surge, at: At) -> Iterator[Decided]:
    if burst is None or (isinstance(fact, SurgeClosed) and burst.running):
        return  # another surge of the incident goes on
    figures = {"surge": burst.surge}
    if isinstance(fact, SurgeClosed):
        figures |= {"peak": f"{fact.peak:.1f}", "excess": f"{fact.excess:.0f}", "close_reason": fact.close_reason}
        minutes = (fact.ended_at - fact.started_at) // 60_000
        end = "is over" if fact.close_reason == "over" else "has become the usual"
        summary = f"{fact.brand}: the surge {end} after {minutes} min, {fact.peak:.1f} times the usual at its peak"
    else:
        figures |= _figures(fact.evidence)
        summary = f"{fact.brand}: {_flood(fact.evidence)}"
    severity = _severity(burst, fact, at)
    yield _alert(burst, "surge", severity, fact.mode, bool(burst.running), summary, figures, fact.reason, at)


def _severity(burst: Burst, fact: _Surge, at: At) -> Severity:
    """A burst is information. People are woken by contacts, or by complaints that are passed on; it never falls again."""
    if burst.told is not None and burst.told.open and burst.told.severity == "page":
        return "page"
    if isinstance(fact, SurgeClosed) or not at.policy.brand(fact.brand).care:
        return "info"
    seen = fact.evidence
    load = seen.detector == "load" or any(other.detector == "load" for other in seen.others)
    posts = sum(seen.labels.values())
    led = seen.labels.get("complaint", 0) >= at.policy.surge.complaint_share * posts > 0
    return "page" if load or (led and seen.detector == "conversation") else "info"


def _flood(seen: Evidence) -> str:
    minutes = (seen.window_end - seen.window_start) // 60_000
    about = f", {seen.root_share:.0%} about one post" if seen.root_share is not None else ""
    return (
        f"{seen.actual:.0f} posts in {minutes} min where {seen.baseline:.1f} are usual, {seen.ratio:.1f} times{about}"
    )


def _figures(seen: Evidence) -> dict[str, str]:
    """The evidence in words: names and figures."""
    figures = {
        "detector": seen.detector,
        "scope": seen.scope,
        "window_start": str(seen.window_start),
        "window_end": str(seen.window_end),
        "actual": f"{seen.actual:.0f}",
        "baseline": f"{seen.baseline:.1f}",
        "ratio": f"{seen.ratio:.1f}",
        "threshold": f"{seen.threshold:g}",
        "labels": ", ".join(f"{label} {count}" for label, count in sorted(seen.labels.items())),
        "channels": ", ".join(f"{channel} {count}" for channel, count in sorted(seen.channels.items())),
    }
    return figures | ({"root": seen.root} if seen.root else {})


# --- crises ------------------------------------------------------------------------------------------


def _after_crisis(state: Incidents, fact: _Crisis) -> dict[str, Incident | None]:
    fresh = Crisis(fact.brand, fact.aggregate)
    known = state.get(fresh.fingerprint)
    if isinstance(known, Crisis):
        return {fresh.fingerprint: known.after(fact)} if fact.seq > known.seq else {}
    return {fresh.fingerprint: fresh.after(fact)} if isinstance(fact, CrisisOpened) else {}


def _tell_crisis(crisis: Crisis, fact: _Crisis, at: At) -> Alert:
    figures = {"crisis": crisis.crisis, "by": fact.by}
    if isinstance(fact, CrisisOpened):
        figures |= {name: value for name, value in (("surge", fact.surge), ("root", fact.root)) if value}
        about = ", about one post" if fact.root else ""
        summary = f"{fact.brand}: crisis, {'by rule' if fact.by == 'rule' else f'declared by {fact.by}'}{about}"
    else:
        summary = f"{fact.brand}: the crisis is over"
    return _alert(
        crisis, "crisis", "page", fact.mode, isinstance(fact, CrisisOpened), summary, figures, fact.reason, at
    )


# --- overdue clocks ----------------------------------------------------------------------------------


def _after_clocks(state: Incidents, fact: ClockChanged | CaseClosed) -> dict[str, Incident | None]:
    """Desks whose overdue clocks change. A clock is looked for at all of a brand's desks: cases move."""
    if isinstance(fact, ClockChanged) and fact.change != "breached" and fact.change not in _ENDS:
        return {}
    desks = state.of(fact.brand, Overdue)
    if not desks and not (isinstance(fact, ClockChanged) and fact.change == "breached"):
        return {}
    if isinstance(fact, CaseClosed):
        mine = f"{fact.aggregate}:"
        return _without(desks, fact, {c for desk in desks for c in desk.clocks if c.startswith(mine)})
    if fact.metric not in _RESPONSE or fact.non_sla:
        return {}
    clock = f"{fact.aggregate}:{fact.metric}:{fact.cycle}"
    known = any(clock in desk.clocks for desk in desks)
    if fact.change == "breached" and not known:
        desk = next((d for d in desks if d.desk == fact.desk), None) or Overdue(fact.brand, fact.desk)
        after = desk.breached(fact.aggregate, fact.seq, clock, fact.detected_at or fact.time, fact.time)
        return {} if after is desk else {desk.fingerprint: after}
    if fact.change in _ENDS and known:
        return _without(desks, fact, {clock})
    if fact.change in _ENDS and (fact.breached_at is not None or fact.change == "rescinded"):
        return {d.fingerprint: d.fewer(fact.time) for d in desks if d.desk == fact.desk and d.beyond}
    return {}


def _without(desks: list[Overdue], fact: ClockChanged | CaseClosed, clocks: set[str]) -> dict[str, Incident | None]:
    changed: dict[str, Incident | None] = {}
    for desk in desks:
        gone = [clock for clock in desk.clocks if clock in clocks]
        if gone:
            changed[desk.fingerprint] = desk.without(fact.aggregate, fact.seq, gone, fact.time)
    return changed


def _tell_overdue(desk: Overdue, at: At) -> Iterator[Decided]:
    policy, told = at.policy.alerts, desk.told
    grace = min(policy.sla_grace, HOUR)  # for a desk sleeps an hour after its last change
    count = desk.count(at.time, grace)
    if told is None or not told.open:
        if count >= policy.sla_overdue:
            yield _overdue(desk, True, count, f"overdue: {count}, opens at {policy.sla_overdue}", at)
        return
    # The most is never less than what is overdue now, and costs a look at every change of the hour.
    calm = 2 * count < policy.sla_overdue
    if calm and 2 * desk.most(at.time, grace, policy.sla_calm) < policy.sla_overdue:
        reason = f"calm: below half of {policy.sla_overdue} overdue for {policy.sla_calm // 60_000} min"
        yield _overdue(desk, False, count, reason, at)
    elif count >= 2 * told.overdue:
        yield _overdue(desk, True, count, f"overdue: {count}, twice the {told.overdue} told last", at)


def _overdue(desk: Overdue, open_: bool, count: int, reason: str, at: At) -> Alert:
    figures = {"desk": desk.desk, "overdue": str(count)}
    oldest = desk.oldest(at.time)
    if oldest is not None:
        figures["oldest"] = str(oldest)
    case = "case" if count == 1 else "cases"
    summary = f"{desk.brand}: {count} overdue {case} at desk {desk.desk}" + ("" if open_ else "; calm again")
    mode = at.policy.brand(desk.brand).mode
    return _alert(desk, "sla_breach", "warning", mode, open_, summary, figures, reason, at)


# --- all kinds ---------------------------------------------------------------------------------------


def _forgettable(incident: Incident, at: At) -> bool:
    """Resolved long ago, and nothing new began."""
    told = incident.told
    if told is None or told.ends_at is None or (isinstance(incident, Overdue) and incident.clocks):
        return False
    return at.time >= told.ends_at + at.policy.alerts.forget_after


def _alert(
    incident: Incident,
    kind: AlertKind,
    severity: Severity,
    mode: Mode,
    open_: bool,
    summary: str,
    evidence: dict[str, str],
    reason: str,
    at: At,
) -> Alert:
    """The incident's next version; one that opens anew after a resolution starts now, which is when its cause was decided."""
    told, fingerprint = incident.told, incident.fingerprint
    version = told.version + 1 if told else 1
    starts_at = told.starts_at if told and told.open else at.time
    envelope = at.envelope(fingerprint, version, reason)
    envelope["id"] = ids.make("alert", starts_at, version, fingerprint)
    return Alert(
        **envelope,
        fingerprint=fingerprint,
        version=version,
        state="firing" if open_ else "resolved",
        kind=kind,
        severity=severity,
        brand=incident.brand,
        mode=mode,
        summary=summary,
        starts_at=starts_at,
        ends_at=None if open_ else at.time,
        evidence=evidence,
        links={"runbook": f"docs/runbooks/{kind}.md"},
    )
