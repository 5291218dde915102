"""`alert explain`: why an alert fires, whom it was told and why nobody else, and what ends it."""

from __future__ import annotations

from collections.abc import Iterator

from agents.policy import Policy, PolicyError, parse
from agents.policy.alert_policy import AlertMatch
from netcenter.broker.alert_log import RECEIVERS, AlertHistory
from netcenter.broker.policy_topic import PolicyLog
from netcenter.errors import CommandError
from netcenter.operate.alert_report import headed, state_text, told_to
from netcenter.operate.doctor.finding import duration_text
from schemas.records import Alert
from sinks.alert_message import ESCALATION_ENDS, message_of

_WIDTH = 12
"""The width of the column of headings, in characters."""


_AGAIN = {
    "surge": "another surge has an alert of its own",
    "crisis": "another surge or crisis has an alert of its own",
    "test": "another test has an alert of its own",
}
"""By kind, for incidents that have a fingerprint each: what follows when its cause comes back."""


def explain_text(history: AlertHistory, policies: PolicyLog) -> str:
    """An incident explained in lines of text, each with a heading in front. Raises CommandError where a policy cannot
    be read.
    """
    return "\n".join(f"{heading:<{_WIDTH}}{text}".rstrip() for heading, text in _explained(history, policies))


def explain_json(history: AlertHistory, policies: PolicyLog) -> dict[str, list[str]]:
    """The same for programs: by heading the lines that stand under it. Raises CommandError."""
    found: dict[str, list[str]] = {}
    for heading, text in _explained(history, policies):
        found.setdefault(heading.replace(" ", "_") or list(found)[-1], []).append(text)
    return found


def _explained(history: AlertHistory, policies: PolicyLog) -> list[tuple[str, str]]:
    """(heading, text) of each line; the heading is empty where it is that of the line before."""
    alert, last = history.last, policies.last
    now = _parsed(last.text, policies.newest) if last else None
    deciding = policies.versions.get(alert.policy)
    then = _parsed(deciding[-1].text, alert.policy) if deciding else now
    return [
        ("alert", alert.fingerprint),
        ("state", state_text(alert)),
        ("why", message_of(alert).title),
        ("", f"decided by its version {alert.version}, under policy {alert.policy or 'none'}: {alert.reason}"),
        *headed("told", [f"{name}: {answer}" for name, answer in _told(history)]),
        *headed("nobody else", list(_others(history, then))),
        *headed("over", list(_end(alert, now))),
    ]


def _parsed(text: str, version: int) -> Policy:
    try:
        return parse(text, version=version)
    except PolicyError as error:
        raise CommandError(f"policy {version} of the log cannot be read: {str(error).splitlines()[0]}") from None


def _told(history: AlertHistory) -> list[tuple[str, str]]:
    return list(told_to(history)) or [("nobody", "no receiver is named for it")]


def _others(history: AlertHistory, policy: Policy | None) -> Iterator[str]:
    """Why no further receiver is told. policy: the one under which the newest version was decided."""
    alert = history.last
    if alert.withheld:
        yield f"now: {alert.withheld}"
    if alert.kind == "test":
        yield "a test is sent to those alone whom its command names"
        return
    if alert.mode != "live" or policy is None:
        return
    waiting = {name for part in (alert.withheld or "").split("; ") for name in part.partition(": ")[0].split(", ")}
    for name in RECEIVERS:
        if name not in history.named() and name not in waiting:
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
        yield f"it is over; {_AGAIN.get(alert.kind, 'if its cause comes back, it fires again under the same fingerprint')}"
        return
    if policy is None:
        yield "the log has no policy, so nothing is decided: run `netcenter policy apply`"
        return
    calm, normal = duration_text(policy.surge.calm), duration_text(policy.surge.new_normal)
    if alert.kind in ("surge", "crisis"):
        yield (
            f"when nothing was above the usual for {calm}, or when it has lasted {normal} and so counts as the usual; and fewer than half "
            "as many of its cases are overdue as would open an alert"
        )
        if alert.kind == "crisis" and alert.evidence.get("by", "rule") != "rule":
            yield (
                f"a crisis that a person opened is closed by a person: `netcenter crisis close {alert.brand} --by NAME "
                "--reason WHY`"
            )
    elif alert.kind == "sla_breach":
        opens = alert.evidence.get("opens_at")
        yield (
            f"when fewer than half of those from which it fires were overdue for {duration_text(policy.alerts.sla_calm)}"
            f"{f'; it fires from {opens}' if opens else ''}"
        )
    elif alert.kind == "channel_silent":
        yield "with the first post from the channel, or after a week, when the channel is given up"
    elif alert.kind == "escalation":
        yield f"when each of its cases {ESCALATION_ENDS}"
    elif alert.kind == "test":
        yield "`netcenter alert test` ends it itself, also where it was interrupted"
    else:
        yield "this release does not know the kind: start the newer release"
