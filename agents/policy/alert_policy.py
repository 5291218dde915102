"""The settings of alerts: when they fire, to whom they go, and when nobody is told."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from agents.policy.parts import UNITS, Duration, Name, Part
from agents.policy.recurring import Recurring

AlertWord = Literal["crisis", "surge", "sla_breach", "escalation", "channel_silent"]
SeverityWord = Literal["info", "warning", "page"]


class AlertMatch(Part):
    """The alerts that a route or a silence applies to. A field that is left out matches every alert."""

    brand: list[Name] = []
    """The brand is one of these."""
    kind: list[AlertWord] = []
    """The kind is one of these. A surge that becomes a crisis changes its kind. A flood of whose cases so many are overdue as open
    an alert is one of `sla_breach` too."""
    severity: list[SeverityWord] = []
    """The severity is one of these."""
    desk: list[Name] = []
    """The desk is one of these. Only alerts of overdue cases, of floods with such cases, and of escalations have desks."""

    def matches(self, brand: str, kind: str, severity: str, desk: str | None) -> bool:
        """Whether an alert is meant. desk: None where the alert has no desk."""
        return (
            (not self.brand or brand in self.brand)
            and (not self.kind or kind in self.kind)
            and (not self.severity or severity in self.severity)
            and (not self.desk or desk in self.desk)
        )


class Route(Part):
    """Which receivers are told of which alerts. Every route that matches adds its receivers."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The name of the route."""
    match: AlertMatch = AlertMatch()
    """The alerts that the route applies to."""
    receivers: Annotated[list[Name], Field(min_length=1)]
    """The receivers: `webhook`, `alertmanager`, `pagerduty`, `slack`, `chat`."""
    hours: Literal["always", "working"] = "always"
    """`working`: what fires outside of the brand's calendar is told when the calendar opens next, if it still fires. A page
    never waits."""
    texts: bool = False
    """Whether these receivers may be shown the words of the post that a surge is about."""


class OverdueLimit(Part):
    """From how many overdue cases of one desk an alert fires. Each case counts at the first limit that matches it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The name of the limit, as the reason of an alert has it."""
    brand: list[Name] = []
    """The case's brand is one of these. Left out: every brand."""
    desk: list[Name] = []
    """The case's desk is one of these. Left out: every desk."""
    priority: Annotated[int, Field(ge=1, le=9)] = 9
    """The case has at most this priority; 1 is the most urgent."""
    overdue: Annotated[int, Field(ge=1)]
    """The alert fires when at least this many of the cases are overdue, and `share` is reached too."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The alert fires when at least this share of the cases that wait at the desk is overdue."""
    severity: Literal["info", "warning", "page"] = "warning"
    """The severity of the alert."""

    def takes(self, brand: str, desk: str, priority: int) -> bool:
        """Whether a case counts here."""
        return (
            priority <= self.priority
            and (not self.brand or brand in self.brand)
            and (not self.desk or desk in self.desk)
        )


class Silence(Recurring):
    """A time in which nobody is told of some alerts: planned work, a raffle, a quiet time. They fire all the same, and are told
    when the silence ends, if they still fire then. The end of what was told before is always told.
    """

    reason: Annotated[str, Field(min_length=1, max_length=200)]
    """Why, and who says so. The alerts show it."""
    match: AlertMatch = AlertMatch()
    """The alerts that are not told."""


class AlertPolicy(Part):
    """When alerts fire and are resolved, to whom they go, and when they are forgotten."""

    sla_overdue: Annotated[int, Field(ge=1)] = 5
    """An alert fires when a desk has at least this many overdue cases of a brand, and `sla_share` is reached too."""
    sla_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """An alert fires when at least this share of the brand's cases that wait at the desk is overdue."""
    sla_grace: Annotated[Duration, Field(le=UNITS["h"])] = 2 * UNITS["m"]
    """A case counts as overdue this long after its due, at most an hour, so that a reply that arrives late is still in time."""
    sla_calm: Annotated[Duration, Field(le=UNITS["h"])] = 15 * UNITS["m"]
    """The alert is resolved when fewer than half of those from which it fires were overdue for this long, at most an hour; one of
    escalated cases, when none waited for this long."""
    overdue: list[OverdueLimit] = []
    """Other limits for some brands, desks or priorities. A case that no limit takes counts by `sla_overdue` and `sla_share`."""
    told_again: Annotated[float, Field(gt=1)] = 1.5
    """An alert is told again when what it counts is this many times what was told last, or has fallen to the inverse of it."""
    surge_contacts: Annotated[float, Field(gt=1)] = 3.0
    """A conversation, or a burst as rare as `surge_rarity`, pages if many people make it and complaints and questions are this many
    times the usual number, or this many times `surge.minimum` where fewer are usual."""
    surge_rarity: Duration = 90 * UNITS["d"]
    """A burst pages only where so many posts come once in this time; see `surge.rarity`."""
    unaccepted: Duration = 15 * UNITS["m"]
    """An escalated case that nobody has answered for this long makes its alert a warning."""
    routes: list[Route] = [
        Route(name="pages", match=AlertMatch(severity=["page"]), receivers=["pagerduty"]),
        Route(name="programs", receivers=["webhook", "alertmanager"]),
        Route(name="people", receivers=["slack", "chat"], hours="working"),
    ]
    """Which receivers are told of which alerts."""
    silences: list[Silence] = []
    """Times in which nobody is told of some alerts."""
    runbooks: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """The URL under which your copy of docs/runbooks can be opened, such as "https://wiki.example.com/runbooks/": each alert links
    the page of its kind there. Left out: no link."""
    forget_after: Duration = 30 * UNITS["d"]
    """A resolved alert is forgotten after this. Then its fingerprint counts its versions from 1 again."""

    @cached_property
    def _general(self) -> OverdueLimit:
        return OverdueLimit(name="overdue", overdue=self.sla_overdue, share=self.sla_share)

    def limit(self, brand: str, desk: str, priority: int) -> OverdueLimit:
        """The limit at which a case counts."""
        for one in self.overdue:
            if one.takes(brand, desk, priority):
                return one
        return self._general
