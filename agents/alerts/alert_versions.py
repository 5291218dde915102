"""The next version of an incident's alert."""

from __future__ import annotations

from agents.alerts.state import Incident
from agents.decider import At
from schemas import ids
from schemas.records import Alert, AlertKind, Mode, Severity


def next_version(
    incident: Incident,
    kind: AlertKind,
    severity: Severity,
    mode: Mode,
    firing: bool,
    summary: str,
    evidence: dict[str, str],
    reason: str,
    at: At,
) -> Alert:
    """The version after `incident.last_alert`. An alert that fires again after it was resolved starts at `at.time`.

    `summary` is a sentence for people. `evidence` holds each figure once, for programs: numbers as digits, times as
    RFC 3339.
    """
    last, fingerprint = incident.last_alert, incident.fingerprint
    version = last.version + 1 if last else 1
    starts_at = last.starts_at if last and last.firing else at.time
    envelope = at.envelope(fingerprint, version, reason)
    envelope["id"] = ids.make("alert", starts_at, version, fingerprint)
    return Alert(
        **envelope,
        state="firing" if firing else "resolved",
        kind=kind,
        severity=severity,
        brand=incident.brand,
        mode=mode,
        summary=summary,
        starts_at=starts_at,
        ends_at=None if firing else at.time,
        evidence=evidence,
        links={"runbook": f"docs/runbooks/{kind}.md"},
    )
