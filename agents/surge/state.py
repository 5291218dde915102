"""The state of surge: the records of each brand, split by how often they change, and the notes.

Keys: `brand` for a WatchedBrand, and `brand|series`, `brand|contacts|source` and `brand|minute` for the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from agents.decider import Carried, State, StateNote, Unusable
from agents.surge.burst import Burst
from agents.surge.channel_silence import ChannelActivity
from agents.surge.conversations import Conversations
from agents.surge.crowd import Crowd
from agents.surge.expected_events import NOTHING, UnexpectedCounts
from agents.surge.load import Load
from agents.surge.tally import Tally
from schemas.records import Crowd as CrowdKind
from schemas.records import Volume

DAY = 24 * 3_600_000
#: At most this many sources of contacts are followed for a brand.
SOURCES = 8
#: The parts of a brand (channels, complaints) are many. A part's burst must be rarer than a brand's, because otherwise
#: the many parts would cause many bursts by chance.
PART_BURST = Burst.new(strict=math.log(4))


class OpenSurge(msgspec.Struct, frozen=True, array_like=True):
    """The open surge of a brand. There is only one, even if several series detect it."""

    id: str
    started_at: int
    """ms"""
    seq: int
    """`seq` of its last event."""
    detected: list[str]
    """Keys of the detections in the surge's events so far."""
    reported_ratio: float
    """The largest ratio in an event so far."""
    peak_ratio: float
    """The largest ratio so far."""
    excess: float
    """Posts above the usual so far."""
    root: str | None
    """The root post in an event so far."""
    settled: bool = False
    """Whether one of its series has ended because its level became the usual level."""
    told_at: int = 0
    """ms; when an event last told of it."""
    told_posts: int = 0
    """Posts of the half hour before it."""
    crowd: CrowdKind = "many"
    """Who makes it, as an event last told."""


class LastCrisis(msgspec.Struct, frozen=True, array_like=True):
    """The last crisis of a brand, and the last declaration. A crisis is open unless `by` is empty."""

    id: str
    """Empty where a person has declared something and there was no crisis yet."""
    seq: int
    """`seq` of its last event."""
    by: str
    """`rule`, or the person who declared it; empty after it is closed."""
    surge: str | None
    """Id of the surge that it belongs to."""
    declared_at: int = 0
    """ms; when a person last declared that a crisis opens or closes, whether it changed anything or not."""


class LatePosts(msgspec.Struct, frozen=True, array_like=True):
    """The posts of a bin that came after it was judged."""

    tally: Tally
    crowd: Crowd

    @classmethod
    def sum(cls, parts: Sequence[dict[int, LatePosts]]) -> dict[int, LatePosts]:
        """These together, by the start of their bin (ms)."""
        if not parts:
            return {}
        found: dict[int, LatePosts] = {}
        for start, late in (item for part in parts for item in part.items()):
            known = found.get(start)
            if known is not None:
                late = LatePosts(Tally.sum([known.tally, late.tally]), known.crowd.plus([late.crowd]))
            found[start] = late
        return dict(sorted(found.items()))


