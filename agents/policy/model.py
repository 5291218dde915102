"""The TOML policy as models: who is a brand, what is due when, who works where, what counts as a flood.

All durations are written as text ("90s", "60m", "2h", "1d") and held in milliseconds.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, PrivateAttr, ValidationError, field_validator

from agents.policy.parts import UNITS, Duration, Name, Part, duration
from agents.policy.surge import ExpectedEvent, Surge
from schemas.records import Kind, Label, Mode, Visibility

class PolicyError(ValueError):
    """A policy that cannot hold; each line of the message names the place and what is wrong there."""


def _target(value: Any) -> Any:
    return value if value == "same_day" else duration(value)


class Features(NamedTuple):
    """What rules look at in a message."""

    brand: str
    channel: str
    kind: Kind
    label: Label
    visibility: Visibility
    lang: str
    followers: int | None = None
    """People; None where the network does not say."""
    reach: int | None = None
    """People; None where the network does not say."""
    promoted: bool = False
    uncertain: bool = False


class Classifier(Part):
    """The classifier in force."""

    model: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the artefact."""
    uncertain_below: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Under this confidence a label is marked uncertain."""


class Brand(Part):
    """A brand that is watched."""

    name: Name
    care: bool = True
    """Off: volumes and surges only, never cases or pages."""
    mode: Mode = "observe"
    zone: str = "UTC"
    desk: Name = "care"
    accounts: dict[Name, list[str]] = {}
    """The brand's own author ids by channel: they open no case and count in no volume."""
    names: list[str] = []
    """Handles and names, beside `name`, by which a comment addresses the brand."""
    comments: Literal["addressed", "all"] = "addressed"
    """Which comments open a case: those whose words address the brand, or all."""
    automatic_apps: list[str] = []
    """Replies that come from these tools are automatic, whatever the producer says: they stop no clock."""
    expected_events: list[ExpectedEvent] = []
    """What will make people talk, known beforehand."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{zone!r} is no time zone of the tz database, such as America/Bogota") from None
        return zone

    def due(self, start: int, target: int | Literal["same_day"]) -> int:
        """ms; when something of `start` (ms) is due. Same day: the later of local midnight and two hours on."""
        if target != "same_day":
            return start + target
        local = datetime.fromtimestamp(start / 1000, ZoneInfo(self.zone))
        midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return max(int(midnight.timestamp() * 1000), start + 2 * UNITS["h"])

    def counted(self, start: int, end: int) -> int:
        """ms between two times (ms) that the calendar counts; 0 where `end` is not later."""
        return max(0, end - start)

    def after(self, start: int, counted: int) -> int:
        """ms; the earliest time by which `counted` ms of the calendar have passed since `start` (ms)."""
        return start + counted


@lru_cache(maxsize=4_096)
def _unlisted(name: str) -> Brand:
    """Brands are asked for with every post, and a model costs microseconds to make."""
    return Brand(name=name)


class Match(Part):
    """What a rule applies to; what is left out matches everything."""

    brand: list[Name] = []
    channel: list[Name] = []
    kind: list[Kind] = []
    label: list[Label] = []
    visibility: list[Visibility] = []
    lang: list[str] = []
    followers: Annotated[int, Field(ge=0)] | None = None
    """At least so many."""
    reach: Annotated[int, Field(ge=0)] | None = None
    """At least so much."""
    promoted: bool | None = None
    uncertain: bool | None = None

    def __call__(self, f: Features) -> bool:
        """Whether a message with these features is meant."""
        wanted = (
            (self.brand, f.brand),
            (self.channel, f.channel),
            (self.kind, f.kind),
            (self.label, f.label),
            (self.visibility, f.visibility),
            (self.lang, f.lang),
        )
        return (
            all(not names or value in names for names, value in wanted)
            and (self.followers is None or (f.followers or 0) >= self.followers)
            and (self.reach is None or (f.reach or 0) >= self.reach)
            and self.promoted in (None, f.promoted)
            and self.uncertain in (None, f.uncertain)
        )


class Rule(Part):
    """What a message is due; the first rule that matches holds."""

    name: str
    match: Match = Match()
    target: Annotated[int | Literal["same_day"] | None, BeforeValidator(_target)] = None
    """ms until the first response, `same_day`, or none: no clock."""
    courtesy: bool = False
    """Measured, but its breach raises no alert."""
    priority: Annotated[int, Field(ge=1, le=9)] = 5
    """1 is the most urgent."""
    desk: Name | None = None
    """Instead of the brand's desk."""
    resolution: Duration | None = None
    """ms until the case must be resolved, pauses left out; none: only measured."""
    skills: list[Name] = []
    """Wanted of whoever works on it."""


