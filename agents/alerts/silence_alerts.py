"""Alerts of silent channels: an alert fires from the time that a channel fell silent until a post comes from it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.alerts.state import DAY, GIVEN_UP, Incident, SilentChannel
from agents.alerts.versions import TOLD_NOW, Said, is_to_be_told, version
from agents.decider import At
from schemas.records import Alert, Severity


def woken(channel: SilentChannel, at: At) -> Iterator[Alert | Incident]:
    """The channel as it is after its timer, and the alert that follows, if one does.

    1. An event: the channel fell silent, or is heard. A channel is heard without a word that was given up before.
    2. The end, where nobody expects posts from it any more.
    3. A receiver is told from whom it was withheld.
    """
    last = channel.last_alert
    firing = last is not None and last.firing
    if channel.steps and channel.steps[0].time <= at.time:
        step, rest = channel.steps[0], channel.steps[1:]
        silent = step.change == "channel_silent"
        after = replace(channel, steps=rest, woken_at=at.time, changed_at=step.time, figures=step.figures)
        yield after
        if silent or firing:
            yield _version(after, silent, _summary(after, silent), step.reason, at, step.cause)
        return
    after = replace(channel, woken_at=at.time)
    yield after
    if last is None or not firing:
        return
    if at.time >= last.starts_at + GIVEN_UP:
        days = GIVEN_UP // DAY
        summary = f"{channel.brand}: nothing from {channel.channel} for {days} days, and none is expected any more"
        yield _version(after, False, summary, f"given_up: silent for {days} days", at)
    elif is_to_be_told(after, said := _said(after, True, _summary(after, True), TOLD_NOW, at), at):
        yield version(after, said, at)


def _summary(channel: SilentChannel, silent: bool) -> str:
    if not silent:
        return f"{channel.brand}: posts come from {channel.channel} again"
    since, expected = channel.figures.get("since", "?"), channel.figures.get("expected", "?")
    return f"{channel.brand}: nothing from {channel.channel} since {since}, where {expected} posts were to be expected"


def _version(
    channel: SilentChannel, firing: bool, summary: str, reason: str, at: At, cause: str | None = None
) -> Alert:
    return version(channel, _said(channel, firing, summary, reason, at, cause), at)


def _said(channel: SilentChannel, firing: bool, summary: str, reason: str, at: At, cause: str | None = None) -> Said:
    last, brand = channel.last_alert, at.policy.brand(channel.brand)
    care: Severity = "warning" if brand.care else "info"
    severity = last.severity if last is not None and last.firing else care
    evidence = channel.figures or {"channel": channel.channel}
    mode = channel.mode if cause is not None else brand.mode
    return Said("channel_silent", severity, mode, firing, summary, evidence, reason, cause)
