"""Conversations: whether more and more people pass on one root post. Each minute is one step.

In the count of a busy brand a viral post would not be noticed, so each conversation is watched by itself. At most 40
conversations are watched: the ones with the most posts in the last 15 minutes. A conversation becomes hot when as many
posts join it as the policy asks, many times more than usually join the brand's largest conversation, and the last
minutes have at least their share.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from agents.policy.surge_policy import SurgePolicy
from agents.surge.tally import MINUTE, Joined

#: The length of the window, in minutes.
WINDOW = 15
#: The most conversations of a brand that are watched at once.
WATCHED = 40
#: A conversation is hot with this many times the posts that the brand's largest conversation usually has.
_MANY = 5.0
#: A conversation grows if its last minutes have at least their share of the window's posts.
_LAST = 5
#: Minutes over which the usual number is averaged.
_WEEK = 7 * 24 * 60
#: A window counts in the usual number with at most twice the usual number plus this many posts.
_STRAY = 10.0


class Conversation(msgspec.Struct, frozen=True, array_like=True):
    """The posts that join one root post."""

    root: str
    """Native id of the root post."""
    channel: str
    author: str | None
    """Author of the root post, where the post was seen."""
    posts: list[int]
    """Posts that joined in each of the last 15 minutes, oldest first."""
    complaints: list[int]
    """Of these, complaints."""
    hot: bool = False
    lasted: int = 0
    """Minutes since it became hot."""
    calm: int = 0
    """Minutes since the window last had half of the posts that make a conversation hot."""
    shares: list[int] = []
    """Of the posts, shares."""

    @property
    def with_words(self) -> int:
        """Posts in the window that are no shares."""
        return sum(self.posts) - sum(self.shares)

    @property
    def joined(self) -> int:
        """Posts in the window."""
        return sum(self.posts)


class Conversations(msgspec.Struct, frozen=True, array_like=True):
    """The watched conversations of a brand."""

    known: list[Conversation] = []
    """Hot conversations first, then by posts in the window."""
    usual: float = 0.0
    """The usual number of posts in a window of the largest conversation."""
    age: int = 0
    """Number of minutes from which `usual` was learnt."""
    left_out: int = 0
    """Conversations of the last minute that were not watched because there were too many."""

    def step(
        self,
        joined: dict[str, Joined],
        rule: SurgePolicy,
        factor: Callable[[str], float] | None = None,
        *,
        lively: float = 1.0,
        in_surge: bool = False,
        partial: bool = False,
    ) -> Conversations:
        """The conversations after one more minute. `joined` is by root. lively: how many times the usual posts of the day the brand
        has at this hour.

        `factor` returns the multiple of the usual posts that is normal in the conversation of a root, because of
        expected events.
        """
        grown = [_with(known, joined.get(known.root)) for known in self.known]
        watched = {known.root for known in self.known}
        grown += [
            Conversation(root, one.channel, one.author, [one.posts], [one.complaints], shares=[one.shares])
            for root, one in joined.items()
            if root not in watched and one.posts
        ]
        threshold = self.threshold(rule, lively)
        grown = [_judged(one, rule, threshold * (factor(one.root) if factor else 1.0), partial) for one in grown]
        grown = [one for one in grown if one.hot or one.joined]
        grown.sort(key=lambda one: (not one.hot, -one.joined, one.root))
        usual, age = self.usual, self.age
        if not in_surge and not partial:
            age = min(age + 1, _WEEK)
            most = max((one.joined for one in grown), default=0)
            usual += (min(most, 2 * usual + _STRAY) - usual) / age
        return Conversations(grown[:WATCHED], usual, age, max(0, len(grown) - WATCHED))

    def threshold(self, rule: SurgePolicy, lively: float = 1.0) -> float:
        """Posts in the window that make a conversation hot at an hour that is so lively."""
        return max(float(rule.conversation), _MANY * self.usual * max(1.0, lively))

    def hot(self) -> list[Conversation]:
        """The hot conversations, the largest first."""
        return [one for one in self.known if one.hot]

    def settled(self, rule: SurgePolicy) -> Conversations:
        """Ends a conversation that was hot for `new_normal`: its posts are now the usual number. Returns itself where
        no conversation was hot for so long.
        """
        lasting = [one for one in self.known if one.hot and one.lasted * MINUTE >= rule.new_normal]
        if not lasting:
            return self
        ended = [replace(one, hot=False, lasted=0, calm=0) if one in lasting else one for one in self.known]
        return replace(self, known=ended, usual=max(self.usual, float(lasting[0].joined)))

    def skip(self) -> Conversations:
        """The conversations after a time without data: no conversation is watched, and the usual number stays."""
        return replace(self, known=[])


def _with(one: Conversation, more: Joined | None) -> Conversation:
    posts, complaints, shares, author = 0, 0, 0, None
    if more is not None:
        posts, complaints, shares, author = more.posts, more.complaints, more.shares, more.author
    return Conversation(
        one.root,
        one.channel,
        one.author or author,
        [*one.posts, posts][-WINDOW:],
        [*one.complaints, complaints][-WINDOW:],
        one.hot,
        one.lasted,
        one.calm,
        [*one.shares, shares][-WINDOW:],
    )


def _judged(one: Conversation, rule: SurgePolicy, threshold: float, partial: bool) -> Conversation:
    joined = one.joined
    if not one.hot:
        growing = sum(one.posts[-_LAST:]) * WINDOW >= joined * _LAST
        return replace(one, hot=True, lasted=0, calm=0) if joined >= threshold and growing else one
    if partial:
        return replace(one, lasted=one.lasted + 1)
    calm = 0 if joined >= threshold / 2 else one.calm + 1
    return replace(one, hot=calm * MINUTE < rule.calm, lasted=one.lasted + 1, calm=calm)
