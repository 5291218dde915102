"""Counts the posts of one partition of mentions by the minute, for each brand.

A post counts in the minute in which it is read if it was made at most five minutes before; so what a connector brings when it
comes back is no flood. A later one counts in the five minutes in which it was made, for at most three hours.
"""

from __future__ import annotations

from zlib import crc32

from agents.classify.near_copies import NearCopies
from schemas import ids
from schemas.records import (
    AuthorCount,
    ClassifiedMention,
    ConversationCount,
    Kind,
    Label,
    LateCount,
    Mention,
    TextCount,
    Volume,
    VolumeCount,
)

#: A Volume names at most this many conversations, the largest. Posts of other conversations are counted without a name.
LARGEST = 200
#: A Volume names at most this many channels. The posts of further channels count as the channel `other`, so that no
#: producer can make a Volume larger than its topic allows.
CHANNELS = 100
#: Characters; no network has a longer id of a post or an author. A post whose root has a longer id is counted, but the
#: Volume does not name the root.
LONGEST_NAMED = 256
#: ms before the open minute: posts that were made earlier are late, or too old to be counted by their own time.
PROMPT, LATEST = 5 * 60_000, 3 * 3_600_000
#: ms before the open minute; posts that were made earlier join no conversation.
_JOINS = 30 * 60_000
#: ms; late posts are counted by the five minutes in which they were made.
_BIN = 5 * 60_000
#: How many hashes of authors a Volume has, and how many authors and texts it names.
SAMPLE, REPEATS = 64, 16
#: How many channels, hashes of authors, authors and texts it has of the late posts of five minutes; it distinguishes only shares
#: from others. There may be 36 times five minutes in the Volume of each partition, and surge keeps them until the minute is over.
_LATE_CHANNELS, _LATE_SAMPLE, _LATE_REPEATS = 12, 16, 4


class _Repeats:
    """The posts of one author, or of one text."""

    __slots__ = ("channel", "complaints", "contacts", "posts")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.posts = self.complaints = self.contacts = 0


class _Stretch:
    """The counts of one brand in the open minute, or of its late posts of five minutes."""

    __slots__ = ("authors", "channels", "texts")

    def __init__(self) -> None:
        self.channels: dict[str, dict[tuple[Kind, Label], int]] = {}  # posts by kind and label
        self.authors: dict[tuple[str, str], _Repeats] = {}  # by channel and author
        self.texts: dict[str, _Repeats] = {}  # by the name of the text

    def add(self, post: Mention, channel: str, label: Label, text: str | None, kind: Kind) -> None:
        counts = self.channels.get(channel)
        if counts is None:
            counts = self.channels[channel] = {}
        sort = (kind, label)
        counts[sort] = counts.get(sort, 0) + 1
        _count(self.authors, (channel, post.author_id), post, channel, label)
        if text is not None:
            _count(self.texts, text, post, channel, label)

    def counts(self) -> list[VolumeCount]:
        return [
            VolumeCount(channel=name, kind=kind, label=label, count=count)
            for name, counts in sorted(self.channels.items())
            for (kind, label), count in sorted(counts.items())
        ]

    def author_sample(self, most: int) -> list[int]:
        return sorted({crc32(f"{channel}|{author}".encode()) for channel, author in self.authors})[:most]

    def busiest(self, most: int) -> list[AuthorCount]:
        named = [(author, one) for (_, author), one in self.authors.items() if len(author) <= LONGEST_NAMED]
        return [
            AuthorCount(
                author_id=author, channel=one.channel, posts=one.posts, complaints=one.complaints, contacts=one.contacts
            )
            for author, one in _largest(named, most)
        ]

    def copied(self, most: int) -> list[TextCount]:
        return [
            TextCount(text=text, channel=one.channel, posts=one.posts, complaints=one.complaints, contacts=one.contacts)
            for text, one in _largest([*self.texts.items()], most)
        ]


class _Joined:
    """The conversations of one brand on one channel."""

    __slots__ = ("authors", "complaints", "posts", "shares")

    def __init__(self) -> None:
        self.authors: dict[str, str] = {}  # native id of a post: its author
        self.posts: dict[str, int] = {}  # root: number of posts by which other authors joined
        self.complaints: dict[str, int] = {}  # root: number of complaints among these posts
        self.shares: dict[str, int] = {}  # root: number of shares among these posts


class _Brand:
    """The counts of one brand."""

    __slots__ = ("conversations", "late", "older", "prompt", "reach")

    def __init__(self) -> None:
        self.prompt = _Stretch()
        self.late: dict[int, _Stretch] = {}  # by the start of their five minutes
        self.older = 0
        self.reach = 0
        self.conversations: dict[str, _Joined] = {}  # by channel

    def channel(self, name: str) -> str:
        """The name under which the posts of a channel are counted."""
        named = self.conversations
        if name not in named:
            if len(named) >= CHANNELS:
                name = "other"
            named.setdefault(name, _Joined())
        return name


