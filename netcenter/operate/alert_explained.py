"""`alert explain`: why an alert fires, whom it was told and why nobody else, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator

from agents.policy import Policy, parse
from agents.policy.alert_policy import AlertMatch
from netcenter.broker.alert_log import RECEIVERS, AlertHistory
from netcenter.broker.policy_topic import PolicyLog
from netcenter.operate.alert_report import SHADOW, headed, state_text, told_to
from netcenter.operate.doctor.finding import duration_text
from schemas.records import Alert

_WIDTH = 12
"""The width of the column of headings, in characters."""


def explain_text(history: AlertHistory, policies: PolicyLog) -> str:
    """An incident explained in lines of text, each with a heading in front. Raises PolicyError where the newest policy cannot
    be read.
    """
    alert, last = history.last, policies.last
    now = parse(last.text, version=policies.newest) if last else None
    deciding = policies.versions.get(alert.policy)
    then = parse(deciding[-1].text, version=alert.policy) if deciding else now
    lines = [
        ("alert", alert.fingerprint),
        ("state", state_text(alert)),
        ("why", alert.summary),
        ("", f"decided by its version {alert.version}, under policy {alert.policy or 'none'}: {alert.reason}"),
        *headed("told", [f"{name}: {answer}" for name, answer in _told(history)]),
        *headed("nobody else", list(_others(history, then))),
        *headed("over", list(_end(alert, now))),
    ]
    return "\n".join(f"{heading:<{_WIDTH}}{text}".rstrip() for heading, text in lines)


def _told(history: AlertHistory) -> list[tuple[str, str]]:
    if history.last.mode == "shadow":
        return [("nobody", SHADOW.removeprefix("nobody: "))]
    return list(told_to(history)) or [("nobody", "no receiver is named for it")]


def _others(history: AlertHistory, policy: Policy | None) -> Iterator[str]:
    """Why no further receiver is told. policy: the one under which the newest version was decided."""
    alert = history.last
    if alert.withheld:
        yield f"now: {alert.withheld}"
    if alert.mode != "live" or policy is None:
        return
    for name in RECEIVERS:
        if name not in history.named():
            routes = [route for route in policy.alerts.routes if name in route.receivers]
            why = [f"the route {route.name} is {why}" for route in routes if (why := _not_met(route.match, alert))]
            if why or not routes:
                yield f"{name}: {'; '.join(why) or 'no route names it'}"


def _not_met(match: AlertMatch, alert: Alert) -> str:
    """What a route asks for and the alert has not; empty where the route matches."""
    has = {"brand": alert.brand, "kind": alert.kind, "severity": alert.severity, "desk": alert.evidence.get("desk")}
    asked = {name: getattr(match, name) for name in has}
    return " and ".join(
        f"for the {name} {' or '.join(values)}" for name, values in asked.items() if values and has[name] not in values
    )


def _end(alert: Alert, policy: Policy | None) -> Iterator[str]:
    """What ends the incident, by its kind and by the policy that is in force now."""
    if alert.state == "resolved":
        yield "it is over; if its cause comes back, it fires again under the same fingerprint"
        return
    if policy is None:
        yield "the log has no policy, so nothing is decided: run `netcenter policy apply`"
        return
    calm, normal = duration_text(policy.surge.calm), duration_text(policy.surge.new_normal)
    if alert.kind in ("surge", "crisis"):
        yield f"when nothing was above the usual for {calm}, or when it has lasted {normal} and so is the usual"
        if alert.evidence.get("crisis") or alert.kind == "crisis":
            yield (
                f"a crisis that a person opened is closed by a person: `netcenter crisis close {alert.brand} --by NAME "
                "--reason WHY`"
            )
    elif alert.kind == "sla_breach":
        yield (
            f"when fewer than half as many cases as open it have been overdue for {duration_text(policy.alerts.sla_calm)}: "
            f"{policy.alerts.sla_overdue} open it"
        )
    elif alert.kind == "channel_silent":
        yield "with the first post from the channel, or after seven days, when the channel is given up"
    elif alert.kind == "escalation":
        yield "when each of its cases is accepted or answered"
    elif alert.kind == "test":
        yield "`netcenter alert test` ends it itself, also where it was interrupted"
    else:
        yield "this release does not know the kind: start the newer release"
