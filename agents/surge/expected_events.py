"""The posts that the policy's expected events explain: during an event, a multiple of the usual posts is normal."""

from __future__ import annotations

from math import prod

import msgspec

from agents.policy.surge_policy import ExpectedEvent
from agents.surge.tally import Tally


class UnexpectedCounts(msgspec.Struct, frozen=True, array_like=True):
    """The part of some counts that no expected event explains."""

    posts: float = 0.0
    complaints: float = 0.0
    contacts: float = 0.0
    """Complaints and questions."""
    channels: dict[str, float] = {}
    """Posts by channel."""

    def plus(self, other: UnexpectedCounts) -> UnexpectedCounts:
        """The sum of both."""
        channels = dict(self.channels)
        for name, posts in other.channels.items():
            channels[name] = channels.get(name, 0.0) + posts
        return UnexpectedCounts(
            self.posts + other.posts,
            self.complaints + other.complaints,
            self.contacts + other.contacts,
            channels,
        )


NOTHING = UnexpectedCounts()


def factor(events: list[ExpectedEvent], root: str | None = None) -> float:
    """The multiple of the usual posts that is normal during these events, for the brand or for the conversation of
    `root`.
    """
    return prod((event.factor for event in events if event.root in (None, root)), start=1.0)


def unexpected(tally: Tally, events: list[ExpectedEvent]) -> UnexpectedCounts:
    """The counts of a tally without the part that these events explain.

    1. An event about one conversation takes its part from the posts that joined this conversation.
    2. The events about the whole brand divide what is left by their factors.
    """
    complaints, questions = tally.labels[:2]
    if not events:
        channels: dict[str, float] = dict(tally.channels)
        return UnexpectedCounts(tally.posts, complaints, complaints + questions, channels)
    whole, left = factor(events), dict[str, float](tally.channels)
    posts: float = tally.posts
    voiced: float = complaints
    contacts: float = complaints + questions
    for event in events:
        joined = tally.roots.get(event.root) if event.root is not None else None
        if joined is not None:
            usual = 1 - 1 / event.factor
            posts -= usual * joined.posts
            voiced -= usual * joined.complaints
            contacts -= usual * joined.complaints
            left[joined.channel] = left.get(joined.channel, 0.0) - usual * joined.posts
    return UnexpectedCounts(
        max(0.0, posts) / whole,
        max(0.0, voiced) / whole,
        max(0.0, contacts) / whole,
        {name: max(0.0, n) / whole for name, n in left.items()},
    )
