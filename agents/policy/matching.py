"""Which messages a rule is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple, get_args

from pydantic import Field

from agents.policy.parts import Name, Part
from schemas.records import Kind, Label, Visibility


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


WORDS = 6
"""So many of the first features are words, which lists of words are held against."""
_LISTS = Features._fields[:WORDS]
_LEASTS = ("followers", "reach")
_FLAGS = ("promoted", "uncertain")
#: Every word that there is, where no others can come.
_ALL = {"kind": set(get_args(Kind)), "label": set(get_args(Label)), "visibility": set(get_args(Visibility))}


class Match(Part):
    """What a rule applies to; what is left out matches everything."""

    brand: list[Name] = []
    """One of these brands."""
    channel: list[Name] = []
    """One of these networks."""
    kind: list[Kind] = []
    """One of these kinds of post."""
    label: list[Label] = []
    """One of these labels."""
    visibility: list[Visibility] = []
    """Public, private."""
    lang: list[str] = []
    """One of these languages, as the classifier names them: es, pt, en."""
    followers: Annotated[int, Field(ge=0)] | None = None
    """The author has at least so many followers."""
    reach: Annotated[int, Field(ge=0)] | None = None
    """At least so many people may have seen it."""
    promoted: bool | None = None
    """Whether its author paid to have it seen."""
    uncertain: bool | None = None
    """Whether the label is uncertain."""

    def __call__(self, f: Features) -> bool:
        """Whether a message with these features is meant."""
        return self.words(f[:WORDS]) and self.rest(f)

    def words(self, f: Sequence[object]) -> bool:
        """Whether the first six features fit."""
        wanted: list[Sequence[object]]
        wanted = [self.brand, self.channel, self.kind, self.label, self.visibility, self.lang]
        return all(not names or word in names for names, word in zip(wanted, f, strict=True))

    def rest(self, f: Features) -> bool:
        """Whether the numbers and the flags fit."""
        return (
            (self.followers is None or (f.followers or 0) >= self.followers)
            and (self.reach is None or (f.reach or 0) >= self.reach)
            and (self.promoted is None or self.promoted == f.promoted)
            and (self.uncertain is None or self.uncertain == f.uncertain)
        )

    @property
    def words_only(self) -> bool:
        """Whether `words` alone decides."""
        return not self.followers and not self.reach and self.promoted is None and self.uncertain is None

    def differs(self, f: Features) -> Iterator[str]:
        """Each way in which a message is another than is meant, for people; none where it matches."""
        for name in _LISTS:
            wanted, word = getattr(self, name), getattr(f, name)
            if wanted and word not in wanted:
                yield f"{name} is {word or 'not known'}, not {' or '.join(wanted)}"
        for name in _LEASTS:
            least, number = getattr(self, name), getattr(f, name)
            if least and (number or 0) < least:
                said = "not known" if number is None else f"{number:,}"
                yield f"{name} is {said}, not {least:,} or more"
        for name in _FLAGS:
            asked, flag = getattr(self, name), getattr(f, name)
            if asked is not None and asked != flag:
                yield f"is {'' if flag else 'not '}{name}"

    def covers(self, other: Match) -> bool:
        """Whether it matches all that the other matches. Never true by mistake."""
        for name in _LISTS:
            mine, theirs = set(getattr(self, name)), set(getattr(other, name)) or _ALL.get(name, set())
            if mine and not (theirs and theirs <= mine):
                return False
        for name in _LEASTS:
            if (getattr(self, name) or 0) > (getattr(other, name) or 0):
                return False
        return all(getattr(self, name) in (None, getattr(other, name)) for name in _FLAGS)
