"""Alerts of floods: one alert fires while a surge or a crisis runs, and until its overdue cases are few."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from agents.alerts.counting import Count, count, gravest
from agents.alerts.state import MINUTE, Incident, Incidents, LastAlert, OverdueDesk, Step, SurgeIncident, whole_minute
from agents.alerts.versions import TOLD_NOW, Said, is_to_be_told, version
from agents.decider import At
from schemas.records import Alert, AlertKind, Severity

#: The least share of the posts that are about one post for people to read of it.
_TOLD = 0.01
#: ms; figures that were measured longer ago are told with their time and without a trend.
_OLD = 20 * MINUTE
_CROWDS = {"few": ", by a few accounts", "copies": ", copies of a few texts"}
_OF_CRISIS = ("crisis", "by", "crisis_desk", "crisis_until")

Steps = Iterator[Alert | Incident]


def woken(state: Incidents, incident: SurgeIncident, at: At) -> Steps:
    """The flood as it is after its timer, and the alert that follows, if one does.

    1. At a whole minute its cases are counted: how many wait, and how many are overdue. Where nothing of the flood runs any more,
       its end is told, if few of its cases are overdue.
    2. An event whose time has come.
    """
    last = incident.last_alert
    if last is not None and last.firing and incident.then is not None and incident.then <= at.time:
        return _counted(state, incident, at)
    if incident.steps and incident.step_at <= at.time:
        return _stepped(incident, replace(at, time=incident.steps[0].time))
    return iter((replace(incident, woken_at=at.time),))


def _stepped(incident: SurgeIncident, at: At) -> Steps:
    """After an event. Nothing is told where a surge closes and another one of the flood still runs, or its crisis by rule closes
    next.
    """
    step = incident.steps[0]
    woken_at = max(incident.woken_at, step.time)
    after = replace(
        incident.after(step), steps=incident.steps[1:], mode=step.mode, woken_at=woken_at, changed_at=step.time
    )
    if step.change != "surge_closed" or not after.running:
        after = replace(after, figures=_told_now(incident, step))
    if not after.runs:
        yield replace(after, ended=(step.reason, step.cause))
        return
    yield replace(after, ended=None)
    closes_next = after.crisis is not None and after.crisis[1:] == ("rule", step.aggregate)
    if step.change != "surge_closed" or not (after.running or closes_next):
        yield _version(after, True, gravest(step.severity, _gravity(after)), step.reason, at, step.cause)


def _counted(state: Incidents, incident: SurgeIncident, at: At) -> Steps:
    """After a whole minute."""
    own = ((work, step) for work, step in state.waiting(incident.brand) if incident.takes(work, at.time))
    counted = count(own, at)
    after = _after_count(incident, counted, at)
    yield after
    last, calm_for = incident.last_alert, at.policy.alerts.sla_calm
    if last is None:
        return
    if after.calm_since is not None and (incident.ended or at.time - after.calm_since >= calm_for):
        few = f"calm: few of its cases overdue for {calm_for // MINUTE} min", None
        reason, cause = incident.ended or few
        yield _version(after, False, "info", reason, at, cause)
        # What is left of its cases counts at their desks from now on.
        for name in sorted({step.desk for _, step in state.waiting(incident.brand)}):
            yield state.known(OverdueDesk(incident.brand, name)).looked_at(at.time + 1)
        return
    severity = gravest(last.severity, _gravity(after))
    why = _why(incident, counted, last, severity, at)
    if why is None and is_to_be_told(after, _said(after, True, severity, TOLD_NOW, at), at):
        why = TOLD_NOW
    if why is not None:
        yield _version(after, True, severity, why, at)


def _after_count(incident: SurgeIncident, counted: Count, at: At) -> SurgeIncident:
    calm = not incident.runs and counted.calm
    calm_since = None if not calm else at.time if incident.calm_since is None else incident.calm_since
    calm_at = None if calm_since is None else calm_since + at.policy.alerts.sla_calm
    wanted = (whole_minute(time) for time in (counted.next_at, calm_at) if time is not None and time > at.time)
    return replace(
        incident,
        woken_at=at.time,
        cases={"open": str(counted.waiting), **counted.figures()} if counted.waiting else {},
        desks=tuple(sorted(counted.desks)) if counted.reached else (),
        grave=gravest("info", *(one.limit.severity for one in counted.reached)),
        calm_since=calm_since,
        ended=None,
        look_at=min(wanted, default=None),
    )


def _why(incident: SurgeIncident, counted: Count, last: LastAlert, severity: Severity, at: At) -> str | None:
    """Why the count of a whole minute is to be told; None where it is not."""
    if severity != last.severity:
        return f"graver: {counted.reason}"
    if incident.ended:
        return f"{incident.ended[0]}; {counted.overdue} of its cases are still overdue"
    return None if counted.calm else counted.changed(last.overdue, at)


def _gravity(incident: SurgeIncident) -> Severity:
    return "page" if incident.crisis_known else incident.grave


def _told_now(incident: SurgeIncident, step: Step) -> dict[str, str]:
    """The figures after an event: those of a surge replace those of before; a crisis adds its own."""
    if step.change == "crisis_opened":
        return {**{name: said for name, said in incident.figures.items() if name != "crisis_until"}, **step.figures}
    if step.change == "crisis_closed":
        return {**incident.figures, **step.figures}
    kept = {name: incident.figures[name] for name in _OF_CRISIS if name in incident.figures}
    kept["since"] = incident.figures.get("since", step.figures["since"])
    peak = max(float(f.get(name, 0)) for f in (incident.figures, step.figures) for name in ("peak", "ratio"))
    if step.change == "surge_closed":
        kept = {**incident.figures, **kept}
        kept.pop("trend", None)
    return {**step.figures, **kept, "peak": f"{peak:.1f}"}


def _kind(incident: SurgeIncident) -> AlertKind:
    return "crisis" if incident.crisis_known else "surge"


def _version(
    incident: SurgeIncident, firing: bool, severity: Severity, reason: str, at: At, cause: str | None = None
) -> Alert:
    return version(incident, _said(incident, firing, severity, reason, at, cause), at)


def _said(
    incident: SurgeIncident, firing: bool, severity: Severity, reason: str, at: At, cause: str | None = None
) -> Said:
    last, brand = incident.last_alert, at.policy.brand(incident.brand)
    kept: Severity = last.severity if last is not None and last.firing else "info"
    summary = f"{incident.brand}: {'; '.join(filter(None, _parts(incident, at.time)))}"
    evidence = {**incident.figures, **incident.cases, "brand_desk": brand.desk}
    mode = incident.mode if cause is not None else brand.mode
    kind, grave = _kind(incident), gravest(severity, kept)
    return Said(kind, grave, mode, firing, summary, evidence, reason, cause, incident.desks)


def _parts(incident: SurgeIncident, now: int) -> Iterator[str]:
    """The parts of the sentence for people."""
    if incident.crisis is not None:
        yield "crisis" + {"rule": ", by rule", "": ""}.get(incident.crisis[1], f", declared by {incident.crisis[1]}")
    elif incident.crisis_known:
        yield "the crisis is over"
    if incident.running:
        yield _running(incident.figures, now)
    elif "until" in incident.figures:
        yield _closed(incident.figures)
    if incident.cases.get("overdue", "0") != "0":
        yield f"{incident.cases['overdue']} of its {incident.cases['open']} cases overdue"


def _closed(figures: dict[str, str]) -> str:
    minutes = _minutes(figures, "since", "until")
    end = "has lasted so long that it counts as the usual" if figures.get("close_reason") == "new_normal" else "is over"
    return f"the surge {end} after {minutes} min, {figures.get('peak', '0')} times the usual at its peak"


def _running(figures: dict[str, str], now: int) -> str:
    if "actual" not in figures:
        return ""
    what = (
        "contacts" if figures["detector"] == "load" else "complaints" if figures["scope"] == "complaints" else "posts"
    )
    where = {"conversation": " about one post", "channel": f" on {figures.get('name', 'a channel')}"}.get(
        figures["scope"], ""
    )
    old = now - _ms(figures["window_end"]) > _OLD
    trend = "" if old or figures.get("trend", "steady") == "steady" else f"{figures['trend']}: "
    minutes = f"{_minutes(figures, 'window_start', 'window_end')} min"
    window = f"the {minutes} before {figures['window_end']}" if old else minutes
    share = float(figures.get("root_share", 0))
    of_all = f" ({share:.0%} of all posts)" if where == " about one post" and share >= _TOLD else ""
    usual = f"where {figures['baseline']} are usual, {figures['ratio']} times"
    return f"{trend}{figures['actual']} {what}{where} in {window}{of_all}, {usual}{_CROWDS.get(figures['crowd'], '')}"


def _ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


def _minutes(figures: dict[str, str], first: str, last: str) -> int:
    start, end = (datetime.fromisoformat(figures[name]) for name in (first, last))
    return int((end - start).total_seconds()) // 60
