"""A team of simulated operators, as its TOML file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self, get_args

from pydantic import Field, field_validator, model_validator

from agents.policy import PolicyError
from agents.policy.calendar import Hours
from agents.policy.parsing import parse_part
from agents.policy.parts import Duration, Name, Part
from agents.policy.zone import zone
from schemas.records import Label

Share = Annotated[float, Field(ge=0, le=1)]
_LABELS = tuple(get_args(Label))
_PRIORITIES = tuple(str(n) for n in range(1, 10))


class TeamError(ValueError):
    """A team that cannot be read. Each line of the message is `file:line: field: what is wrong and what to do`."""


class Pace(Part):
    """How long something takes."""

    median: Duration
    """Half of the times are shorter."""
    spread: Annotated[float, Field(ge=1, le=10)] = 1.0
    """Two of three times are between the median divided by this and the median times this; none is longer than the median times
    its cube.
    """


class OperatorGroup(Part):
    """Operators who are alike."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    """The operator's name. With a `count`, the number 1, 2, 3 of each operator is added to it."""
    count: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many operators there are. Left out: one, whose name has no number."""
    desks: Annotated[list[Name], Field(min_length=1)]
    """The desks at which each of them signs in."""
    capacity: Annotated[int, Field(ge=1, le=10_000)] = 3
    """Units of work that each takes at a time, at all desks together."""
    languages: list[str] = Field(default_factory=list)
    """The languages that they answer in. Left out: any."""
    skills: list[str] = Field(default_factory=list)
    """What else they can do, as the policy names it."""
    shifts: list[Hours] = Field(default_factory=list)
    """When they are signed in, in the team's zone. Left out: they sign in by other means."""
    accepts: Share = 1.0
    """The share of the offers that they accept."""
    declines: Share = 0.0
    """The share of the offers that they decline. The rest gets no answer."""
    answers: Pace = Pace(median="30s", spread=1.5)  # type: ignore[arg-type]  # the file's form of a duration
    """How long they take to answer an offer."""
    handling: dict[str, Pace] = Field(default_factory=dict)
    """How long an answer to a customer takes, by priority ("1"), by label, and `any`; the first that fits counts. Left
    out: they accept cases and answer no customer.
    """

    @field_validator("handling")
    @classmethod
    def _known(cls, value: dict[str, Pace]) -> dict[str, Pace]:
        wrong = next((key for key in value if key not in (*_LABELS, *_PRIORITIES, "any")), None)
        if wrong is not None:
            raise ValueError(f'{wrong!r} is no label, no priority such as "1", and not any')
        if value and "any" not in value:
            raise ValueError('lacks any: say how long all other cases take, such as any = { median = "5m" }')
        return value

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.accepts + self.declines > 1 + 1e-9:
            raise ValueError("accepts and declines are more than 1 together: the rest is the share that gets no answer")
        return self

    @property
    def names(self) -> list[str]:
        """The name of each operator."""
        return [self.name] if self.count is None else [f"{self.name}{n}" for n in range(1, self.count + 1)]

    def pace(self, label: str, priority: int) -> Pace | None:
        """How long an answer to a customer takes; None: they answer no customer."""
        known = self.handling
        return known.get(str(priority)) or known.get(label) or known.get("any")


class Team(Part):
    """Simulated operators and what they do."""

    seed: Annotated[int, Field(ge=0)] = 7
    """The same seed gives the same reactions."""
    zone: str = "UTC"
    """The time zone of the shifts."""
    operators: Annotated[list[OperatorGroup], Field(min_length=1)]

    @field_validator("zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        zone(value)
        return value

    @model_validator(mode="after")
    def _apart(self) -> Self:
        seen: set[str] = set()
        for group in self.operators:
            for name in group.names:
                if name in seen:
                    raise ValueError(f"two operators have the name {name}: give each a name of their own")
                seen.add(name)
        return self

    @cached_property
    def members(self) -> Mapping[str, OperatorGroup]:
        """The group of each operator by name."""
        return {name: group for group in self.operators for name in group.names}

    @property
    def signs_in(self) -> bool:
        """Whether any of them signs in by a shift."""
        return any(group.shifts for group in self.operators)

    @property
    def replies(self) -> bool:
        """Whether any of them answers customers."""
        return any(group.handling for group in self.operators)


def parse_team(text: str, name: str = "team") -> Team:
    """The team of a TOML text. name: the file's name in errors. Raises TeamError."""
    try:
        return parse_part(Team, text, name)
    except PolicyError as error:
        raise TeamError(str(error)) from None


def read_team(path: Path) -> Team:
    """The team of a TOML file. Raises TeamError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TeamError(f"{path}: {error.strerror}: name a TOML file of operators") from None
    except UnicodeDecodeError:
        raise TeamError(f"{path}: not UTF-8 text: save the file as UTF-8") from None
    return parse_team(text, str(path))
