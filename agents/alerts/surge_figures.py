"""What alerts keep of the events of surges and crises: the figures to tell, and how grave each event is."""

from __future__ import annotations

from agents.alerts.state import DAY, Step, StepChange
from agents.decider import At
from schemas.records import CrisisClosed, CrisisOpened, Evidence, Severity, SurgeClosed, SurgeOpened, SurgeUpdated
from schemas.times import rfc3339

_NEED = ("complaint", "question")


def step(fact: SurgeOpened | SurgeUpdated | SurgeClosed | CrisisOpened | CrisisClosed, at: At) -> Step:
    """An event as alerts keep it."""
    change: StepChange
    severity: Severity = "info"
    match fact:
        case SurgeOpened() | SurgeUpdated():
            change = "surge_opened" if isinstance(fact, SurgeOpened) else "surge_updated"
            severity = _severity(fact, at)
            figures = {"surge": fact.aggregate, "since": rfc3339(fact.started_at), **_figures(fact.evidence)}
        case SurgeClosed():
            change = "surge_closed"
            figures = {
                "surge": fact.aggregate,
                "since": rfc3339(fact.started_at),
                "until": rfc3339(fact.ended_at),
                "peak": f"{fact.peak:.1f}",
                "excess": f"{fact.excess:.0f}",
                "close_reason": fact.close_reason,
            }
        case CrisisOpened():
            change, severity = "crisis_opened", "page"
            optional = {"surge": fact.surge_id, "root": fact.root}
            figures = {"crisis": fact.aggregate, "by": fact.by, "crisis_desk": fact.desk}
            figures |= {name: value for name, value in optional.items() if value}
        case CrisisClosed():
            change = "crisis_closed"
            figures = {"crisis": fact.aggregate, "by": fact.by, "crisis_until": rfc3339(fact.time)}
    surge = fact.surge_id if isinstance(fact, CrisisOpened) else None
    since = fact.time if isinstance(fact, CrisisOpened | CrisisClosed) else fact.started_at
    return Step(fact.time, change, fact.aggregate, fact.reason, fact.mode, figures, fact.id, severity, since, surge)


def _severity(fact: SurgeOpened | SurgeUpdated, at: At) -> Severity:
    """`page` where contacts rise, by their own count or among the posts of a conversation or of a very rare burst, or where a
    conversation is led by complaints; else `info`. What a few accounts make, or copies of a few texts, is `info`.
    """
    seen = fact.evidence
    if not at.policy.brand(fact.brand).care or seen.crowd != "many":
        return "info"
    if seen.detector == "load" or any(other.detector == "load" for other in seen.others):
        return "page"
    contacts, usual = (sum(labels.get(label, 0) for label in _NEED) for labels in (seen.labels, seen.labels_before))
    alerts = at.policy.alerts
    rare = seen.detector == "conversation" or (seen.return_period or 0.0) * DAY >= alerts.surge_rarity
    if rare and contacts >= alerts.surge_contacts * max(usual, at.policy.surge.minimum):
        return "page"
    posts = sum(seen.labels.values()) - seen.shares
    led = seen.labels.get("complaint", 0) >= at.policy.surge.complaint_share * posts > 0
    return "page" if led and seen.detector == "conversation" else "info"


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
    optional: tuple[tuple[str, str | float | None, str], ...] = (
        ("name", seen.name or None, ""),
        ("authors", seen.authors, ""),
        ("reach", seen.reach, ""),
        ("shares", seen.shares or None, ""),
        ("copied", seen.copied or None, ""),
        ("return_period", seen.return_period, ".1f"),
        ("root", seen.root, ""),
        ("root_share", seen.root_share if seen.root is not None else None, ".2f"),
        ("expected_event", seen.expected_event, ""),
        ("partial", "true" if seen.partial else None, ""),
    )
    figures |= {name: format(value, form) for name, value, form in optional if value is not None}
    if seen.busiest:
        figures["busiest"] = " ".join(map(str, seen.busiest))
    if seen.sparkline:
        figures["newest_bin"] = str(seen.sparkline[-1])
    figures |= {f"labels.{label}": str(n) for label, n in sorted(seen.labels.items())}
    return figures | {f"channels.{channel}": str(n) for channel, n in sorted(seen.channels.items())}
