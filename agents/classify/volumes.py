"""What one partition of mentions brought of each brand in its open minute, counted post by post."""

from __future__ import annotations

from collections import defaultdict

from schemas import ids
from schemas.records import ClassifiedMention, ConversationCount, Kind, Label, Volume, VolumeCount

#: Conversations told of a brand and minute, at most; the posts of the rest still count.
LARGEST = 200


#: Channels told of a brand and minute by their names, at most; the posts of the rest count as the channel `other`, so that
#: no producer can make a Volume larger than its topic takes.
CHANNELS = 100
#: An id of a root or of its author that is longer than this (characters) is no network's; its posts count, but a Volume does
#: not name it.
LONGEST_NAMED = 256


class _Channel:
    """The counts of one brand on one channel."""

    __slots__ = ("authors", "complaints", "counts", "joined", "reach")

    def __init__(self) -> None:
        self.counts: dict[tuple[Kind, Label], int] = {}  # posts
        self.authors: dict[str, str] = {}  # native id of a post: its author
        self.reach = 0
        self.joined: dict[str, int] = {}  # root: posts by which others joined
        self.complaints: dict[str, int] = {}  # root: of these, complaints


class MinuteCounter:
    """The open minute of a mentions partition: `add` each mention in order; `close` tells the counts.

    `close` changes nothing: a minute may be told early, and again with what came since; then the higher
    offset holds.
    """

    def __init__(self, partition: int, start: int) -> None:
        """Of this mentions partition; `start` in ms is the minute's, by the partition's time."""
        self.partition = partition
        self.start = start
        self._offset = -1
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._named: dict[str, int] = {}
        """How many channels of a brand have their names."""

    def add(self, mention: ClassifiedMention, offset: int) -> None:
        """Count a post read at this offset of mentions; one by the brand's own account is passed over."""
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
        """Whether closing it would tell something."""
        return bool(self._channels)

    def _new(self, brand: str, name: str) -> _Channel:
        named = self._named[brand] = self._named.get(brand, 0) + 1
        return self._channels.setdefault((brand, name if named <= CHANNELS else "other"), _Channel())

    def close(self) -> list[Volume]:
        """One Volume per brand seen, by brand."""
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
