"""How facts, alerts and notes change the incidents. Pure: each function depends on its arguments alone."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from agents.alerts.state import (
    Incident,
    IncidentForgotten,
    Incidents,
    IncidentsNoted,
    LastAlert,
    OverdueDesk,
    SilentChannel,
    SurgeIncident,
    TimerNoted,
)
from agents.decider import StateNote
from schemas.records import (
    Alert,
    CaseClosed,
    ChannelChanged,
    ClockChanged,
    CrisisClosed,
    CrisisOpened,
    Decided,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)

SurgeEvent = SurgeOpened | SurgeUpdated | SurgeClosed | CrisisOpened | CrisisClosed
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


def incident_of(state: Incidents, fact: SurgeEvent) -> SurgeIncident | None:
    """The incident to which an event of a surge or crisis belongs: the one that lists it; where it opens, the brand's running one
    or a new one. None where the event was read before, or what it is about never opened.
    """
    known = state.of(fact.brand, SurgeIncident)
    own = next((one for one in known if fact.aggregate in one.surges or fact.aggregate in one.crises), None)
    if own is not None:
        return own if fact.seq > max(own.surges.get(fact.aggregate, 0), own.crises.get(fact.aggregate, 0)) else None
    if not isinstance(fact, SurgeOpened | CrisisOpened):
        return None
    running = next((one for one in known if one.runs), None)
    begun_by: Literal["surge", "crisis"] = "surge" if isinstance(fact, SurgeOpened) else "crisis"
    return running or SurgeIncident(fact.brand, fact.aggregate, fact.mode, {}, [], begun_by=begun_by)


def after_silence(state: Incidents, fact: ChannelChanged) -> SilentChannel | None:
    """The channel after it fell silent or was heard; None where the event was read before, or it was never silent."""
    fresh = SilentChannel(fact.brand, fact.channel, fact.mode, 0)
    known = state.get(fresh.fingerprint)
    if not isinstance(known, SilentChannel):
        known = fresh if fact.change == "silent" else None
    return replace(known, seq=fact.seq, mode=fact.mode) if known is not None and fact.seq > known.seq else None


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
