"""What the Volumes of a minute say, of all mentions partitions together, and of a few minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from agents.decider import Unusable
from schemas.records import Label, Volume

MINUTE = 60_000
LABELS: tuple[Label, ...] = ("complaint", "question", "praise", "other")
#: Conversations that a Volume tells of, at most: as many as classify names.
_LARGEST = 200
#: Posts of a brand, or contacts of a source, in a minute that nothing on Earth brings: whoever says so is broken.
ABSURD = 100_000_000


class Joined(msgspec.Struct, frozen=True, array_like=True):
    """Posts by which others joined a conversation."""

    posts: int
    complaints: int
    channel: str
    author: str | None
    """of the root post, where it was seen"""


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """Counts of some stretch of time."""

    labels: tuple[int, int, int, int] = (0, 0, 0, 0)
    """posts, in the order of LABELS"""
    channels: dict[str, int] = {}
    """posts"""
    roots: dict[str, Joined] = {}
    authors: int = 0
    reach: int = 0
    bare: int = 0
    """posts passed on without a word of their own"""

    @property
    def posts(self) -> int:
        """Of all labels."""
        return sum(self.labels)

    @classmethod
    def of(cls, volume: Volume) -> Tally:
        """What a Volume says."""
        labels, channels = Counter[str](), Counter[str]()
        bare = sum(count.count for count in volume.counts if count.kind == "share" and count.label == "other")
        for count in volume.counts:
            labels[count.label] += count.count
            channels[count.channel] += count.count
        told = sorted(volume.conversations, key=lambda joined: (-joined.posts, joined.root))[:_LARGEST]
        roots: dict[str, Joined] = {}
        for joined in told:
            one = Joined(joined.posts, joined.complaints, joined.channel, joined.root_author)
            roots[joined.root] = _both(roots[joined.root], one) if joined.root in roots else one
        complaints, questions, praise, other = (labels[label] for label in LABELS)
        mix = (complaints, questions, praise, other)
        return cls(mix, dict(sorted(channels.items())), roots, volume.authors, volume.reach, bare)

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        """All of them together, the same in whatever order."""
        channels, roots = Counter[str](), dict[str, Joined]()
        complaints = questions = praise = other = authors = reach = bare = 0
        for tally in tallies:
            c, q, p, o = tally.labels
            complaints, questions, praise, other = complaints + c, questions + q, praise + p, other + o
            channels.update(tally.channels)
            for root, joined in tally.roots.items():
                roots[root] = _both(roots[root], joined) if root in roots else joined
            authors += tally.authors
            reach += tally.reach
            bare += tally.bare
        mix = (complaints, questions, praise, other)
        return cls(mix, dict(sorted(channels.items())), dict(sorted(roots.items())), authors, reach, bare)

    def without_roots(self) -> Tally:
        """The counts alone."""
        return Tally(self.labels, self.channels, {}, self.authors, self.reach, self.bare)


class Minute(msgspec.Struct, frozen=True, tag="minute"):
    """A minute still open: what each mentions partition brought; the higher offset holds."""

    brand: str
    counts: dict[int, tuple[int, Tally]] = {}
    """by partition: offset and counts"""

    def takes(self, volume: Volume) -> bool:
        """Whether the volume is news."""
        known = self.counts.get(volume.partition)
        return known is None or known[0] < volume.offset

    def with_(self, volume: Volume) -> Minute:
        """With the volume in place of an earlier one of the same partition."""
        return Minute(self.brand, {**self.counts, volume.partition: (volume.offset, Tally.of(volume))})

    def tally(self) -> Tally:
        """All of it."""
        return Tally.sum(tally for _, tally in self.counts.values())

    def offsets(self) -> dict[int, int]:
        """Of mentions, by partition: counted up to."""
        return {partition: offset for partition, (offset, _) in self.counts.items()}


def _both(a: Joined, b: Joined) -> Joined:
    authors = [author for author in (a.author, b.author) if author is not None]
    return Joined(
        a.posts + b.posts, a.complaints + b.complaints, min(a.channel, b.channel), min(authors) if authors else None
    )


def check(volume: Volume) -> None:
    """Raises Unusable where no counting can have brought it."""
    if volume.minute < 0 or volume.minute % MINUTE:
        raise Unusable(f"minute {volume.minute} is not the start of one")
    numbers = [volume.partition, volume.offset, volume.authors, volume.reach]
    numbers += [count.count for count in volume.counts]
    numbers += [n for joined in volume.conversations for n in (joined.posts, joined.complaints)]
    if min(numbers) < 0:
        raise Unusable(f"a count is negative: {min(numbers)}")
    if sum(count.count for count in volume.counts) > ABSURD:
        raise Unusable(f"more than {ABSURD} posts in a minute")
