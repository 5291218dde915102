"""The Decider over `signals`: an alert for each surge with its crisis, silent channel and desk with overdue clocks, until it is
resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from agents.alerts import overdue_alerts, silence_alerts, surge_alerts
from agents.alerts.evolve import SurgeEvent, after_clock, after_closing, after_silence, evolve, incident_of
from agents.alerts.state import (
    Incident,
    IncidentForgotten,
    Incidents,
    IncidentsNoted,
    OverdueDesk,
    SilentChannel,
    TimerNoted,
)
from agents.decider import At, StateNote, Timer
from schemas.records import (
    CaseClosed,
    ChannelChanged,
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


def _surge(state: Incidents, fact: SurgeEvent, at: At) -> Events:
    incident = incident_of(state, fact)
    if incident is not None:
        after = surge_alerts.after(incident, fact)
        yield IncidentsNoted({after.fingerprint: after})
        yield from surge_alerts.alerts(after, fact, at.not_before(fact.time))


def _silence(state: Incidents, fact: ChannelChanged, at: At) -> Events:
    channel = after_silence(state, fact)
    if channel is not None:
        yield IncidentsNoted({channel.fingerprint: channel})
        yield from silence_alerts.alerts(channel, fact, at.not_before(fact.time))


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
    elif isinstance(incident, SilentChannel):
        yield from silence_alerts.given_up(incident, at)


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
    CrisisOpened: _surge,
    CrisisClosed: _surge,
    ChannelChanged: _silence,
    ClockChanged: _clock,
    CaseClosed: _closing,
}


class AlertsDecider:
    """Decides over `signals`. State: one `Incident` by its alert's fingerprint.

    Alerts of surges, crises and silent channels follow their events at once. A desk's overdue clocks are counted at whole minutes.
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
