"""Counts the dead letters of a partition, and says when there are many and when the role must stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil

import structlog

from streams import metrics
from streams.errors import Stop
from streams.settings import WorkerSettings

#: An error is logged when more than this share of a partition's last records are dead letters.
_MANY = 0.1
Log = structlog.typing.FilteringBoundLogger


class DeadLetterLimit:
    """Counts dead letters among the last records of a partition; control records are not counted."""

    def __init__(self, name: str, dead: str, share: float, window: int) -> None:
        """name: of the partition. dead: the topic of the dead letters. window: the number of last records."""
        self.name, self.dead, self.window = name, dead, window
        self.most = max(1, ceil(share * window))
        self.reached = False
        """Whether so many records of one window became dead letters that the role must stop."""
        self._bad: deque[int] = deque()
        self._seen = 0
        self._many = False

    def __bool__(self) -> bool:
        """Whether any of the last records is a dead letter; if not, good records need not be counted."""
        return bool(self._bad)

    @property
    def share(self) -> float:
        """Dead letters among the last records, 0 to 1."""
        return len(self._bad) / self.window

    def took(self, records: int, bad: Iterable[int]) -> None:
        """Counts records. `bad`: the indexes, from 0, of the records that became dead letters."""
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
        """Whether the share has risen above a tenth since the last call. It can rise again after it was below a
        twentieth.
        """
        before = self._many
        self._many = self.share > (_MANY / 2 if before else _MANY)
        return self._many and not before

    def stop(self) -> Stop:
        """Why the role stops, and how to start it again; call it after all dead letters are committed."""
        return Stop(
            f"{self.name}: {self.most} of the last {self.window} records became dead letters, and that is the limit: see "
            f"`netcenter dead list`. Nothing is lost, they stand in {self.dead}; started again, the role goes on behind "
            "them. NETCENTER_DEAD_SHARE and NETCENTER_DEAD_WINDOW set the limit"
        )


def limit_of(partition: str, dead: str, settings: WorkerSettings) -> DeadLetterLimit:
    """The limit of a partition by the settings. dead: the topic of its dead letters."""
    return DeadLetterLimit(partition, dead, settings.dead_share, settings.dead_window)


def report_share(limit: DeadLetterLimit, role: str, partition: str, log: Log) -> None:
    """Sets the metric of a partition's share of dead letters; logs an error once when the share has become large."""
    metrics.DEAD_LETTER_RATIO.labels(role, partition).set(limit.share)
    if limit.many():
        log.error(
            "many dead letters",
            partition=limit.name,
            share=round(limit.share, 2),
            of_the_last=limit.window,
            do="see `netcenter dead list`; mend their producer, then `netcenter dead redrive`",
        )
