"""What is remembered of a brand, and how it goes on: `Brand` by the minute, `Series` by the bin, `Contacts` by source."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from agents.policy.surge import ExpectedEvent, Surge
from agents.surge import expected
from agents.surge.burst import BIN, SUSTAINED, Burst
from agents.surge.channels import Channel
from agents.surge.conversations import Conversations
from agents.surge.expected import NOTHING, Counts
from agents.surge.incident import Crisis, Incident
from agents.surge.load import Load
from agents.surge.tally import MINUTE, Tally

DAY = 24 * 3_600_000
#: Minutes remembered one by one.
RECENT = 30
#: Bins of a brand remembered one by one: 24 h.
DAY_BINS = DAY // BIN
#: Channels of a brand that are watched each for itself, and sources of contacts counted outside.
CHANNELS, SOURCES = 12, 8
#: Half hours of which it is known how far mentions had been read.
_MARKS, _HALF = 8, BIN * 6
_SLOW = 2 / (SUSTAINED + 1)
#: A brand's parts are many, and each would be rare by accident as often as the brand: so each must be rarer.
_FRESH = Burst.new(strict=math.log(4))


class Mark(NamedTuple):
    """How far mentions had been read."""

    at: int
    """ms"""
    offsets: dict[int, int]
    """by partition, of what was counted of the brand"""


class Brand(msgspec.Struct, frozen=True, tag="brand"):
    """A brand: what changes by the minute, and what is open."""

    brand: str
    until: int = 0
    """ms; end of the last minute judged; 0: none yet"""
    heard: int = 0
    """ms; end of the last minute that brought something"""
    waiting: list[int] = []
    """ms; starts of minutes with posts that are not judged yet, ascending"""
    recent: list[Tally] = []
    """the last minutes, oldest first"""
    bin: Counts = NOTHING
    """since the last whole bin"""
    partial: int = 0
    """ms; end of the last minute of which a writer's part is missing"""
    conversations: Conversations = Conversations()
    offsets: dict[int, int] = {}
    """of mentions, by partition: counted up to"""
    sources: list[str] = []
    """of contacts counted outside"""
    incident: Incident | None = None
    crisis: Crisis | None = None
    closed_at: int = 0
    """ms; end of the last incident: what came before opens no other"""

    def awake(self) -> bool:
        """Judged at every bin: not when nothing has been heard for a day and nothing is open."""
        return self.incident is not None or self.until - self.heard < DAY

    def awaits(self, minute: int) -> Brand:
        """With a minute that has posts."""
        if minute in self.waiting:
            return self
        return replace(self, waiting=sorted([*self.waiting, minute]))

    def last(self, minutes: int) -> Tally:
        """What the last minutes brought; 30 at most."""
        return Tally.sum(self.recent[-minutes:])

    def woken(self, start: int) -> Brand:
        """As if nothing had been seen until then (ms)."""
        return replace(self, until=start, heard=start, recent=[], bin=NOTHING, conversations=self.conversations.skip())

    def minute(
        self,
        tally: Tally,
        beyond: Counts,
        offsets: dict[int, int],
        rule: Surge,
        events: list[ExpectedEvent],
        *,
        partial: bool,
    ) -> Brand:
        """With the next minute; beyond: what of it the expected events do not account for."""
        until = self.until + MINUTE
        return replace(
            self,
            until=until,
            heard=until if tally.posts else self.heard,
            waiting=self.waiting[1:] if self.waiting[:1] == [self.until] else self.waiting,
            recent=[*self.recent, tally.without_roots()][-RECENT:],
            bin=self.bin.plus(beyond) if tally.posts else self.bin,
            partial=until if partial else self.partial,
            conversations=self.conversations.step(
                tally.roots,
                rule,
                (lambda root: expected.factor(events, root)) if events else None,
                incident=self.incident is not None,
                partial=partial,
            ),
            offsets={**self.offsets, **offsets} if offsets else self.offsets,
        )


class Series(msgspec.Struct, frozen=True, tag="series"):
    """A brand's series: what changes by the bin."""

    brand: str
    posts: Burst
    complaints: Burst
    channels: dict[str, Burst] = {}
    hearing: dict[str, Channel] = {}
    labels: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """posts a bin by label, over the last three hours, newer ones counting more"""
    before: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """posts a bin by label, as is usual"""
    authors: float = 0.0
    """a bin, over the last three hours"""
    reach: float = 0.0
    """a bin, over the last three hours"""
    day: list[int] = []
    """posts in each bin of the last 24 h, oldest first"""
    marks: list[Mark] = []

    @classmethod
    def new(cls, brand: str) -> Series:
        """Of a brand of which nothing was seen."""
        return cls(brand, Burst.new(), _FRESH)

    def bin(self, brand: Brand, rule: Surge) -> Series:
        """With the bin that the brand's last minute has completed."""
        left, incident, start = brand.bin, brand.incident is not None, brand.until - BIN
        whole, partial = brand.last(BIN // MINUTE), brand.partial > start
        names = [*self.channels, *[name for name in left.channels if name not in self.channels]][:CHANNELS]
        channels = {
            name: self.channels.get(name, _FRESH).step(
                left.channels.get(name, 0.0), rule, partial=partial, incident=incident
            )
            for name in names
        }
        hearing = {
            name: self.hearing.get(name, Channel(start, start)).step(
                whole.channels.get(name, 0), start, rule.silent, partial=partial, incident=incident
            )
            for name in names
        }
        teaches = 0.0 if incident or partial else 1 / min(DAY_BINS, self.posts.age + 1)
        marks = self.marks
        if brand.until % _HALF == 0:
            marks = [*marks, Mark(brand.until, brand.offsets)][-_MARKS:]
        return Series(
            self.brand,
            self.posts.step(left.posts, rule, partial=partial, incident=incident),
            self.complaints.step(left.complaints, rule, partial=partial, incident=incident),
            channels,
            hearing,
            labels=tuple(_toward(old, new, _SLOW) for old, new in zip(self.labels, whole.labels, strict=True)),
            before=tuple(_toward(old, new, teaches) for old, new in zip(self.before, whole.labels, strict=True)),
            authors=_toward(self.authors, whole.authors, _SLOW),
            reach=_toward(self.reach, whole.reach, _SLOW),
            day=[*self.day, whole.posts][-DAY_BINS:],
            marks=marks,
        )

    def woken(self) -> Series:
        """After a time of which nothing is known."""
        return replace(self, day=[])

    def bursts(self) -> list[tuple[str, Burst]]:
        """By name: empty for the brand, `complaints`, or `channel:` and its name."""
        named = [(f"channel:{name}", burst) for name, burst in self.channels.items()]
        return [("", self.posts), ("complaints", self.complaints), *named]


class Contacts(msgspec.Struct, frozen=True, tag="contacts"):
    """Contacts of a brand from one source."""

    brand: str
    source: str
    """which counter; empty: posts"""
    load: Load


def _toward(old: float, new: float, by: float) -> float:
    return old + by * (new - old)