class WatchedBrand(msgspec.Struct, frozen=True, tag="brand"):
    """The part of a brand's state that changes every minute, with its open surge and crisis."""

    brand: str
    judged_until: int = 0
    """ms; end of the last minute that was judged; 0 before the first."""
    heard_until: int = 0
    """ms; end of the last minute that had a post or a contact."""
    waiting: list[int] = []
    """ms, ascending; starts of minutes that have posts and are not judged yet."""
    recent: list[Tally] = []
    """What was read in the last minutes, oldest first; without what was more than half an hour late."""
    open_bin: UnexpectedCounts = NOTHING
    """The counts since the last complete bin."""
    partial_until: int = 0
    """ms; end of the last minute in which a writer was idle, so that its counts may be too low."""
    conversations: Conversations = Conversations()
    offsets: dict[int, int] = {}
    """By partition of mentions: the offset up to which posts of the brand are counted."""
    sources: list[str] = []
    """Sources of contacts that are counted outside."""
    surge: OpenSurge | None = None
    crisis: LastCrisis | None = None
    closed_at: int = 0
    """ms; end of the last surge. Minutes before this time do not belong to another surge."""
    crowds: list[Crowd] = []
    """Who wrote the posts since the last complete bin, by minute."""
    late: dict[int, LatePosts] = {}
    """By the start of their bin (ms): posts of judged bins that came since the last complete bin."""
    in_time: Tally = Tally()
    """The posts since the last complete bin that were read in time."""

    def awake(self) -> bool:
        """Whether every bin is judged; False when no post or contact came for a day and no surge is open."""
        return self.surge is not None or self.judged_until - self.heard_until < DAY

    def awaits(self, minute: int) -> WatchedBrand:
        """The brand when the minute that starts at `minute` (ms) has posts; unchanged if that is known."""
        if minute in self.waiting:
            return self
        return replace(self, waiting=sorted([*self.waiting, minute]))

    def last(self, minutes: int) -> Tally:
        """The sum of the last minutes; at most 30 are remembered."""
        return Tally.sum(self.recent[-minutes:])

    def woken(self, start: int) -> WatchedBrand:
        """The brand when posts come again at `start` (ms) after a day of silence: its counts start from zero."""
        conversations = self.conversations.skip()
        return replace(
            self,
            judged_until=start,
            heard_until=start,
            recent=[],
            open_bin=NOTHING,
            conversations=conversations,
            crowds=[],
            late={},
            in_time=Tally(),
        )


class Mark(NamedTuple):
    """Up to which offsets mentions were counted at a moment."""

    at: int
    """ms"""
    offsets: dict[int, int]
    """As `WatchedBrand.offsets`."""


class BrandSeries(msgspec.Struct, frozen=True, tag="series"):
    """The part of a brand's state that changes every 5 minutes: its series, and averages for the evidence."""

    brand: str
    posts: Burst
    complaints: Burst
    channels: dict[str, Burst] = {}
    hearing: dict[str, ChannelActivity] = {}
    """By channel: whether it has fallen silent."""
    bins: list[Tally] = []
    """The counts of each bin of the last three hours, oldest first."""
    before: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """The usual number of posts in a bin, by label. A bin teaches it when it leaves `bins`, so that no window that opens a surge
    has a part in what it is compared with.
    """
    day: list[int] = []
    """Posts in each bin of the last 24 h, oldest first."""
    marks: list[Mark] = []
    """A mark for each half hour of the last four hours, oldest first."""
    crowds: list[Crowd] = []
    """Who wrote the posts of each of `bins`."""
    partials: list[int] = []
    """ms, ascending; starts of those of the last three hours' bins that were partial, and taught nothing."""
    doubt: bool = False
    """Whether posts were to be expected in the last bins of the channels that bring most of them, and none came."""

    @classmethod
    def new(cls, brand: str) -> BrandSeries:
        """The series of a brand before its first post."""
        return cls(brand, Burst.new(), PART_BURST)

    def woken(self) -> BrandSeries:
        """The series when posts come again after a silence: the last 24 h are not known."""
        return replace(self, day=[], bins=[], crowds=[], partials=[], doubt=False)

    def counted(self, bins: int) -> Tally:
        """The counts of the last bins; those of three hours at most."""
        return Tally.sum(self.bins[-bins:])

    def crowd(self, bins: int) -> Crowd:
        """Who wrote the posts of the last bins; those of three hours at most."""
        return Crowd.sum(self.crowds[-bins:])

    def bursts(self) -> list[tuple[str, Burst]]:
        """(name, burst) of each series: the name is empty for the brand, `complaints`, or `channel:` and the channel."""
        named = [(f"channel:{name}", burst) for name, burst in self.channels.items()]
        return [("", self.posts), ("complaints", self.complaints), *named]


class Contacts(msgspec.Struct, frozen=True, tag="contacts"):
    """The contacts of a brand from one source."""

    brand: str
    source: str
    """The name of the counting program; empty for questions and complaints among the posts."""
    load: Load
    minutes: int = 1
    """How many minutes its last count held."""


