"""What is remembered of a brand: two days of 5-minute bins, the last hour in detail, the bins still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from schemas.records import Label, Volume

#: ms; a bin is the step at which a brand is judged.
BIN = 5 * 60_000
DAY = 24 * 60 * 60_000 // BIN
#: Bins remembered: yesterday's counterpart of a baseline before a surge of many hours.
HISTORY = 2 * DAY
#: Bins remembered in detail: the longest window that can be judged.
DETAILS = 12
#: Roots remembered of a Volume and of a bin: at most three can have 30 % of the posts.
ROOTS = 8
LABELS: tuple[Label, ...] = ("complaint", "question", "praise", "other")


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Counts of some stretch of time."""

    labels: dict[str, int] = {}
    """posts"""
    channels: dict[str, int] = {}
    """posts"""
    roots: dict[str, int] = {}
    """posts by which others joined, of the largest conversations"""
    authors: int = 0
    reach: int = 0

    @property
    def posts(self) -> int:
        """How many posts, of all labels."""
        return sum(self.labels.values())

    @classmethod
    def of(cls, volume: Volume) -> Tally:
        """What a Volume says."""
        labels: Counter[str] = Counter()
        channels: Counter[str] = Counter()
        roots: Counter[str] = Counter()
        for count in volume.counts:
            labels[count.label] += count.count
            channels[count.channel] += count.count
        for joined in volume.conversations:
            roots[joined.root] += joined.posts
        return cls(_by_name(labels), _by_name(channels), _largest(roots), volume.authors, volume.reach)

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        """All of them together, the same in whatever order."""
        labels: Counter[str] = Counter()
        channels: Counter[str] = Counter()
        roots: Counter[str] = Counter()
        authors = reach = 0
        for tally in tallies:
            labels.update(tally.labels)
            channels.update(tally.channels)
            roots.update(tally.roots)
            authors += tally.authors
            reach += tally.reach
        return cls(_by_name(labels), _by_name(channels), _largest(roots), authors, reach)


class Open(msgspec.Struct, frozen=True, array_like=True):
    """The brand's open surge."""

    id: str
    started_at: int
    seq: int
    """of its last event"""
    reported: float
    """the largest ratio reported"""


class Series(msgspec.Struct, frozen=True, tag="series"):
    """A brand. The lists hold one entry per judged bin, oldest first; the last ends at `until`."""

    brand: str
    first: int = 0
    """ms; start of the first bin ever judged"""
    until: int = 0
    """ms; end of the last bin judged; 0: none yet"""
    waiting: list[int] = []
    """ms; starts of bins with posts that are not judged yet, ascending"""
    labels: list[list[int]] = []
    """posts by label, in the order of LABELS; empty for a bin without posts"""
    surging: list[bool] = []
    """the bin belongs to a surge: it does not say what is usual"""
    recent: list[Tally] = []
    """the last bins in detail"""
    open: Open | None = None
    closed_at: int = 0
    """ms; end of the last surge: what came before opens no other"""

    def holds(self, volume: Volume) -> bool:
        """The volume's bin was judged already."""
        return volume.minute < self.until

    def awaits(self, start: int) -> Series:
        """With a bin that has posts."""
        if start in self.waiting:
            return self
        return msgspec.structs.replace(self, waiting=sorted([*self.waiting, start]))

    def judged(self, start: int, tally: Tally) -> Series:
        """With the next bin, and empty ones for the silence before it."""
        silent = min((start - self.until) // BIN, HISTORY) if self.until else 0
        labels = [tally.labels.get(label, 0) for label in LABELS] if tally.labels else []
        return msgspec.structs.replace(
            self,
            first=self.first if self.until else start,
            until=start + BIN,
            waiting=[other for other in self.waiting if other != start],
            labels=[*self.labels, *([[]] * silent), labels][-HISTORY:],
            surging=[*self.surging, *([False] * silent), self.open is not None][-HISTORY:],
            recent=[*self.recent, *([Tally()] * min(silent, DETAILS)), tally][-DETAILS:],
        )

    def marked(self, since: int, surging: bool) -> list[bool]:
        """`surging` with every bin since then set so."""
        kept = max(0, len(self.surging) - (self.until - since) // BIN)
        return self.surging[:kept] + [surging] * (len(self.surging) - kept)


class Bin(msgspec.Struct, frozen=True, tag="bin"):
    """A bin still open: what each mentions partition brought in each minute; the higher offset holds."""

    brand: str
    counts: dict[str, tuple[int, Tally]] = {}
    """`minute/partition`: offset and counts"""

    def takes(self, volume: Volume) -> bool:
        """Whether the volume is news."""
        known = self.counts.get(f"{volume.minute}/{volume.partition}")
        return known is None or known[0] < volume.offset

    def with_(self, volume: Volume) -> Bin:
        """With the volume in place of an earlier one of the same minute and partition."""
        place = f"{volume.minute}/{volume.partition}"
        return Bin(self.brand, {**self.counts, place: (volume.offset, Tally.of(volume))})

    def tally(self) -> Tally:
        """All of it."""
        return Tally.sum(tally for _, tally in self.counts.values())


def _by_name(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _largest(roots: Counter[str]) -> dict[str, int]:
    return dict(sorted(roots.items(), key=lambda item: (-item[1], item[0]))[:ROOTS])
