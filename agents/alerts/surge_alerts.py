"""Alerts of surges and crises: one alert fires while a surge or a crisis of its incident runs. Its severity never falls before
it is resolved.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.alerts.alert_versions import next_version
from agents.alerts.evolve import SurgeEvent
from agents.alerts.state import OpenCrisis, SurgeIncident
from agents.decider import At
from schemas.records import (
    Alert,
    CrisisClosed,
    CrisisOpened,
    Evidence,
    Severity,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)
from schemas.times import rfc3339

#: The least share of the posts that are about one post for people to read of it.
_TOLD = 0.01
_CROWDS = {"few": ", by a few accounts", "copies": ", copies of a few texts"}


def after(incident: SurgeIncident, fact: SurgeEvent) -> SurgeIncident:
    """The incident after an event, with what there is to say of it."""
    if isinstance(fact, CrisisOpened | CrisisClosed):
        return incident.with_crisis(fact)
    said, figures = (
        _closed(fact) if isinstance(fact, SurgeClosed) else (_sentence(fact.evidence), _figures(fact.evidence))
    )
    return incident.with_surge(fact, said, {"surge": fact.aggregate, **figures})


def alerts(incident: SurgeIncident, fact: SurgeEvent, at: At) -> Iterator[Alert]:
    """The alert that follows from an event; none where a surge closes and another one of the incident still runs, or where its
    crisis by rule closes next. `incident` is the incident after the event.
    """
    crisis = incident.crisis
    if isinstance(fact, SurgeClosed) and (
        incident.running or (crisis is not None and crisis.by == "rule" and crisis.surge == fact.aggregate)
    ):
        return
    parts = [_crisis(crisis, fact), incident.said]
    evidence = dict(incident.figures)
    if isinstance(fact, CrisisOpened | CrisisClosed):
        evidence |= {"crisis": fact.aggregate, "by": fact.by}
    elif crisis is not None:
        evidence |= {"crisis": crisis.id, "by": crisis.by}
    if isinstance(fact, CrisisOpened):
        evidence |= {name: value for name, value in (("surge", fact.surge_id), ("root", fact.root)) if value}
    yield next_version(
        incident,
        "crisis" if incident.crises else "surge",
        _severity(incident, fact, at),
        fact.mode,
        incident.runs,
        f"{fact.brand}: {'; '.join(filter(None, parts))}",
        evidence,
        fact.reason,
        at,
    )


def _severity(incident: SurgeIncident, fact: SurgeEvent, at: At) -> Severity:
    """`page` for a crisis, where contacts rise, or where a conversation is led by complaints; else `info`. What a few accounts
    make, or copies of a few texts, is `info`.
    """
    last = incident.last_alert
    if incident.crises or (last is not None and last.firing and last.severity == "page"):
        return "page"
    if not isinstance(fact, SurgeOpened | SurgeUpdated) or not at.policy.brand(fact.brand).care:
        return "info"
    seen = fact.evidence
    if seen.crowd != "many":
        return "info"
    load = seen.detector == "load" or any(other.detector == "load" for other in seen.others)
    posts = sum(seen.labels.values()) - seen.shares
    led = seen.labels.get("complaint", 0) >= at.policy.surge.complaint_share * posts > 0
    return "page" if load or (led and seen.detector == "conversation") else "info"


def _crisis(crisis: OpenCrisis | None, fact: SurgeEvent) -> str:
    """What there is to say of the incident's crisis; empty where it has none."""
    if isinstance(fact, CrisisClosed):
        return "the crisis is over"
    if crisis is None:
        return ""
    about = ", about one post" if isinstance(fact, CrisisOpened) and fact.root else ""
    by = {"rule": ", by rule", "": ""}.get(crisis.by, f", declared by {crisis.by}")
    return f"crisis{by}{about}"


def _closed(fact: SurgeClosed) -> tuple[str, dict[str, str]]:
    """(what to say, figures) of a surge that closed."""
    minutes = (fact.ended_at - fact.started_at) // 60_000
    end = "is over" if fact.close_reason == "over" else "has become the usual"
    said = f"the surge {end} after {minutes} min, {fact.peak:.1f} times the usual at its peak"
    return said, {
        "peak": f"{fact.peak:.1f}",
        "excess": f"{fact.excess:.0f}",
        "close_reason": fact.close_reason,
    }


def _sentence(seen: Evidence) -> str:
    minutes = (seen.window_end - seen.window_start) // 60_000
    what = "contacts" if seen.detector == "load" else "complaints" if seen.scope == "complaints" else "posts"
    about = f", {seen.root_share:.0%} about one post" if (seen.root_share or 0.0) >= _TOLD else ""
    trend = "" if seen.trend == "steady" else f"{seen.trend}: "
    if seen.trend == "falling" and seen.sparkline:
        trend = f"falling to {seen.sparkline[-1]} posts in half an hour: "
    usual = f"where {seen.baseline:.1f} are usual, {seen.ratio:.1f} times"
    return f"{trend}{seen.actual:.0f} {what} in {minutes} min {usual}{about}{_CROWDS.get(seen.crowd, '')}"


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
        "crowd": seen.crowd,
        "trend": seen.trend,
    }
    optional = (("authors", seen.authors), ("shares", seen.shares or None), ("copied", seen.copied or None))
    figures |= {name: str(count) for name, count in optional if count is not None}
    if seen.busiest:
        figures["busiest"] = " ".join(map(str, seen.busiest))
    figures |= {f"labels.{label}": str(count) for label, count in sorted(seen.labels.items())}
    figures |= {f"channels.{channel}": str(count) for channel, count in sorted(seen.channels.items())}
    return figures | ({"root": seen.root} if seen.root else {})
