"""The Decider over `signals`: an alert for each flood, silent channel, desk with overdue cases and person who is asked for cases,
until it is resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from msgspec.structs import replace

from agents.alerts import escalation_alerts, overdue_alerts, silence_alerts, surge_alerts
from agents.alerts.facts import Records, after_desk, after_silence, after_step, after_surge, after_work
from agents.alerts.state import (
    AlertState,
    Escalations,
    Incident,
    Incidents,
    LastAlert,
    Noted,
    OpenWork,
    OverdueDesk,
    SilentChannel,
    SurgeIncident,
)
from agents.decider import At, StateNote, Timer
from schemas.records import (
    Alert,
    Assigned,
    ChannelChanged,
    CrisisClosed,
    CrisisOpened,
    Decided,
    Escalated,
    Record,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    WorkChanged,
)

Events = Iterator[Decided | StateNote]


def _woken(state: Incidents, timer: Timer, at: At) -> Events:
    record = state.get(timer.key)
    if record is None:
        return
    if isinstance(record, OpenWork):
        yield Noted(after_step(state, record, at))
        return
    if _is_over(record, at):
        yield Noted({timer.key: None})
        return
    found = list(_alerts(state, record, at))
    told = any(isinstance(made, Alert) for made in found)
    for made in found:
        yield made if isinstance(made, Alert) else Noted({made.fingerprint: made if told else _kept(made)})


def _alerts(state: Incidents, incident: Incident, at: At) -> Iterator[Alert | Incident]:
    match incident:
        case SurgeIncident():
            return surge_alerts.woken(state, incident, at)
        case SilentChannel():
            return silence_alerts.woken(incident, at)
        case OverdueDesk():
            return overdue_alerts.woken(state, incident, at)
        case Escalations():
            return escalation_alerts.woken(state, incident, at)


def _kept(record: Incident) -> Incident | None:
    """The record; None where it holds nothing that was told or is to be looked at."""
    if not isinstance(record, OverdueDesk | Escalations):
        return record
    if isinstance(record, OverdueDesk) and record.late:
        return record
    return None if record.last_alert is None and record.check_at is None else record


def _is_over(incident: Incident, at: At) -> bool:
    """Whether the alert was resolved longer ago than `forget_after`, and nothing is to be looked at."""
    last = incident.last_alert
    if last is None or last.ends_at is None or at.time < last.ends_at + at.policy.alerts.forget_after:
        return False
    return not (incident.check_at if isinstance(incident, OverdueDesk | Escalations) else incident.steps)


_RULES: dict[type[Record], Callable[[Incidents, Any, At], Records]] = {
    SurgeOpened: after_surge,
    SurgeUpdated: after_surge,
    SurgeClosed: after_surge,
    CrisisOpened: after_surge,
    CrisisClosed: after_surge,
    ChannelChanged: lambda state, fact, _at: after_silence(state, fact),
    WorkChanged: lambda state, fact, _at: after_work(state, fact),
    Escalated: lambda state, fact, _at: after_desk(state, fact),
    Assigned: lambda state, fact, _at: after_desk(state, fact),
}


class AlertsDecider:
    """Decides over `signals`. State: one `Incident` by its alert's fingerprint, and the work that waits.

    Facts change records. Alerts follow at timers: at the time of an event of a surge or a channel, and for overdue cases at whole
    minutes.
    """

    record_types: ClassVar[Any] = AlertState
    reads: ClassVar[tuple[type[Record], ...]] = tuple(_RULES)

    def initial(self) -> Incidents:
        """A state without incidents."""
        return Incidents()

    def due(self, record: AlertState) -> int | None:
        """ms; when the record must be looked at again, or forgotten."""
        return record.due()

    def decide(self, state: Incidents, fact: Record | Timer, at: At) -> Events:
        """Yields the notes and alerts that follow from a fact or a timer; nothing for a fact of another type."""
        if isinstance(fact, Timer):
            yield from _woken(state, fact, at)
        elif (rule := _RULES.get(type(fact))) is not None and (changed := rule(state, fact, at)):
            yield Noted(changed)

    def evolve(self, state: Incidents, event: Decided | StateNote) -> dict[str, AlertState | None]:
        """The records that an alert or a note changes, by key; None for a removed record."""
        match event:
            case Noted():
                return event.records
            case Alert():
                incident: Any = state[event.fingerprint]
                return {event.fingerprint: replace(incident, last_alert=LastAlert.of(event, incident.last_alert))}
        return {}
