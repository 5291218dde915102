"""The port of a sink: what a shell hands over, what a sink hands back, and the errors it may raise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from schemas.headers import Headers
from schemas.records import Record


class SinkItem(msgspec.Struct, frozen=True, gc=False):
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


class RefusedItem(msgspec.Struct, frozen=True):
    """An item that the receiver will never take: it belongs into the dead letters.

    `error` is a class name; `message` never holds a post's text.
    """

    item: SinkItem
    stage: str
    error: str
    message: str


class SinkError(Exception):
    """The sink cannot work as it is set up, and waiting will not help; one line says what and what to do."""


class Rewound(SinkError):
    """The receiver's own offsets fell, as after a restore: ask `positions` again and read on from there."""


class ReceiverUnreachable(Exception):
    """The receiver cannot be reached, cannot work now or asks to wait: the same batch may be tried again.

    `after` is how many seconds the receiver asked to wait, None where it did not say.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class SinkPort(Protocol):
    """A batch in, an idempotent write out. Synchronous; one call at a time, but for `held` and `interrupt`."""

    keeps_offsets: bool
    """Whether `positions` alone says where to go on; where it has none, nothing was written."""

    def open(self) -> None:
        """Connect and make ready. Raises ReceiverUnreachable, or SinkError for wrong settings."""

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The next offset to read, for those (topic, partition) that the sink itself remembers.

        Where one is missing in a sink that keeps none, the consumer group's is to be used. Raises ReceiverUnreachable, SinkError.
        """

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Write a batch of one or several partitions, in offset order within each.

        Idempotent. Everything but the refused is written when this returns. Raises ReceiverUnreachable, after which
        the same batch is to be given again, Rewound, or SinkError. After a first success a fault that somebody must
        mend is ReceiverUnreachable too: it was right before, so it is waited for.
        """

    def held(self) -> str | None:
        """What a call that is under way in another thread waits for, None while it gets on.

        Raises ReceiverUnreachable when the receiver gives no answer at all to the question. Ends by itself within seconds.
        """

    def interrupt(self) -> None:
        """Have a call that is under way in another thread raise ReceiverUnreachable soon. Ends by itself within seconds."""

    def close(self) -> None:
        """Let go of the receiver; `open` may follow."""
