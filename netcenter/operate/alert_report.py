"""`alert list` and `alert show`: an incident with its versions and the answers of its receivers, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netcenter.broker.alert_log import AlertHistory
from netcenter.errors import UsageError
from schemas import jsonform
from schemas.records import Alert, AlertDelivery
from sinks.alert_message import message_of
from sinks.readable import LocalTimes, counted, duration

_WIDTH = 12
"""The width of the column of headings, in characters."""
_SHADOW = "the brand is in shadow mode, so the alert is recorded and sent to no receiver"
_OUTCOMES = {
    "accepted": "accepted",
    "waiting": "not accepted yet, and tried again",
    "refused": "refused for good",
    "passed_over": "passed over: a newer version went in its place, or none was needed",
    "unknown": "an outcome that this release does not know",
}


def find_history(found: Mapping[str, AlertHistory], part: str) -> AlertHistory:
    """The incident of this fingerprint, or the only one with this text in its fingerprint; one that fires goes before those
    that are over. Raises UsageError.
    """
    if part in found:
        return found[part]
    meant = {name: one for name, one in found.items() if part in name}
    firing = {name: one for name, one in meant.items() if one.fires}
    chosen = firing or meant
    if not chosen:
        raise UsageError(f"there is no alert {part}: `netcenter alert list --all` shows those of the log")
    if len(chosen) > 1:
        raise UsageError(f"{part} is a part of several: {', '.join(list(chosen)[:5])}: write more of it")
    return next(iter(chosen.values()))


def list_text(histories: Sequence[AlertHistory]) -> str:
    """Incidents as text: of each what it is, since when, whom it was told, and its fingerprint, which is never shortened."""
    firing = sum(one.fires for one in histories)
    lines = [f"{counted(firing, 'alert fires', 'alerts fire')}"]
    for history in histories:
        alert, message = history.last, message_of(history.last)
        told = [f"told       {name}: {answer}" for name, answer in told_to(history)] or ["told       nobody"]
        held = [f"withheld   {alert.withheld}"] if alert.withheld else []
        body = [f"state      {state_text(alert)}", *told, *held, f"alert      {alert.fingerprint}"]
        lines += ["", message.headline, *(f"  {line}" for line in body)]
    return "\n".join(lines)


def told_to(history: AlertHistory) -> Iterator[tuple[str, str]]:
    """(receiver, its last answer in words) of each receiver that the incident names or was told to. Those that have never answered
    to any alert stand together at the end: a policy may name receivers that an installation does not have.
    """
    if history.last.mode == "shadow":
        yield "nobody", _SHADOW
        return
    strange = [name for name in history.named() if name not in history.answering]
    for name in history.named():
        if name not in strange:
            found = history.answer_of(name)
            yield name, "no answer yet" if found is None else f"{found.outcome} ({found.answer})"
    if strange:
        yield ", ".join(strange), "never answered here: not set up, or its worker never ran"


def show_text(history: AlertHistory) -> str:
    """An incident as lines of text, each with a heading in front; times in the brand's zone."""
    return "\n".join(f"{heading:<{_WIDTH}}{text}".rstrip() for heading, text in _lines(history))


def _lines(history: AlertHistory) -> Iterator[tuple[str, str]]:
    alert = history.last
    yield "alert", alert.fingerprint
    yield "state", state_text(alert)
    yield from headed("receivers", [f"{name}: {answer}" for name, answer in told_to(history)] or ["nobody"])
    if alert.withheld:
        yield "withheld", alert.withheld
    message = message_of(alert)
    yield from headed("message", [message.headline, *(f"  {line}" for line in message.body.splitlines())])
    first = history.versions[0].alert.version
    if first > 1:
        yield "", f"versions before {first} are no longer in the log: it keeps the newest"
    for version, _ in history.versions:
        yield f"version {version.version}", _version(version)
        yield from (("", _delivery(history, delivery)) for delivery in history.answers_to(version))


def headed(heading: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    """The texts as lines, the heading in front of the first one."""
    yield from zip([heading] + [""] * len(texts), texts, strict=False)


def state_text(alert: Alert) -> str:
    """State, severity, mode, and since when, or from when to when."""
    begun = local_time(alert, alert.starts_at)
    how = f"{alert.severity}, {alert.mode}"
    if alert.state == "firing":
        return f"firing since {begun}; {how}"
    ended = alert.ends_at or alert.time
    return f"over: from {begun} to {local_time(alert, ended)}, {duration(ended - alert.starts_at)}; {how}"


def local_time(alert: Alert, at: int) -> str:
    """A moment (ms) in the zone of the alert's brand; in UTC where the alert does not name the zone."""
    return LocalTimes(alert.evidence.get("zone"), alert.time).full(at)


def _version(alert: Alert) -> str:
    at = LocalTimes(alert.evidence.get("zone"), alert.time).short(alert.time)
    return f"{at}, {alert.state}, {alert.severity}: {alert.reason}"


def _delivery(history: AlertHistory, delivery: AlertDelivery) -> str:
    tries = f"{delivery.attempts} {'try' if delivery.attempts == 1 else 'tries'}"
    after = history.told_after(delivery)
    took = f", {after / 1000:.1f} s after its record" if after is not None else ""
    return f"  {delivery.receiver}: {_OUTCOMES[delivery.outcome]}: {delivery.answer} ({tries}{took})"


def show_json(history: AlertHistory) -> dict[str, Any]:
    """An incident for programs: every version and every delivery with its fields as JSON."""
    return {
        **jsonform.fields(history.last),
        "versions": [jsonform.fields(version) for version, _ in history.versions],
        "deliveries": [
            {**jsonform.fields(delivery), "told_after_ms": history.told_after(delivery)}
            for delivery in history.deliveries
        ],
    }
