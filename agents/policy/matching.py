"""Whether a rule matches a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple, get_args

from pydantic import Field

from agents.policy.parts import Name, Part
from schemas.records import Kind, Label, Visibility


class Features(NamedTuple):
    """The properties of a message that rules look at."""

    brand: str
    channel: str
    kind: Kind
    label: Label
    visibility: Visibility
    lang: str
    followers: int | None = None
    """Number of people; None where the network does not say."""
    reach: int | None = None
    """Number of people; None where the network does not say."""
    promoted: bool = False
    uncertain: bool = False


WORDS = 6
"""The first six features are words, each compared with a list of words. The others are numbers and flags."""
_LISTS = Features._fields[:WORDS]
_LEASTS = ("followers", "reach")
_FLAGS = ("promoted", "uncertain")
#: All words of the features that have a fixed set of words.
_ALL = {"kind": set(get_args(Kind)), "label": set(get_args(Label)), "visibility": set(get_args(Visibility))}


class Match(Part):
    """The messages that a rule applies to. A field that is left out matches every message."""

    brand: list[Name] = []
    """The brand is one of these."""
    channel: list[Name] = []
    """The network is one of these."""
    kind: list[Kind] = []
    """The kind of post is one of these."""
    label: list[Label] = []
    """The label is one of these."""
    visibility: list[Visibility] = []
    """The message is public or private."""
    lang: list[str] = []
    """The language is one of these. The classifier's names are es, pt and en."""
    followers: Annotated[int, Field(ge=0)] | None = None
    """The author has at least this many followers."""
    reach: Annotated[int, Field(ge=0)] | None = None
    """At least this many people may have seen the message."""
    promoted: bool | None = None
    """Whether the author paid to have the message seen."""
    uncertain: bool | None = None
    """Whether the label is uncertain."""

    def __call__(self, f: Features) -> bool:
        """Whether a message with these features matches."""
        return self.words(f[:WORDS]) and self.rest(f)

    def words(self, f: Sequence[object]) -> bool:
        """Whether the first six features match."""
        wanted: list[Sequence[object]]
        wanted = [self.brand, self.channel, self.kind, self.label, self.visibility, self.lang]
        return all(not names or word in names for names, word in zip(wanted, f, strict=True))

    def rest(self, f: Features) -> bool:
        """Whether the numbers and the flags match."""
        return (
            (self.followers is None or (f.followers or 0) >= self.followers)
            and (self.reach is None or (f.reach or 0) >= self.reach)
            and (self.promoted is None or self.promoted == f.promoted)
            and (self.uncertain is None or self.uncertain == f.uncertain)
        )

    @property
    def words_only(self) -> bool:
        """Whether the match looks at words only, so that `words` decides alone."""
        return not self.followers and not self.reach and self.promoted is None and self.uncertain is None

    def differs(self, f: Features) -> Iterator[str]:
        """A sentence for each feature that does not match; an empty list where the message matches."""
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
        """Whether it matches every message that `other` matches. The answer False may be wrong, the answer True never
        is.
        """
        for name in _LISTS:
            mine, theirs = set(getattr(self, name)), set(getattr(other, name)) or _ALL.get(name, set())
            if mine and not (theirs and theirs <= mine):
                return False
        for name in _LEASTS:
            if (getattr(self, name) or 0) > (getattr(other, name) or 0):
                return False
        return all(getattr(self, name) in (None, getattr(other, name)) for name in _FLAGS)
