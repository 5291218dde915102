"""The Decider over `signals`: an alert for each surge, crisis and desk with overdue clocks, until it is resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from agents.alerts import crisis_alerts, overdue_alerts, surge_alerts
from agents.alerts.evolve import after_clock, after_closing, after_crisis, after_surge, evolve
from agents.alerts.state import Incident, IncidentForgotten, Incidents, IncidentsNoted, OverdueDesk, TimerNoted
from agents.decider import At, StateNote, Timer
from schemas.records import (
    CaseClosed,
    ClockChanged,
    CrisisClosed,
    CrisisOpened,
    Decided,
    Record,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)

Events = Iterator[Decided | StateNote]


def _surge(state: Incidents, fact: SurgeOpened | SurgeUpdated | SurgeClosed, at: At) -> Events:
    incident = after_surge(state, fact)
    if incident is not None:
        yield IncidentsNoted({incident.fingerprint: incident})
        yield from surge_alerts.alerts(incident, fact, at.not_before(fact.time))


def _crisis(state: Incidents, fact: CrisisOpened | CrisisClosed, at: At) -> Events:
    incident = after_crisis(state, fact)
    if incident is not None:
        yield IncidentsNoted({incident.fingerprint: incident})
        yield crisis_alerts.alert(incident, fact, at.not_before(fact.time))


def _clock(state: Incidents, fact: ClockChanged, _at: At) -> Events:
    desks = after_clock(state, fact)
    if desks:
        yield IncidentsNoted(desks)


def _closing(state: Incidents, fact: CaseClosed, _at: At) -> Events:
    desks = after_closing(state, fact)
    if desks:
        yield IncidentsNoted(desks)


def _woken(state: Incidents, timer: Timer, at: At) -> Events:
    yield TimerNoted(timer.key, timer.at)
    incident = state.get(timer.key)
    if incident is None:
        return
    if _forgettable(incident, at):
        yield IncidentForgotten(timer.key)
    elif isinstance(incident, OverdueDesk):
        yield from overdue_alerts.alerts(incident, at)


def _forgettable(incident: Incident, at: At) -> bool:
    """Whether the alert was resolved longer ago than `forget_after`, and no clock is overdue."""
    alert = incident.last_alert
    if alert is None or alert.ends_at is None or (isinstance(incident, OverdueDesk) and incident.clocks):
        return False
    return at.time >= alert.ends_at + at.policy.alerts.forget_after


_RULES: dict[type[Record], Callable[[Incidents, Any, At], Events]] = {
    SurgeOpened: _surge,
    SurgeUpdated: _surge,
    SurgeClosed: _surge,
    CrisisOpened: _crisis,
    CrisisClosed: _crisis,
    ClockChanged: _clock,
    CaseClosed: _closing,
}


class AlertsDecider:
    """Decides over `signals`. State: one `Incident` by its alert's fingerprint.

    Alerts of surges and crises follow their events at once. A desk's overdue clocks are counted at whole minutes.
    """

    record_types: ClassVar[Any] = Incident
    reads: ClassVar[tuple[type[Record], ...]] = tuple(_RULES)

    def initial(self) -> Incidents:
        """A state without incidents."""
        return Incidents()

    def due(self, record: Incident) -> int | None:
        """ms; when the incident must be looked at again, or forgotten."""
        return record.due()

    def decide(self, state: Incidents, fact: Record | Timer, at: At) -> Events:
        """Yields the notes and alerts that follow from a fact or a timer; nothing for a fact of another type."""
        if isinstance(fact, Timer):
            return _woken(state, fact, at)
        rule = _RULES.get(type(fact))
        return iter(()) if rule is None else rule(state, fact, at)

    def evolve(self, state: Incidents, event: Decided | StateNote) -> dict[str, Incident | None]:
        """The incidents that an alert or a note changes, by fingerprint; None for a removed incident."""
        return evolve(state, event)
