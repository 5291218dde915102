"""When something happened by its own account, where the clocks of a network and of a producer disagree."""

from __future__ import annotations

from schemas.records import Action, Mention, MentionUpdated, Reply

#: ms; a network's clock may be ahead of the producer's by so much, and no record is further ahead.
MOST_SKEW = 86_400_000


def own_time(record: Mention | Reply | Action | MentionUpdated) -> int:
    """ms; the earlier of when it happened and when the producer got it: nothing is received before it has happened."""
    at = record.observed_at if type(record) is MentionUpdated else record.created_at  # type: ignore[union-attr]
    got = record.received_at
    return at if got is None or got > at else got


def skew(record: Mention | Reply | Action | MentionUpdated) -> int:
    """ms by which it says to have happened after it was received; 0 where it does not."""
    at = record.observed_at if type(record) is MentionUpdated else record.created_at  # type: ignore[union-attr]
    return at - own_time(record)
