"""Conversations: is one post being passed on by more and more people? By the minute, each by its root post.

A viral post drowns in the count of a busy brand, so each conversation is watched for itself: a bounded number, those
with the most posts in a quarter of an hour. One is hot when that many joined as the policy asks, and many times more
than usually join the brand's largest conversation, and the crowd is not yet thinning.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from agents.policy.surge import Surge
from agents.surge.tally import MINUTE, Joined

#: Minutes that are judged together.
WINDOW = 15
#: Conversations of a brand that are watched at once.
KNOWN = 40
#: Times what usually joins the largest conversation.
_MANY = 5.0
#: Growing: the last minutes have at least their share of the window.
_LAST = 5
#: Minutes over which the usual is followed, and posts by which a window counts in it at least.
_WEEK, _STRAY = 7 * 24 * 60, 10.0


class Conversation(msgspec.Struct, frozen=True, array_like=True):
    """One that others join."""

    root: str
    channel: str
    author: str | None
    """of the root post, where it was seen"""
    posts: list[int]
    """by which others joined, in each of the last minutes, oldest first"""
    complaints: list[int]
    hot: bool = False
    lasted: int = 0
    """minutes since it became hot"""
    calm: int = 0
    """minutes since it had half of what makes hot"""

    @property
    def joined(self) -> int:
        """Posts in the window."""
        return sum(self.posts)


class Conversations(msgspec.Struct, frozen=True, array_like=True):
    """Those of a brand, the largest first."""

    known: list[Conversation] = []
    usual: float = 0.0
    """posts that join the largest one in a window"""
    age: int = 0
    """minutes from which the usual was learnt"""
    beyond: int = 0
    """conversations of the last minute that were not watched, for there were more than can be"""

    def step(
        self,
        joined: dict[str, Joined],
        rule: Surge,
        factor: Callable[[str], float] | None = None,
        *,
        incident: bool = False,
        partial: bool = False,
    ) -> Conversations:
        """With the next minute. `factor`: times as many as else are to be expected in the conversation of a root."""
        grown = [_with(known, joined.get(known.root)) for known in self.known]
        watched = {known.root for known in self.known}
        grown += [
            Conversation(root, one.channel, one.author, [one.posts], [one.complaints])
            for root, one in joined.items()
            if root not in watched and one.posts
        ]
        threshold = self.threshold(rule)
        grown = [_judged(one, rule, threshold * (factor(one.root) if factor else 1.0), partial) for one in grown]
        grown = [one for one in grown if one.hot or one.joined]
        grown.sort(key=lambda one: (not one.hot, -one.joined, one.root))
        usual, age = self.usual, self.age
        if not incident and not partial:
            age = min(age + 1, _WEEK)
            most = max((one.joined for one in grown), default=0)
            usual += (min(most, 2 * usual + _STRAY) - usual) / age
        return Conversations(grown[:KNOWN], usual, age, max(0, len(grown) - KNOWN))

    def threshold(self, rule: Surge) -> float:
        """Posts in the window that make a conversation hot."""
        return max(float(rule.conversation), _MANY * self.usual)

    def hot(self) -> list[Conversation]:
        """Those that are, the largest first."""
        return [one for one in self.known if one.hot]

    def settled(self, rule: Surge) -> Conversations:
        """With what joins the hot one now for usual: it has lasted so long that it is the new normal."""
        lasting = [one for one in self.known if one.hot and one.lasted * MINUTE >= rule.new_normal]
        if not lasting:
            return self
        ended = [replace(one, hot=False, lasted=0, calm=0) if one in lasting else one for one in self.known]
        return replace(self, known=ended, usual=max(self.usual, float(lasting[0].joined)))

    def skip(self) -> Conversations:
        """After a time of which nothing is known."""
        return replace(self, known=[])


def _with(one: Conversation, more: Joined | None) -> Conversation:
    posts, complaints, author = (more.posts, more.complaints, more.author) if more is not None else (0, 0, None)
    return Conversation(
        one.root,
        one.channel,
        one.author or author,
        [*one.posts, posts][-WINDOW:],
        [*one.complaints, complaints][-WINDOW:],
        one.hot,
        one.lasted,
        one.calm,
    )


def _judged(one: Conversation, rule: Surge, threshold: float, partial: bool) -> Conversation:
    joined = one.joined
    if not one.hot:
        growing = sum(one.posts[-_LAST:]) * WINDOW >= joined * _LAST
        return replace(one, hot=True, lasted=0, calm=0) if joined >= threshold and growing else one
    if partial:
        return replace(one, lasted=one.lasted + 1)
    calm = 0 if joined >= threshold / 2 else one.calm + 1
    return replace(one, hot=calm * MINUTE < rule.calm, lasted=one.lasted + 1, calm=calm)
