"""Dead letters: what a record that cannot be handled takes along, and how many of them a worker bears."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil

from schemas.headers import Headers
from streams.errors import Stop

PREFIX = "__connect.errors."
TOPIC, PARTITION, OFFSET = PREFIX + "topic", PREFIX + "partition", PREFIX + "offset"
STAGE, ERROR, MESSAGE = PREFIX + "stage", PREFIX + "exception.class.name", PREFIX + "exception.message"

#: The share of the last records from which on somebody should look at the producer.
_MANY = 0.1


def dead_letter_headers(topic: str, partition: int, offset: int, stage: str, error: str, message: str) -> Headers:
    """Where the record stood and why it was set aside; the message never holds the words of a post."""
    return [
        (TOPIC, topic.encode()),
        (PARTITION, b"%d" % partition),
        (OFFSET, b"%d" % offset),
        (STAGE, stage.encode()),
        (ERROR, error.encode()),
        (MESSAGE, message.encode("utf-8", "replace")),
    ]


class DeadLetterLimit:
    """Counts the records of a partition that were set aside, among its last ones; control records are not counted."""

    def __init__(self, name: str, dead: str, share: float, window: int) -> None:
        """dead: the topic of the dead letters, for people."""
        self.name, self.dead, self.window = name, dead, window
        self.most = max(1, ceil(share * window))
        self.reached = False
        """Whether so many of one window were set aside that the role must stop."""
        self._bad: deque[int] = deque()
        self._seen = 0
        self._many = False

    def __bool__(self) -> bool:
        """Whether there is anything to count on for."""
        return bool(self._bad)

    @property
    def share(self) -> float:
        """Of the last records, those that were set aside."""
        return len(self._bad) / self.window

    def took(self, records: int, bad: Iterable[int]) -> None:
        """Count records that went by; `bad` are the places among them, from 0, of those that were set aside."""
        for place in bad:
            self._bad.append(self._seen + place)
            self._forget(self._seen + place)
            self.reached = self.reached or len(self._bad) >= self.most
        self._seen += records
        self._forget(self._seen - 1)

    def _forget(self, newest: int) -> None:
        while self._bad and self._bad[0] <= newest - self.window:
            self._bad.popleft()

    def many(self) -> bool:
        """Whether, since this was asked last, a large share has begun to be set aside; it ends below half of that."""
        before = self._many
        self._many = self.share > (_MANY / 2 if before else _MANY)
        return self._many and not before

    def stop(self) -> Stop:
        """Why the role stops, and how to let it go on; all dead letters must have been committed before."""
        return Stop(
            f"{self.name}: {self.most} of the last {self.window} records were set aside, and that is the limit: see "
            f"`netcenter dead list`. Nothing is lost, they stand in {self.dead}; started again, the role goes on behind "
            "them. NETCENTER_DEAD_SHARE and NETCENTER_DEAD_WINDOW set the limit"
        )
