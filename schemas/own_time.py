"""When a record from outside happened, where the clocks of the network and of the producer disagree."""

from __future__ import annotations

from schemas.records import Action, Mention, MentionUpdated, Reply

#: ms; how far a network's clock may be ahead of the producer's. A record that is further ahead is a dead letter.
MOST_SKEW = 86_400_000


def own_time(record: Mention | Reply | Action | MentionUpdated) -> int:
    """ms; the earlier of two times: when the event happened, as the record says, and when the producer received it.
    Nothing can be received before it has happened.
    """
    at = record.observed_at if type(record) is MentionUpdated else record.created_at  # type: ignore[union-attr]
    got = record.received_at
    return at if got is None or got > at else got


def skew(record: Mention | Reply | Action | MentionUpdated) -> int:
    """ms by which the record's own time is after its receipt; 0 where it is not."""
    at = record.observed_at if type(record) is MentionUpdated else record.created_at  # type: ignore[union-attr]
    return at - own_time(record)
