"""Dead letters of a worker: writing them, counting them, and the limit above which the role stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil
from typing import Any

import structlog

from schemas.dead_letter_headers import failure_headers
from schemas.keys import KEYLESS
from streams import metrics
from streams.core import DeadLetter, Fact
from streams.errors import Stop
from streams.outputs import Add
from streams.settings import WorkerSettings
from streams.topology import Topic

#: The share of a partition's last records from which on dead letters are reported as many.
_MANY = 0.1
Log = structlog.typing.FilteringBoundLogger


class DeadLetterLimit:
    """Counts dead letters among the last records of a partition; control records are not counted."""

    def __init__(self, name: str, dead: str, share: float, window: int) -> None:
        """name: of the partition. dead: the topic of the dead letters. window: how many records are the last ones."""
        self.name, self.dead, self.window = name, dead, window
        self.most = max(1, ceil(share * window))
        self.reached = False
        """Whether so many records of one window became dead letters that the role must stop."""
        self._bad: deque[int] = deque()
        self._seen = 0
        self._many = False

    def __bool__(self) -> bool:
        """Whether one of the last records is a dead letter: otherwise good records need not be counted."""
        return bool(self._bad)

    @property
    def share(self) -> float:
        """Dead letters among the last records, 0 to 1."""
        return len(self._bad) / self.window

    def took(self, records: int, bad: Iterable[int]) -> None:
        """Counts records; `bad` are the places among them, from 0, of those that became dead letters."""
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
        """Whether the share has risen above a tenth since the last call; it counts as fallen below a twentieth."""
        before = self._many
        self._many = self.share > (_MANY / 2 if before else _MANY)
        return self._many and not before

    def stop(self) -> Stop:
        """Why the role stops, and how to let it go on; all dead letters must have been committed before."""
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


class PartitionDeadLetters:
    """Writes the dead letters of one input partition into its open transaction."""

    def __init__(self, role: str, topic: Topic, number: int, dead: str, limit: DeadLetterLimit, log: Log) -> None:
        """topic: the input topic. dead: the name, on the broker, of the topic of its dead letters."""
        self.role, self.topic, self.number, self.dead = role, topic, number, dead
        self.limit, self._log = limit, log
        self._wrong_at = -1
        """ms; the watermark at which a Tick was refused last. Until it advances, further refused Ticks are logged as debug."""

    def write(self, letter: DeadLetter, raw: Any, watermark: int, add: Add) -> None:
        """Adds the raw record as it came, a null value too, with headers that say where it stood and why it failed.

        watermark: of the partition, ms.
        """
        metrics.DEAD_LETTERS.labels(self.role, letter.stage).inc()
        log = self._log.warning
        if letter.stage == "clock":
            log = self._log.error if watermark != self._wrong_at else self._log.debug
            self._wrong_at = watermark
        name, offset = self.topic.name, raw.offset
        log(
            "dead letter",
            partition=f"{name}/{self.number}",
            offset=offset,
            stage=letter.stage,
            error=letter.error,
            why=letter.message,
        )
        head = failure_headers(name, self.number, offset, letter.stage, letter.error, letter.message)
        add(self.dead, self.number, raw.key, raw.value, [*raw.headers, *head])

    def count(self, facts: list[Fact], offsets: list[int], bad: set[int]) -> None:
        """Counts records against the limit by their offsets, `bad` being those of dead letters; control records do not count."""
        control = {fact.offset for fact in facts if type(fact.record) in KEYLESS}
        counted = [offset for offset in offsets if offset not in control]
        self.limit.took(len(counted), [n for n, offset in enumerate(counted) if offset in bad])
        report_share(self.limit, self.role, str(self.number), self._log)
