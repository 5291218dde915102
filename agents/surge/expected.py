"""What expected events make of counts: while one is on, so much of them is usual as it was said to bring."""

from __future__ import annotations

from math import prod

import msgspec

from agents.policy.surge import ExpectedEvent
from agents.surge.tally import Tally


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """Posts beside the usual: those that an expected event accounts for are taken out."""

    posts: float = 0.0
    complaints: float = 0.0
    contacts: float = 0.0
    """complaints and questions"""
    channels: dict[str, float] = {}

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        channels = dict(self.channels)
        for name, posts in other.channels.items():
            channels[name] = channels.get(name, 0.0) + posts
        return Counts(
            self.posts + other.posts,
            self.complaints + other.complaints,
            self.contacts + other.contacts,
            channels,
        )


NOTHING = Counts()


def factor(events: list[ExpectedEvent], root: str | None = None) -> float:
    """Times the usual that the events make usual: of the brand, or of the conversation of a root."""
    return prod((event.factor for event in events if event.root in (None, root)), start=1.0)


def counts(tally: Tally, events: list[ExpectedEvent]) -> Counts:
    """What is left of a tally."""
    complaints, questions = tally.labels[:2]
    if not events:
        channels: dict[str, float] = dict(tally.channels)
        return Counts(tally.posts, complaints, complaints + questions, channels)
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
    return Counts(
        max(0.0, posts) / whole,
        max(0.0, voiced) / whole,
        max(0.0, contacts) / whole,
        {name: max(0.0, n) / whole for name, n in left.items()},
    )
