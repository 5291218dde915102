"""Counts the posts of one partition of mentions by the minute, for each brand."""

from __future__ import annotations

from collections import defaultdict

from schemas import ids
from schemas.records import ClassifiedMention, ConversationCount, Kind, Label, Volume, VolumeCount

#: A Volume names at most this many conversations, the largest. Posts of other conversations are counted without a name.
LARGEST = 200
#: A Volume names at most this many channels. The posts of further channels count as the channel `other`, so that no
#: producer can make a Volume larger than its topic allows.
CHANNELS = 100
#: Characters; no network has a longer id of a post or an author. A post whose root has a longer id is counted, but the
#: Volume does not name the root.
LONGEST_NAMED = 256


class _Channel:
    """The counts of one brand on one channel."""

    __slots__ = ("authors", "complaints", "counts", "joined", "reach")

    def __init__(self) -> None:
        self.counts: dict[tuple[Kind, Label], int] = {}  # posts
        self.authors: dict[str, str] = {}  # native id of a post: its author
        self.reach = 0
        self.joined: dict[str, int] = {}  # root: number of posts by which other authors joined
        self.complaints: dict[str, int] = {}  # root: number of complaints among these posts


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
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._named: dict[str, int] = {}
        """How many channels of each brand are counted under their own names."""

    def add(self, mention: ClassifiedMention, offset: int) -> None:
        """Count a post that was read at this offset of mentions. Posts by the brand's own accounts are not counted."""
        self._offset = offset
        if mention.own:
            return
        post = mention.mention
        place = (post.brand, post.channel)
        channel = self._channels.get(place)
        if channel is None:
            channel = self._new(post.brand, post.channel)
        label = mention.label
        counts = channel.counts
        sort = (post.kind, label)
        counts[sort] = counts.get(sort, 0) + 1
        native_id = post.native_id
        channel.authors[native_id] = post.author_id
        reach = post.reach
        if reach:
            channel.reach += reach
        root = post.share_of or post.conversation_id
        if root and root != native_id and len(root) <= LONGEST_NAMED:
            joined = channel.joined
            joined[root] = joined.get(root, 0) + 1
            if label == "complaint":
                channel.complaints[root] = channel.complaints.get(root, 0) + 1

    def counts_any(self) -> bool:
        """Whether the minute has any count."""
        return bool(self._channels)

    def _new(self, brand: str, name: str) -> _Channel:
        named = self._named[brand] = self._named.get(brand, 0) + 1
        return self._channels.setdefault((brand, name if named <= CHANNELS else "other"), _Channel())

    def close(self) -> list[Volume]:
        """Returns one Volume for each brand with posts, ordered by brand."""
        brands: dict[str, list[tuple[str, _Channel]]] = defaultdict(list)
        for (brand, name), channel in sorted(self._channels.items(), key=lambda item: item[0]):
            brands[brand].append((name, channel))
        return [self._volume(brand, channels) for brand, channels in brands.items()]

    def _volume(self, brand: str, channels: list[tuple[str, _Channel]]) -> Volume:
        joined = [(-posts, root, name, channel) for name, channel in channels for root, posts in channel.joined.items()]
        joined.sort(key=lambda found: found[:3])
        return Volume(
            id=ids.make("volume", brand, self.start, self.partition, self._offset),
            brand=brand,
            minute=self.start,
            partition=self.partition,
            offset=self._offset,
            counts=[
                VolumeCount(channel=name, kind=kind, label=label, count=count)
                for name, channel in channels
                for (kind, label), count in sorted(channel.counts.items())
            ],
            authors=sum(len(set(channel.authors.values())) for _, channel in channels),
            reach=sum(channel.reach for _, channel in channels),
            conversations=[
                ConversationCount(
                    root=root,
                    channel=name,
                    posts=-posts,
                    complaints=channel.complaints.get(root, 0),
                    root_author=_told(channel.authors.get(root)),
                )
                for posts, root, name, channel in joined[:LARGEST]
            ],
        )


def _told(author: str | None) -> str | None:
    return author if author is None or len(author) <= LONGEST_NAMED else None
