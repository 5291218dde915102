"""The port of a sink: the batches that a worker passes to it, the values that it returns, and the errors that it may
raise.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from schemas.headers import Headers
from schemas.records import AlertDelivery, Record


class SinkItem(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record of a batch, with its place in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    #: None for a tombstone, and for an item of a `.dead` topic: the headers of such an item say what failed.
    record: Record | None
    #: The record's Kafka headers: where it came from, and in a `.dead` topic why it is a dead letter.
    headers: Headers
    #: ms; the broker's time of the record.
    stamp: int


class RefusedItem(msgspec.Struct, frozen=True):
    """An item that the receiver will never accept; the worker writes it to the dead letters.

    `error` is a class name. `message` never holds the text of a post.
    """

    item: SinkItem
    stage: str
    error: str
    message: str


class SinkError(Exception):
    """The sink cannot work with its settings, and waiting does not help. The message is one line: what is wrong, what
    to do.
    """


class Rewound(SinkError):
    """The receiver's own offsets went back, as after a restored backup. Call `positions` again and read on from
    there.
    """


class ReceiverUnreachable(Exception):
    """The receiver cannot be reached, cannot work now, or asks to wait. The same batch may be tried again.

    `after` is how many seconds the receiver asked to wait, None where it did not say.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class SinkPort(Protocol):
    """Takes batches and writes them idempotently. Synchronous: one call at a time, except for `held` and `interrupt`."""

    keeps_offsets: bool
    """True: only `positions` says where to read on, and no record of a partition without a position was ever
    written.
    """

    def open(self) -> None:
        """Connect and make ready. Raises ReceiverUnreachable, or SinkError for wrong settings."""

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The next offset to read of each (topic, partition) whose position the sink itself stores.

        For a partition that is missing, a sink that keeps no offsets leaves the choice to the consumer group.
        Raises ReceiverUnreachable, SinkError.
        """

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Write a batch of one or several partitions, in offset order within each; return the refused items.

        Writing a batch twice changes nothing. When the call returns, every item that was not refused is written.
        Raises ReceiverUnreachable, after which the caller must pass the same batch again, Rewound, or SinkError. After
        a first success, a fault that an operator must repair is ReceiverUnreachable too, because the settings were
        right before.
        """

    def held(self) -> str | None:
        """What a running call in another thread waits for; None while that call makes progress.

        Returns within seconds. Raises ReceiverUnreachable when the receiver does not answer the question at all.
        """

    def interrupt(self) -> None:
        """Make a call in another thread raise ReceiverUnreachable soon. Returns within seconds."""

    def close(self) -> None:
        """Close the connection; `open` may follow."""


class ReceiverStanding(msgspec.Struct, frozen=True):
    """How a receiver stands, for readiness, the log and the metrics."""

    waiting: int = 0
    """Records that the receiver has not accepted yet."""
    why: str | None = None
    """Why it accepts nothing now, in a line; None where it accepts what it is given."""
    since: float = 0.0
    """Seconds since the epoch; since when it accepts nothing."""
    failures: int = 0
    """Tries that have failed since the sink was made."""
    given_up: bool = False
    """Whether nothing is sent until the worker is started again."""


class ReportingSink(SinkPort, Protocol):
    """A sink that chooses itself when it sends what it was given, and reports what became of it in a topic of its own.

    Its worker reads the whole topics of reports and of inputs before the first write of an assignment, so the sink keeps
    nothing itself. `write` notes the items and sends one record at most; it never raises ReceiverUnreachable, and is called
    again, with the items that have come meanwhile or without any, after `due` seconds. It may return an item of an earlier
    batch among the refused items.
    """

    def recall(self, items: Sequence[SinkItem]) -> None:
        """Note a part of the past: first all reports in their order, then the inputs in theirs. Called after `positions`."""

    def reports(self) -> list[AlertDelivery]:
        """The reports since the last call, which the caller writes to the log before it calls `write` again."""

    def due(self) -> float | None:
        """Seconds until `write` has something to send; None while nothing waits."""

    def standing(self) -> ReceiverStanding:
        """How the receiver stands. May be called while a call in another thread runs."""
