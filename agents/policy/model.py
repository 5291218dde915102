"""The policy as models: who is a brand, what is due when, who works where.

All durations are written as text ("90s", "60m", "2h", "1d") and held in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator
from pydantic.json_schema import SkipJsonSchema

from agents.policy.calendar import Calendar, Holidays, Hours
from agents.policy.matching import WORDS, Features, Match
from agents.policy.parts import UNITS, Duration, Name, Part, duration, written
from agents.policy.surge import ExpectedEvent, Surge
from agents.policy.zone import zone
from schemas.records import Mode

Target = int | Literal["same_day"]
"""ms, or until the local day ends."""


def _target(value: Any) -> Any:
    return value if value == "same_day" else duration(value)


def shown(target: Target | None) -> str | None:
    """A target as the file has it."""
    return written(target) if isinstance(target, int) else target


_TARGET = {
    "type": "string",
    "pattern": "^(same_day|0*[1-9][0-9]*[smhd])$",
    "examples": ["60m", "2h", "same_day"],
}


class Classifier(Part):
    """The classifier in force."""

    model: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the artefact."""
    uncertain_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Under this confidence a label is marked uncertain."""


class Brand(Part):
    """A brand that is watched. One that is not listed has all defaults."""

    name: Name
    """As mentions have it."""
    care: bool = True
    """Off: volumes and surges only, never cases or pages."""
    mode: Mode = "observe"
    """Observe: everything is decided and recorded, nothing is sent to customers and nobody is paged. Or live."""
    zone: str = "UTC"
    """Where it lives, by the tz database: its days end by it, and its calendar is in it."""
    desk: Name = "care"
    """Where its cases are worked on, unless a rule names another."""
    accounts: dict[Name, list[str]] = {}
    """The brand's own author ids by channel: they open no case and count in no volume."""
    names: list[str] = []
    """Handles and names, beside `name`, by which a comment addresses the brand."""
    pages: list[Name] = []
    """Channels where comments stand on the brand's own page: every comment there addresses it, whatever its words."""
    comments: Literal["addressed", "all"] = "addressed"
    """Which comments open a case: those whose words address the brand, or all."""
    automatic_apps: list[str] = []
    """Replies that come from these tools are automatic, whatever the producer says: they stop no clock."""
    hidden: Literal["withdraw", "keep"] = "withdraw"
    """A post that its network or the brand has hidden, before any answer: it asks for none any more, as if deleted; or
    nothing changes."""
    calendar: list[Hours] = []
    """When its people work; left out, round the clock. Targets run in this time only."""
    holidays: Holidays = []
    """Dates on which the week's hours do not hold, one by one or of every year ("12-25"); alone, or with hours of their own."""
    expected_events: list[ExpectedEvent] = []
    """What will make people talk, known beforehand."""

    def expected(self, at: int) -> list[ExpectedEvent]:
        """The expected events that are on at a time (ms)."""
        return [event for event in self.expected_events if event.holds(at, self.zone)] if self.expected_events else []

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        zone(name)
        return name

    @cached_property
    def _calendar(self) -> Calendar | None:
        """None: every moment counts."""
        return Calendar(zone(self.zone), self.calendar, self.holidays) if self.calendar or self.holidays else None

    def due(self, start: int, target: Target) -> int:
        """ms; when something of `start` (ms) is due: once `target` has counted.

        Same day: once all has counted that is left of the local day of the first moment that counts, or two hours if
        that is more. So it is due when the people of the brand go home, and at midnight where they work round the clock.
        """
        if target == "same_day":
            opening = start if self._calendar is None else self._calendar.opening(start)
            day = self.counted(start, zone(self.zone).midnight(opening))
            return self.after(start, max(day, 2 * UNITS["h"]))
        return self.after(start, target)

    def counted(self, start: int, end: int) -> int:
        """ms between two times (ms) that the calendar counts; 0 where `end` is not later."""
        return max(0, end - start) if self._calendar is None else self._calendar.counted(start, end)

    def after(self, start: int, counted: int) -> int:
        """ms; the earliest time by which `counted` ms of the calendar have passed since `start` (ms)."""
        return start + counted if self._calendar is None else self._calendar.after(start, counted)


@lru_cache(maxsize=4_096)
def _unlisted(name: str) -> Brand:
    """Brands are asked for with every post, and a model costs microseconds to make. Any name will do: it is not checked."""
    return Brand.model_construct(name=name)


class Rule(Part):
    """What a message is due; the first rule that matches holds."""

    name: Annotated[str, Field(min_length=1)]
    """It stands in every reason that follows from it."""
    match: Match = Match()
    """The messages that it is for."""
    target: Annotated[Target | None, BeforeValidator(_target), PlainSerializer(shown), WithJsonSchema(_TARGET)] = None
    """Until the first response; same_day: until the local working day ends, at least two hours. Left out: no clock."""
    courtesy: bool = False
    """Measured, but its breach raises no alert."""
    priority: Annotated[int, Field(ge=1, le=9)] = 5
    """1 is the most urgent, 9 the least."""
    desk: Name | None = None
    """Instead of the brand's desk."""
    resolution: Duration | None = None
    """Until the case must be resolved, pauses left out. Left out: only measured."""
    skills: list[Name] = []
    """Wanted of whoever works on it."""


