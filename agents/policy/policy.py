"""The models of the policy: brands, rules, channels, desks, and the settings of each role.

The file writes durations as text ("90s", "60m", "2h", "1d"); the models hold them in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator
from pydantic.json_schema import SkipJsonSchema

from agents.policy.alert_policy import AlertPolicy
from agents.policy.calendar import Calendar, Holidays, Hours
from agents.policy.desk_policy import Desk
from agents.policy.matching import WORDS, Features, Match
from agents.policy.parts import UNITS, Duration, Name, Part, duration, written
from agents.policy.surge_policy import ExpectedEvent, SurgePolicy
from agents.policy.zone import zone
from schemas.records import Mode

Target = int | Literal["same_day"]
"""A target in ms, or until the local day ends."""


def _target(value: Any) -> Any:
    return value if value == "same_day" else duration(value)


def shown(target: Target | None) -> str | None:
    """A target as the file writes it."""
    return written(target) if isinstance(target, int) else target


_TARGET = {
    "type": "string",
    "pattern": "^(same_day|0*[1-9][0-9]*[smhd])$",
    "examples": ["60m", "2h", "same_day"],
}


class ClassifierPolicy(Part):
    """The classifier in force."""

    model: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the classifier's artefact."""
    uncertain_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A label with a lower confidence is marked uncertain."""


class Brand(Part):
    """A brand and its settings. A brand that is not listed has all defaults."""

    name: Name
    """The brand's name in mentions."""
    care: bool = True
    """`false`: only volumes and surges are decided, never cases, and nobody is paged."""
    mode: Mode = "shadow"
    """`shadow`: every decision is made and recorded, but nothing is sent to customers and nobody is paged; or `live`."""
    zone: str = "UTC"
    """The brand's time zone, a name of the tz database. The brand's days and calendar follow this zone."""
    desk: Name = "care"
    """The desk that works on its cases, unless a rule names another."""
    accounts: dict[Name, list[str]] = {}
    """The brand's own author ids by channel. Their posts open no case and count in no volume."""
    names: list[str] = []
    """Further handles and names, apart from `name`, by which a comment addresses the brand."""
    pages: list[Name] = []
    """Channels where comments are on the brand's own page. Every comment there addresses the brand, whatever its words."""
    comments: Literal["addressed", "all"] = "addressed"
    """Which comments open a case: comments whose words address the brand, or all."""
    automatic_apps: list[str] = []
    """Tools whose replies are automatic, whatever the producer says. Automatic replies stop no clock."""
    hidden: Literal["withdraw", "keep"] = "withdraw"
    """What happens when the network or the brand hides a post before any answer. `withdraw`: it needs no answer any more, as
    if it were deleted. `keep`: nothing changes."""
    calendar: list[Hours] = []
    """When the brand's people work. Targets run in this time only. Left out: people work day and night."""
    holidays: Holidays = []
    """Dates of one year or of every year ("12-25") with other hours than the week's, or with none.
    """
    expected_events: list[ExpectedEvent] = []
    """Events that are known in advance and will make people talk."""

    def expected(self, at: int) -> list[ExpectedEvent]:
        """The brand's expected events that take place at a time (ms)."""
        return [event for event in self.expected_events if event.holds(at, self.zone)] if self.expected_events else []

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        zone(name)
        return name

    @cached_property
    def _calendar(self) -> Calendar | None:
        """The brand's calendar; None where every moment counts."""
        return Calendar(zone(self.zone), self.calendar, self.holidays) if self.calendar or self.holidays else None

    def due(self, start: int, target: Target) -> int:
        """ms; when a message of `start` (ms) is due, which is when the calendar has counted `target` since then.

        `same_day` ends with the working time of the first local day that has any after `start`, but lasts at least two
        hours. So the message is due when the people of the brand go home, or at midnight if they work day and night.
        """
        if target == "same_day":
            opening = start if self._calendar is None else self._calendar.opening(start)
            day = self.counted(start, zone(self.zone).midnight(opening))
            return self.after(start, max(day, 2 * UNITS["h"]))
        return self.after(start, target)

    def answer_by(self, start: int, due: int, closes: int | None) -> int:
        """ms; the latest moment at which the brand's people can keep `due` (ms) for a message of `start` (ms).

        That is `due` itself, unless the channel's reply window ends before it, at `closes` (ms). Then it is the last moment
        before `closes` at which people work, or `closes` where nobody works between the message and then.
        """
        if closes is None or due <= closes:
            return due
        return self.after(start, self.counted(start, closes)) if self.counted(start, closes) else closes

    def works(self, at: int) -> bool:
        """Whether the brand's people work at a time (ms)."""
        return self._calendar is None or self._calendar.opening(at) == at

    def counted(self, start: int, end: int) -> int:
        """Milliseconds between two times (ms) that the calendar counts; 0 where `end` is not later than `start`."""
        return max(0, end - start) if self._calendar is None else self._calendar.counted(start, end)

    def after(self, start: int, counted: int) -> int:
        """ms; the earliest time by which the calendar has counted `counted` ms since `start` (ms)."""
        return start + counted if self._calendar is None else self._calendar.after(start, counted)


