"""Counts of posts: of one Volume, of a minute of all partitions together, or of several minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from schemas.records import Label, LateCount, Volume

MINUTE = 60_000
LABELS: tuple[Label, ...] = ("complaint", "question", "praise", "other")
#: At most this many conversations of a Volume are read; classify writes no more.
_LARGEST = 200


class Joined(msgspec.Struct, frozen=True, array_like=True):
    """The posts that joined a conversation."""

    posts: int
    complaints: int
    channel: str
    author: str | None
    """Author of the root post, where the post was seen."""
    shares: int = 0
    """Of the posts, shares."""


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """The counts of a stretch of time."""

    labels: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Posts, in the order of LABELS."""
    channels: dict[str, int] = {}
    """Posts by channel."""
    roots: dict[str, Joined] = {}
    """Conversations by the native id of the root post."""
    authors: int = 0
    reach: int = 0
    """People, summed over the posts."""
    bare: int = 0
    """Shares: posts that pass another post on without any new words."""

    @property
    def posts(self) -> int:
        """Posts of all labels."""
        return sum(self.labels)

    @classmethod
    def of(cls, counted: Volume | LateCount) -> Tally:
        """The counts of a Volume, or of its late posts, which join no conversation.

        A share says nothing of its own, so it counts under no label but `other`, whatever label the shared words have.
        """
        labels, channels = Counter[str](), Counter[str]()
        bare = 0
        for count in counted.counts:
            labels["other" if count.kind == "share" else count.label] += count.count
            channels[count.channel] += count.count
            bare += count.count if count.kind == "share" else 0
        complaints, questions, praise, other = (labels[label] for label in LABELS)
        mix = (complaints, questions, praise, other)
        if isinstance(counted, LateCount):
            return cls(mix, dict(sorted(channels.items())), bare=bare)
        largest = sorted(counted.conversations, key=lambda joined: (-joined.posts, joined.root))[:_LARGEST]
        roots: dict[str, Joined] = {}
        for joined in largest:
            one = Joined(joined.posts, joined.complaints, joined.channel, joined.root_author, joined.shares)
            roots[joined.root] = _both(roots[joined.root], one) if joined.root in roots else one
        return cls(mix, dict(sorted(channels.items())), roots, counted.authors, counted.reach, bare)

    @classmethod
    def sum(cls, tallies: Iterable[Tally]) -> Tally:
        """The sum of these counts, which does not depend on their order."""
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
        """The counts without the conversations."""
        return Tally(self.labels, self.channels, {}, self.authors, self.reach, self.bare)


def _both(a: Joined, b: Joined) -> Joined:
    authors = [author for author in (a.author, b.author) if author is not None]
    return Joined(
        a.posts + b.posts,
        a.complaints + b.complaints,
        min(a.channel, b.channel),
        min(authors) if authors else None,
        a.shares + b.shares,
    )