class Channel(Part):
    """What is special about a network."""

    name: Name
    reply_window: Duration | None = None
    """The network lets the brand answer only so long after the customer's last message."""


class Desk(Part):
    """People who share a queue."""

    name: Name
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
    """A policy, checked."""

    version: Annotated[int, Field(ge=0)] = 0
    """Set by `policy apply`, not by the file."""
    classifier: Classifier
    brands: list[Brand] = []
    rules: list[Rule] = []
    desks: list[Desk] = []
    channels: list[Channel] = []
    cases: Cases = Cases()
    surge: Surge = Surge()
    alerts: Alerts = Alerts()

    _brands: dict[str, Brand] = PrivateAttr(default_factory=dict)
    _desks: dict[str, Desk] = PrivateAttr(default_factory=dict)
    _channels: dict[str, Channel] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: Any) -> None:
        """Index by name."""
        self._brands.update({b.name: b for b in self.brands})
        self._desks.update({d.name: d for d in self.desks})
        self._channels.update({c.name: c for c in self.channels})

    def brand(self, name: str) -> Brand:
        """The brand; one that is not listed has care on, observes, and works at the desk `care` in UTC."""
        return self._brands.get(name) or _unlisted(name)

    def desk(self, name: str) -> Desk:
        """The desk, with defaults when not listed."""
        return self._desks.get(name) or Desk(name=name)

    def reply_window(self, channel: str) -> int | None:
        """ms after the customer's last message within which the network lets the brand answer; None: no limit."""
        found = self._channels.get(channel)
        return found.reply_window if found is not None else None

    def rule(self, features: Features) -> Rule | None:
        """The first rule that matches a message."""
        return next((r for r in self.rules if r.match(features)), None)


def parse(text: str, version: int = 0, name: str = "policy") -> Policy:
    """The policy in a TOML text. Raises PolicyError with a line per fault, each naming file, place and mend."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: not TOML: {error}") from None
    if "version" in data:
        raise PolicyError(f"{name}:{_line(text, ('version',))}: version: is given by `policy apply`; leave it out")
    try:
        policy = Policy(version=version, **data)
    except ValidationError as error:
        faults = [(tuple(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()]
        raise PolicyError("\n".join(f"{name}:{_line(text, at)}: {'.'.join(at)}: {why}" for at, why in faults)) from None
    for kind, names in (("brands", [b.name for b in policy.brands]), ("desks", [d.name for d in policy.desks])):
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise PolicyError(f"{name}: {kind}: named twice: {', '.join(sorted(twice))}")
    return policy


def digest(text: str) -> str:
    """The hash that PolicyChanged carries: SHA-256 of the UTF-8 text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _line(text: str, place: tuple[str, ...]) -> int:
    """The line of the text that a place such as (`brands`, `1`, `zone`) stands on: the nearest that can be told."""
    table, index, line = place[0], 0, 1
    wanted = int(place[1]) if len(place) > 1 and place[1].isdigit() else 0
    keys = [part for part in place[1:] if not part.isdigit()]
    inside = False
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = raw.strip()
        if stripped.startswith("["):
            header = stripped.strip("[] ")
            inside = header.split(".")[0] == table and index == wanted
            if header == table:
                inside, index = index == wanted, index + 1
            if inside:
                line = number
        elif (inside and keys and re.match(rf"{re.escape(keys[0])}\s*=", stripped)) or (
            not place[1:] and re.match(rf"{re.escape(table)}\s*=", stripped)
        ):
            return number
    return line
