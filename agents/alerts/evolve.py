"""How facts, alerts and notes change the incidents. Pure: each function depends on its arguments alone."""

from __future__ import annotations

from msgspec.structs import replace

from agents.alerts.state import (
    CrisisIncident,
    Incident,
    IncidentForgotten,
    Incidents,
    IncidentsNoted,
    LastAlert,
    OverdueDesk,
    SurgeIncident,
    TimerNoted,
)
from agents.decider import StateNote
from schemas.records import (
    Alert,
    CaseClosed,
    ClockChanged,
    CrisisClosed,
    CrisisOpened,
    Decided,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)

_RESPONSE = ("first_response", "next_response")
#: Changes after which a clock is no longer overdue.
_ENDS = ("met", "rescinded", "voided")


def evolve(state: Incidents, event: Decided | StateNote) -> dict[str, Incident | None]:
    """The incidents that an alert or a note changes, by fingerprint; None for a removed incident."""
    match event:
        case Alert():
            return {event.fingerprint: replace(state[event.fingerprint], last_alert=LastAlert.of(event))}
        case IncidentsNoted():
            return {**event.incidents}
        case TimerNoted():
            return {event.fingerprint: _woken(state[event.fingerprint], event.at)}
        case IncidentForgotten():
            return {event.fingerprint: None}
    return {}


def _woken(incident: Incident, at: int) -> Incident | None:
    if isinstance(incident, OverdueDesk):
        desk = incident.woken(at)
        return None if desk.idle else desk
    return replace(incident, woken_at=at)


def after_surge(state: Incidents, fact: SurgeOpened | SurgeUpdated | SurgeClosed) -> SurgeIncident | None:
    """The incident after a surge's event; None where the event was read before, or its surge never opened."""
    incident = _surge_incident(state, fact)
    if incident is None:
        if not isinstance(fact, SurgeOpened):
            return None
        incident = SurgeIncident(fact.brand, fact.aggregate, fact.mode, {}, [])
    return incident.after(fact) if fact.seq > incident.surges.get(fact.aggregate, 0) else None


def _surge_incident(state: Incidents, fact: SurgeOpened | SurgeUpdated | SurgeClosed) -> SurgeIncident | None:
    """The incident that already lists this surge. A surge that opens joins the brand's running incident, if there is one."""
    incidents = state.of(fact.brand, SurgeIncident)
    own = (incident for incident in incidents if fact.aggregate in incident.surges)
    running = (incident for incident in incidents if incident.running and isinstance(fact, SurgeOpened))
    return next(own, None) or next(running, None)


def after_crisis(state: Incidents, fact: CrisisOpened | CrisisClosed) -> CrisisIncident | None:
    """The incident after a crisis's event; None where the event was read before, or its crisis never opened."""
    fresh = CrisisIncident(fact.brand, fact.aggregate)
    known = state.get(fresh.fingerprint)
    if isinstance(known, CrisisIncident):
        return known.after(fact) if fact.seq > known.seq else None
    return fresh.after(fact) if isinstance(fact, CrisisOpened) else None


def after_clock(state: Incidents, fact: ClockChanged) -> dict[str, Incident]:
    """The desks whose overdue clocks change with a clock's event, by fingerprint.

    Only response clocks count, and only those with an SLA target. A case may have moved since its clock breached, so a
    clock that ends is searched at all desks of the brand.
    """
    if fact.change == "breached":
        return _after_breach(state, fact)
    if fact.change not in _ENDS:
        return {}
    desks = state.of(fact.brand, OverdueDesk)
    if not desks or not _counts(fact):
        return {}
    clock = _clock(fact)
    if any(clock in desk.clocks for desk in desks):
        return _without(desks, fact, {clock})
    if fact.breached_at is not None or fact.change == "rescinded":
        # The clock was overdue, but the desk's list was full.
        return {d.fingerprint: d.one_unlisted_less(fact.time) for d in desks if d.desk == fact.desk and d.unlisted}
    return {}


def after_closing(state: Incidents, fact: CaseClosed) -> dict[str, Incident]:
    """The desks whose overdue clocks change when a case is closed: none of the case's clocks is overdue any more."""
    desks = state.of(fact.brand, OverdueDesk)
    own = f"{fact.aggregate}:"
    return _without(desks, fact, {clock for desk in desks for clock in desk.clocks if clock.startswith(own)})


def _after_breach(state: Incidents, fact: ClockChanged) -> dict[str, Incident]:
    if not _counts(fact):
        return {}
    desks, clock = state.of(fact.brand, OverdueDesk), _clock(fact)
    if any(clock in desk.clocks for desk in desks):
        return {}
    desk = next((d for d in desks if d.desk == fact.desk), None) or OverdueDesk(fact.brand, fact.desk)
    after = desk.breached(fact.aggregate, fact.seq, clock, fact.detected_at or fact.time, fact.time)
    return {} if after is desk else {desk.fingerprint: after}


def _counts(fact: ClockChanged) -> bool:
    return fact.metric in _RESPONSE and not fact.non_sla


def _clock(fact: ClockChanged) -> str:
    return f"{fact.aggregate}:{fact.metric}:{fact.cycle}"


def _without(desks: list[OverdueDesk], fact: ClockChanged | CaseClosed, clocks: set[str]) -> dict[str, Incident]:
    changed: dict[str, Incident] = {}
    for desk in desks:
        gone = [clock for clock in desk.clocks if clock in clocks]
        if gone:
            changed[desk.fingerprint] = desk.without(fact.aggregate, fact.seq, gone, fact.time)
    return changed
