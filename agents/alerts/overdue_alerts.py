"""Alerts of overdue clocks: a desk's alert fires when many are overdue, and is resolved when few were for a while."""

from __future__ import annotations

from collections.abc import Iterator

from agents.alerts.alert_versions import next_version
from agents.alerts.state import HOUR, OverdueDesk
from agents.decider import At
from schemas.records import Alert
from schemas.times import rfc3339


def alerts(desk: OverdueDesk, at: At) -> Iterator[Alert]:
    """The alert that a desk's overdue clocks make at a whole minute, if they make one.

    1. It fires when `sla_overdue` clocks are overdue for longer than `sla_grace`.
    2. It fires again, in a new version, when twice as many are overdue as its last version counted.
    3. It is resolved when fewer than half of `sla_overdue` have been overdue for `sla_calm`.
    """
    policy, last = at.policy.alerts, desk.last_alert
    grace = min(policy.sla_grace, HOUR)  # A desk's timers stop an hour after its last change.
    count = desk.count(at.time, grace)
    if last is None or not last.firing:
        if count >= policy.sla_overdue:
            yield _alert(desk, True, count, f"overdue: {count}, opens at {policy.sla_overdue}", at)
        return
    # `most` is called last, because it looks at every change of the hour. It is never less than `count`.
    calm = 2 * count < policy.sla_overdue
    if calm and 2 * desk.most(at.time, grace, policy.sla_calm) < policy.sla_overdue:
        reason = f"calm: below half of {policy.sla_overdue} overdue for {policy.sla_calm // 60_000} min"
        yield _alert(desk, False, count, reason, at)
    elif count >= 2 * last.overdue:
        yield _alert(desk, True, count, f"overdue: {count}, twice the {last.overdue} told last", at)


def _alert(desk: OverdueDesk, firing: bool, count: int, reason: str, at: At) -> Alert:
    evidence = {"desk": desk.desk, "overdue": str(count)}
    oldest = desk.oldest(at.time)
    if oldest is not None:
        evidence["oldest_breach_at"] = rfc3339(oldest)
    case = "case" if count == 1 else "cases"
    summary = f"{desk.brand}: {count} overdue {case} at desk {desk.desk}" + ("" if firing else "; calm again")
    mode = at.policy.brand(desk.brand).mode
    return next_version(desk, "sla_breach", "warning", mode, firing, summary, evidence, reason, at)