class MinuteCounter:
    """The counts of the open minute of a partition of mentions: `add` counts a mention, `close` returns the Volumes.

    `close` changes nothing. A minute may be closed early, and again after further mentions: the Volume with the higher
    offset replaces the other.
    """

    def __init__(self, partition: int, start: int) -> None:
        """Starts the minute of a partition that begins at `start` (ms), by the watermark."""
        self.partition = partition
        self.start = start
        self._offset = -1
        self._brands: dict[str, _Brand] = {}
        self._copies = NearCopies()

    def add(self, mention: ClassifiedMention, offset: int) -> None:
        """Count a post that was read at this offset of mentions. Posts by the brand's own accounts are not counted."""
        self._offset = offset
        if mention.own:
            return
        post = mention.mention
        brand = self._brands.get(post.brand)
        if brand is None:
            brand = self._brands[post.brand] = _Brand()
        channel, label = brand.channel(post.channel), mention.label
        behind = self.start - post.created_at
        if behind <= _JOINS:
            _join(brand.conversations[channel], post, label)
        if behind > LATEST:
            brand.older += 1
            return
        # A share has the words of another post, so it is no copy.
        text = None if post.kind == "share" else self._copies.of(post.text)
        if behind <= PROMPT:
            brand.reach += post.reach or 0
            brand.prompt.add(post, channel, label, text, post.kind)
            return
        late = brand.late.setdefault(post.created_at - post.created_at % _BIN, _Stretch())
        if channel not in late.channels and len(late.channels) >= _LATE_CHANNELS:
            channel = "other"
        late.add(post, channel, label, text, "share" if post.kind == "share" else "post")

    def counts_any(self) -> bool:
        """Whether the minute has any count."""
        return bool(self._brands)

    def close(self) -> list[Volume]:
        """Returns one Volume for each brand with posts, ordered by brand."""
        return [self._volume(name, brand) for name, brand in sorted(self._brands.items())]

    def _volume(self, name: str, brand: _Brand) -> Volume:
        prompt = brand.prompt
        return Volume(
            id=ids.make("volume", name, self.start, self.partition, self._offset),
            brand=name,
            minute=self.start,
            partition=self.partition,
            offset=self._offset,
            counts=prompt.counts(),
            authors=len(prompt.authors),
            reach=brand.reach,
            conversations=_conversations(brand.conversations),
            author_sample=prompt.author_sample(SAMPLE),
            busiest=prompt.busiest(REPEATS),
            copied=prompt.copied(REPEATS),
            late=[
                LateCount(
                    minute=start,
                    counts=late.counts(),
                    author_sample=late.author_sample(_LATE_SAMPLE),
                    busiest=late.busiest(_LATE_REPEATS),
                    copied=late.copied(_LATE_REPEATS),
                )
                for start, late in sorted(brand.late.items())
            ],
            older=brand.older,
        )


def _count(of: dict, key: object, post: Mention, channel: str, label: Label) -> None:  # type: ignore[type-arg]
    one = of.get(key)
    if one is None:
        one = of[key] = _Repeats(channel)
    one.posts += 1
    # A share has no words of its own, whatever the label of the shared ones.
    if post.kind != "share" and label in ("complaint", "question"):
        one.contacts += 1
        one.complaints += label == "complaint"


def _largest(named: list[tuple[str, _Repeats]], most: int) -> list[tuple[str, _Repeats]]:
    return sorted(named, key=lambda found: (-found[1].posts, found[1].channel, found[0]))[:most]


def _join(channel: _Joined, post: Mention, label: Label) -> None:
    native_id = post.native_id
    channel.authors[native_id] = post.author_id
    root = post.share_of or post.conversation_id
    if root and root != native_id and len(root) <= LONGEST_NAMED:
        channel.posts[root] = channel.posts.get(root, 0) + 1
        if post.kind == "share":
            channel.shares[root] = channel.shares.get(root, 0) + 1
        elif label == "complaint":
            channel.complaints[root] = channel.complaints.get(root, 0) + 1


def _conversations(channels: dict[str, _Joined]) -> list[ConversationCount]:
    joined = [(-posts, root, name, one) for name, one in channels.items() for root, posts in one.posts.items()]
    joined.sort(key=lambda found: found[:3])
    return [
        ConversationCount(
            root=root,
            channel=name,
            posts=-posts,
            complaints=one.complaints.get(root, 0),
            root_author=_told(one.authors.get(root)),
            shares=one.shares.get(root, 0),
        )
        for posts, root, name, one in joined[:LARGEST]
    ]


def _told(author: str | None) -> str | None:
    return author if author is None or len(author) <= LONGEST_NAMED else None
