"""What a savepoint holds: where the log stood, its policies, and the state records of every role."""

from __future__ import annotations

import msgspec

from schemas.records import Clock


class StateRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A state record of a role, as a changelog holds it."""

    role: str
    partition: int
    """The partition of the old log."""
    by: bytes | None
    """The Kafka key in the role's input topic that says to which partition the record belongs. None for what a Batch
    remembers: it belongs to the whole partition.
    """
    key: str
    value: bytes


class LogHead(msgspec.Struct, frozen=True):
    """Where a log stood when its state was taken."""

    prefix: str
    partitions: int
    clock: Clock
    watermark: int
    """ms; the latest watermark of any role and partition."""
    policy: int
    """The version in force."""
    policy_hash: str
    policies: dict[int, str]
    """Every policy's text, by version."""
    taken_at: int
    """ms; when the state was taken."""
    sources: dict[int, str] = {}
    """Where each policy came from, by version, as `policy apply --source` said; a policy that is missing, by hand."""