class Channel(Part):
    """What is special about a network."""

    name: Name
    """As mentions have it."""
    reply_window: Duration | None = None
    """The network lets the brand answer only so long after the customer's last message."""


class Desk(Part):
    """People who share a queue."""

    name: Name
    """As brands and rules have it."""
    offer_timeout: Duration = 5 * UNITS["m"]
    """An offer not answered by then returns to the queue."""
    lease: Duration = 5 * UNITS["m"]
    """How long an operator counts as present after each sign of life."""
    retry_after: Duration = 10 * UNITS["m"]
    """The same operator is not offered the same case again before this, unless alone."""
    return_after: Duration = 10 * UNITS["m"]
    """Work held by an operator whose lease has lapsed returns to the queue after this."""
    responsible: str | None = None
    """Who gets what an operator escalates."""


class Deduplication(Part):
    """Networks deliver a post again, hours or days later."""

    horizon: Annotated[Duration, Field(ge=UNITS["h"], le=25 * UNITS["d"])] = 8 * UNITS["d"]
    """What comes again within this is known, an hour to 25 days; a record that is older when it comes becomes a dead letter."""


class Cases(Part):
    """How cases end, and when their clocks warn."""

    warn_at: list[Annotated[int, Field(ge=1, le=99)]] = [50, 75, 90]
    """Percent of the target used."""
    silence: Duration = 72 * UNITS["h"]
    """A case that waits this long without a word of the customer is resolved."""
    reopen_within: Duration = 72 * UNITS["h"]
    """A post this soon after the resolution reopens the case."""
    no_target: Duration = 24 * UNITS["h"]
    """A case without a target closes after this."""
    keep_reply: Duration = 72 * UNITS["h"]
    """A reply that matches no case is kept this long for its mention to come."""
    lateness: Duration = UNITS["h"]
    """Actions and updates are kept this long for the post that they are about to come."""


class Alerts(Part):
    """When a person must know."""

    sla_overdue: Annotated[int, Field(ge=1)] = 3
    """Overdue cases of a brand and desk that open an alert."""
    sla_grace: Annotated[Duration, Field(le=UNITS["h"])] = 2 * UNITS["m"]
    """A breach counts after this, at most an hour, so that a late reply can rescind it."""
    sla_calm: Annotated[Duration, Field(le=UNITS["h"])] = 15 * UNITS["m"]
    """Below half of `sla_overdue` for this long, at most an hour, resolves it."""
    forget_after: Duration = 30 * UNITS["d"]
    """A resolved alert's identity is forgotten after this."""


class Policy(Part):
    """What the operator of Netcenter decides."""

    version: SkipJsonSchema[Annotated[int, Field(ge=0)]] = 0
    """Set by `policy apply`, not by the file."""
    classifier: Classifier
    """The classifier in force."""
    brands: list[Brand] = []
    """Who is watched."""
    rules: list[Rule] = []
    """What a message is due: the first that matches holds."""
    desks: list[Desk] = []
    """Who works on cases."""
    channels: list[Channel] = []
    """What is special about a network."""
    deduplication: Deduplication = Deduplication()
    """Networks deliver a post again, hours or days later."""
    cases: Cases = Cases()
    """How cases end, and when their clocks warn."""
    surge: Surge = Surge()
    """What counts as a flood."""
    alerts: Alerts = Alerts()
    """When a person must know."""

    @cached_property
    def _brands(self) -> dict[str, Brand]:
        return {brand.name: brand for brand in self.brands}

    @cached_property
    def _desks(self) -> dict[str, Desk]:
        return {desk.name: desk for desk in self.desks}

    @cached_property
    def _windows(self) -> dict[str, int | None]:
        return {channel.name: channel.reply_window for channel in self.channels}

    @cached_property
    def _candidates(self) -> Callable[..., tuple[list[Rule], Rule | None]]:
        """By the words of a message: the rules that its numbers and flags decide on, in order, and the first other."""

        @lru_cache(maxsize=8_192)
        def found(*words: str) -> tuple[list[Rule], Rule | None]:
            undecided: list[Rule] = []
            for rule in self.rules:
                if rule.match.words(words):
                    if rule.match.words_only:
                        return undecided, rule
                    undecided.append(rule)
            return undecided, None

        return found

    def brand(self, name: str) -> Brand:
        """The brand; one that is not listed has care on, observes, and works at the desk `care` in UTC."""
        return self._brands.get(name) or _unlisted(name)

    def desk(self, name: str) -> Desk:
        """The desk, with defaults when not listed; any name will do."""
        return self._desks.get(name) or Desk.model_construct(name=name)

    def reply_window(self, channel: str) -> int | None:
        """ms after the customer's last message within which the network lets the brand answer; None: no limit."""
        return self._windows.get(channel)

    def rule(self, features: Features) -> Rule | None:
        """The first rule that matches a message."""
        undecided, otherwise = self._candidates(*features[:WORDS])
        for rule in undecided:
            if rule.match.rest(features):
                return rule
        return otherwise
