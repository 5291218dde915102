"""The port of a sink: what a shell hands over, what a sink hands back, and the two errors it may raise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from schemas.headers import Headers
from schemas.records import Record


class Item(msgspec.Struct, frozen=True, gc=False):
    """One record of a partition's batch."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    #: None for an item of a `.dead` topic (then the headers tell) and for a tombstone.
    record: Record | None
    #: As read: what led to it, and for an item of a `.dead` topic why it stands there.
    headers: Headers
    #: ms; the broker's time.
    stamp: int


class Refused(msgspec.Struct, frozen=True):
    """An item that the receiver will never take: it belongs into the dead letters.

    `error` is a class name; `message` never holds a post's text.
    """

    item: Item
    stage: str
    error: str
    message: str


class SinkError(Exception):
    """The sink cannot work as it is set up, and waiting will not help; one line says what and what to do."""


class Unreachable(Exception):
    """The receiver cannot be reached or asks to wait: the same batch may be tried again.

    `after` is how many seconds the receiver asked to wait, None where it did not say.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Sink(Protocol):
    """A batch in, an idempotent write out. Synchronous; one call at a time."""

    def open(self) -> None:
        """Connect and make ready. Raises Unreachable, or SinkError for wrong settings."""

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The next offset to read, for those (topic, partition) that the sink itself remembers.

        Where one is missing the consumer group's offset is to be used. Raises Unreachable, SinkError.
        """

    def write(self, items: Sequence[Item]) -> list[Refused]:
        """Write a batch of one or several partitions, in offset order within each.

        Idempotent. Everything but the refused is written when this returns. Raises Unreachable, after which
        the same batch is to be given again, or SinkError.
        """

    def close(self) -> None:
        """Let go of the receiver; `open` may follow."""
