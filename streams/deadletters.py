"""Dead letters: what a record that cannot be handled takes along, and how many of them a worker bears."""

from __future__ import annotations

from collections import deque

from schemas.headers import Headers
from streams.errors import Stop

PREFIX = "__connect.errors."
TOPIC, PARTITION, OFFSET = PREFIX + "topic", PREFIX + "partition", PREFIX + "offset"
STAGE, ERROR, MESSAGE = PREFIX + "stage", PREFIX + "exception.class.name", PREFIX + "exception.message"


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
    """Stops the worker when more than a share of the last facts of a partition was set aside."""

    def __init__(self, name: str, share: float, window: int) -> None:
        self.name, self.window = name, window
        self.most = int(share * window)
        self._failed: deque[int] = deque()
        self._seen = 0

    def passed(self, facts: int) -> None:
        """Facts went by, the failed ones among them."""
        self._seen += facts
        while self._failed and self._failed[0] < self._seen - self.window:
            self._failed.popleft()

    def failed(self) -> None:
        """One was set aside. Raises Stop above the limit."""
        self._failed.append(self._seen)
        if len(self._failed) > self.most:
            raise Stop(
                f"{self.name}: {len(self._failed)} of the last {self.window} records were set aside, more than "
                f"{self.most}: see `netcenter dead list`, mend the producer or the policy, then start again"
            )