@lru_cache(maxsize=4_096)
def _unlisted(name: str) -> Brand:
    """A brand with all defaults. Cached, because a brand is looked up with every post. The name is not checked."""
    return Brand.model_construct(name=name)


class Rule(Part):
    """What a message needs: a target, a priority, a desk. The first rule that matches applies."""

    name: Annotated[str, Field(min_length=1)]
    """The name of the rule. The reasons of events show it."""
    match: Match = Match()
    """The messages that the rule applies to."""
    target: Annotated[Target | None, BeforeValidator(_target), PlainSerializer(shown), WithJsonSchema(_TARGET)] = None
    """Time until the first response. `same_day`: until the local working day ends, at least two hours. Left out: no clock."""
    non_sla: bool = False
    """Whether it is a non-SLA target: its clock is measured, but a breach raises no alert and is not counted in `sla_attainment`."""
    priority: Annotated[int, Field(ge=1, le=9)] = 5
    """1 is the most urgent, 9 the least."""
    desk: Name | None = None
    """The desk that works on the case, instead of the brand's desk."""
    resolution: Duration | None = None
    """Time until the case must be resolved, without pauses. Left out: the time is only measured."""
    skills: list[Name] = []
    """Skills that the operator should have."""


class Channel(Part):
    """The special rules of a network."""

    name: Name
    """The channel's name in mentions."""
    reply_window: Duration | None = None
    """How long after the customer's last message the network lets the brand answer. Left out: no limit."""


class DeduplicationPolicy(Part):
    """How records that are delivered again are recognised. Networks deliver a post again hours or days later."""

    horizon: Annotated[Duration, Field(ge=UNITS["h"], le=25 * UNITS["d"])] = 8 * UNITS["d"]
    """A record that is delivered again within this time, an hour to 25 days, is dropped. An older record becomes a dead letter."""


class CasePolicy(Part):
    """How cases end, and when their clocks warn."""

    warn_at: list[Annotated[int, Field(ge=1, le=99)]] = [50, 75, 90]
    """A clock warns when these percentages of its target are used."""
    silence: Duration = 72 * UNITS["h"]
    """A case in which the customer is silent for this long after an answer is resolved."""
    reopen_within: Duration = 72 * UNITS["h"]
    """A post within this time after the resolution reopens the case."""
    no_target: Duration = 24 * UNITS["h"]
    """A case without a target is closed after this."""
    keep_reply: Duration = 72 * UNITS["h"]
    """How long a reply that matches no case is kept, because its mention may still arrive."""
    lateness: Duration = UNITS["h"]
    """How long an action or an update is kept, because the post that it is about may still arrive."""


class Policy(Part):
    """The whole policy."""

    version: SkipJsonSchema[Annotated[int, Field(ge=0)]] = 0
    """Set by `policy apply`, not in the file."""
    classifier: ClassifierPolicy
    """The classifier in force."""
    brands: list[Brand] = []
    """The brands and their settings."""
    rules: list[Rule] = []
    """What messages need. The first rule that matches applies."""
    desks: list[Desk] = []
    """The desks that work on cases."""
    channels: list[Channel] = []
    """The special rules of networks."""
    deduplication: DeduplicationPolicy = DeduplicationPolicy()
    """How records that are delivered again are recognised."""
    cases: CasePolicy = CasePolicy()
    """How cases end, and when their clocks warn."""
    surge: SurgePolicy = SurgePolicy()
    """The limits from which a flood counts as a surge or a crisis."""
    alerts: AlertPolicy = AlertPolicy()
    """When alerts fire and are resolved, to whom they go, and when they are forgotten."""

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
        """A cached function of a message's words. Returns the rules that need its numbers and flags, and the first rule
        that matches by words alone.
        """

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
        """The brand of a name. A brand that is not listed has the defaults: care on, shadow mode, desk `care`, UTC."""
        return self._brands.get(name) or _unlisted(name)

    def desk(self, name: str) -> Desk:
        """The desk of a name. A desk that is not listed has the defaults. The name is not checked."""
        return self._desks.get(name) or Desk.model_construct(name=name)

    def reply_window(self, channel: str) -> int | None:
        """ms; how long after the customer's last message the network lets the brand answer; None where there is no
        limit.
        """
        return self._windows.get(channel)

    def rule(self, features: Features) -> Rule | None:
        """The first rule that matches a message; None where no rule matches."""
        undecided, otherwise = self._candidates(*features[:WORDS])
        for rule in undecided:
            if rule.match.rest(features):
                return rule
        return otherwise