class PartOfMinute(msgspec.Struct, frozen=True, array_like=True):
    """What a Volume says."""

    offset: int
    tally: Tally
    crowd: Crowd = Crowd()
    late: dict[int, LatePosts] = {}
    """By the start of their bin (ms): posts of earlier bins."""


class OpenMinute(msgspec.Struct, frozen=True, tag="minute"):
    """A minute of a brand that is not judged yet."""

    brand: str
    counts: dict[int, PartOfMinute] = {}
    """By partition of mentions: its Volume with the highest offset."""

    def takes(self, volume: Volume) -> bool:
        """Whether the Volume is newer than the stored Volume of its partition."""
        known = self.counts.get(volume.partition)
        return known is None or known.offset < volume.offset

    def with_volume(self, volume: Volume) -> OpenMinute:
        """The minute with this Volume, which replaces an earlier Volume of the same partition."""
        late = LatePosts.sum([{one.minute: LatePosts(Tally.of(one), Crowd.of(one))} for one in volume.late])
        part = PartOfMinute(volume.offset, Tally.of(volume), Crowd.of(volume), late)
        return OpenMinute(self.brand, {**self.counts, volume.partition: part})

    def tally(self) -> Tally:
        """The counts of all partitions together."""
        return Tally.sum(part.tally for part in self.counts.values())

    def crowd(self) -> Crowd:
        """Who wrote the posts of all partitions."""
        parts = [part.crowd for part in self.counts.values()]
        return parts[0] if len(parts) == 1 else Crowd.of_bin(parts, least=1)

    def late(self) -> list[dict[int, LatePosts]]:
        """The late posts of each partition, by the start of their bin (ms)."""
        return [part.late for part in self.counts.values() if part.late]

    def offsets(self) -> dict[int, int]:
        """By partition of mentions: the offset up to which its posts are counted."""
        return {partition: part.offset for partition, part in self.counts.items()}


BrandRecord = WatchedBrand | BrandSeries | Contacts | OpenMinute


def series_key(brand: str) -> str:
    """The key of a brand's BrandSeries."""
    return f"{brand}|series"


def contacts_key(brand: str, source: str) -> str:
    """The key of a brand's Contacts from a source."""
    return f"{brand}|contacts|{source}"


def minute_key(brand: str, minute: int) -> str:
    """The key of a brand's OpenMinute that starts at `minute` (ms)."""
    return f"{brand}|{minute}"


def carried(_key: str, record: BrandRecord) -> Carried:
    """The record for another log: it goes with its brand, without the offsets of this log. Evidence about the time before
    names no offsets then.

    Raises Unusable for a minute that is not judged yet: its counts belong to partitions of this log.
    """
    if isinstance(record, OpenMinute):
        raise Unusable(f"{record.brand} has a minute that is not judged yet: let the workers run for a minute more")
    if isinstance(record, WatchedBrand):
        record = replace(record, offsets={})
    elif isinstance(record, BrandSeries):
        record = replace(record, marks=[])
    return Carried(record.brand.encode(), record)


class Brands(State[BrandRecord]):
    """All records. `left_out` counts the conversations that were not watched because there were too many."""

    def put(self, key: str, record: BrandRecord | None) -> None:
        """Set a record, or remove it with None, and count the conversations that the record leaves out."""
        if isinstance(record, WatchedBrand) and record.conversations.left_out:
            before = self.get(key)
            if before is None or before.conversations is not record.conversations:  # type: ignore[union-attr]
                self.left_out += record.conversations.left_out
        super().put(key, record)


# --- notes: changes of state without an event -----------------------------------------------------------------------


class VolumeNoted(StateNote, msgspec.Struct, frozen=True):
    """A Volume is remembered until its minute is judged."""

    volume: Volume


class BrandNoted(StateNote, msgspec.Struct, frozen=True):
    """A step changed the records of a brand."""

    records: dict[str, Any]
    """By key: the record after the step; None for a removed record."""
