"""Alerts of crises: an alert of severity `page` fires from the opening of a crisis until it is closed."""

from __future__ import annotations

from agents.alerts.alert_versions import next_version
from agents.alerts.state import CrisisIncident
from agents.decider import At
from schemas.records import Alert, CrisisClosed, CrisisOpened


def alert(incident: CrisisIncident, fact: CrisisOpened | CrisisClosed, at: At) -> Alert:
    """The alert that follows from a crisis's event. `incident` is the incident after the event."""
    evidence = {"crisis": incident.crisis, "by": fact.by}
    firing = isinstance(fact, CrisisOpened)
    if isinstance(fact, CrisisOpened):
        evidence |= {name: value for name, value in (("surge", fact.surge_id), ("root", fact.root)) if value}
        about = ", about one post" if fact.root else ""
        summary = f"{fact.brand}: crisis, {'by rule' if fact.by == 'rule' else f'declared by {fact.by}'}{about}"
    else:
        summary = f"{fact.brand}: the crisis is over"
    return next_version(incident, "crisis", "page", fact.mode, firing, summary, evidence, fact.reason, at)
