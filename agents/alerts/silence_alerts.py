"""Alerts of silent channels: an alert fires from the time that a channel fell silent until a post comes from it."""

from __future__ import annotations

from collections.abc import Iterator

from agents.alerts.alert_versions import next_version
from agents.alerts.state import DAY, GIVEN_UP, SilentChannel
from agents.decider import At
from schemas.records import Alert, ChannelChanged, Severity
from schemas.times import rfc3339


def alerts(channel: SilentChannel, fact: ChannelChanged, at: At) -> Iterator[Alert]:
    """The alert that follows from a channel's event; none where a channel is heard that was given up before."""
    silent, last = fact.change == "silent", channel.last_alert
    if not silent and (last is None or not last.firing):
        return
    since, expected = rfc3339(fact.since), f"{fact.expected:.0f}"
    if silent:
        summary = (
            f"{channel.brand}: nothing from {channel.channel} since {since}, where {expected} posts were to be expected"
        )
    else:
        summary = f"{channel.brand}: posts come from {channel.channel} again"
    evidence = {"channel": channel.channel, "since": since, "expected": expected}
    severity: Severity = "warning" if at.policy.brand(channel.brand).care else "info"
    yield next_version(channel, "channel_silent", severity, fact.mode, silent, summary, evidence, fact.reason, at)


def given_up(channel: SilentChannel, at: At) -> Iterator[Alert]:
    """The end of the alert of a channel that has been silent for so long that nobody expects posts from it any more."""
    last = channel.last_alert
    if last is None or not last.firing:
        return
    days = GIVEN_UP // DAY
    summary = f"{channel.brand}: nothing from {channel.channel} for {days} days, and none is expected any more"
    evidence = {"channel": channel.channel}
    reason = f"given_up: silent for {days} days"
    yield next_version(channel, "channel_silent", last.severity, channel.mode, False, summary, evidence, reason, at)
