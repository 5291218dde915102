"""Alerts of surges: an alert fires while at least one surge of its incident runs."""

from __future__ import annotations

from collections.abc import Iterator

from agents.alerts.alert_versions import next_version
from agents.alerts.state import SurgeIncident
from agents.decider import At
from schemas.records import Alert, Evidence, Severity, SurgeClosed, SurgeOpened, SurgeUpdated
from schemas.times import rfc3339


def alerts(incident: SurgeIncident, fact: SurgeOpened | SurgeUpdated | SurgeClosed, at: At) -> Iterator[Alert]:
    """The alert that follows from a surge's event; none while another surge of the incident still runs.

    `incident` is the incident after the event.
    """
    firing = bool(incident.running)
    if isinstance(fact, SurgeClosed):
        if firing:
            return
        summary, evidence = _closed(fact)
    else:
        summary, evidence = f"{fact.brand}: {_sentence(fact.evidence)}", _figures(fact.evidence)
    evidence = {"surge": incident.surge, **evidence}
    severity = _severity(incident, fact, at)
    yield next_version(incident, "surge", severity, fact.mode, firing, summary, evidence, fact.reason, at)


def _severity(incident: SurgeIncident, fact: SurgeOpened | SurgeUpdated | SurgeClosed, at: At) -> Severity:
    """`page` where contacts rise, or where a conversation is led by complaints; else `info`. The severity of an
    incident never falls again.
    """
    if incident.last_alert is not None and incident.last_alert.firing and incident.last_alert.severity == "page":
        return "page"
    if isinstance(fact, SurgeClosed) or not at.policy.brand(fact.brand).care:
        return "info"
    seen = fact.evidence
    load = seen.detector == "load" or any(other.detector == "load" for other in seen.others)
    posts = sum(seen.labels.values())
    led = seen.labels.get("complaint", 0) >= at.policy.surge.complaint_share * posts > 0
    return "page" if load or (led and seen.detector == "conversation") else "info"


def _closed(fact: SurgeClosed) -> tuple[str, dict[str, str]]:
    """(summary, evidence) of a surge that closed."""
    minutes = (fact.ended_at - fact.started_at) // 60_000
    end = "is over" if fact.close_reason == "over" else "has become the usual"
    summary = f"{fact.brand}: the surge {end} after {minutes} min, {fact.peak:.1f} times the usual at its peak"
    return summary, {
        "peak": f"{fact.peak:.1f}",
        "excess": f"{fact.excess:.0f}",
        "close_reason": fact.close_reason,
    }


def _sentence(seen: Evidence) -> str:
    minutes = (seen.window_end - seen.window_start) // 60_000
    about = f", {seen.root_share:.0%} about one post" if seen.root_share is not None else ""
    return (
        f"{seen.actual:.0f} posts in {minutes} min where {seen.baseline:.1f} are usual, {seen.ratio:.1f} times{about}"
    )


def _figures(seen: Evidence) -> dict[str, str]:
    """The figures of the evidence as text. Each figure of a map has its own name, such as `labels.complaint`."""
    figures = {
        "detector": seen.detector,
        "scope": seen.scope,
        "window_start": rfc3339(seen.window_start),
        "window_end": rfc3339(seen.window_end),
        "actual": f"{seen.actual:.0f}",
        "baseline": f"{seen.baseline:.1f}",
        "ratio": f"{seen.ratio:.1f}",
        "threshold": f"{seen.threshold:g}",
    }
    figures |= {f"labels.{label}": str(count) for label, count in sorted(seen.labels.items())}
    figures |= {f"channels.{channel}": str(count) for channel, count in sorted(seen.channels.items())}
    return figures | ({"root": seen.root} if seen.root else {})
