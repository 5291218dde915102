"""Writes the dead letters of an input partition into its open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.dead_letter_headers import failure_headers, is_redriven
from schemas.keys import KEYLESS
from streams import metrics
from streams.core import DeadLetter, Fact
from streams.dead_letter_limit import DeadLetterLimit, Log, report_share
from streams.outputs import Add
from streams.received_batches import fitting
from streams.signatures import STAGE
from streams.topology import Topic

_ALARMING = ("clock", "policy", STAGE)
"""The stages that mean more than a bad record: time that is wrong, a policy of another log, or somebody who writes what they
may not.
"""


class PartitionDeadLetters:
    """Writes the dead letters of one input partition into its open transaction."""

    def __init__(self, role: str, topic: Topic, number: int, dead: str, limit: DeadLetterLimit, log: Log) -> None:
        """topic: the input topic. dead: the name, on the broker, of the topic of its dead letters."""
        self.role, self.topic, self.number, self.dead = role, topic, number, dead
        self.limit, self._log, self._room = limit, log, topic.room_when_dead
        self._told_at: dict[str, int] = {}
        """ms; the watermark when an error of this stage was last logged. Until the watermark advances, further dead letters
        of the stage are logged at level debug.
        """

    def write(self, letter: DeadLetter, raw: Any, watermark: int, add: Add) -> None:
        """Adds the raw record unchanged, even if its value is null, with headers that say where it was and why it
        failed. Of a record that is larger than its topic allows, it adds the size and the SHA-256. watermark: the
        partition's, in ms.
        """
        metrics.DEAD_LETTERS.labels(self.role, letter.stage).inc()
        log = self._log.warning
        if letter.stage in _ALARMING:
            log = self._log.error if watermark != self._told_at.get(letter.stage) else self._log.debug
            self._told_at[letter.stage] = watermark
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
        key, value, sent = fitting(raw, self._room)
        add(self.dead, self.number, key, value, sent + head)

    def measure(self) -> None:
        """Sets the metric of the partition's share of dead letters."""
        metrics.DEAD_LETTER_RATIO.labels(self.role, str(self.number)).set(self.limit.share)

    def count(self, facts: list[Fact], raw: Sequence[Any], dead: list[DeadLetter]) -> None:
        """Counts records against the limit. raw: the records as they were read.

        Three kinds do not count: control records; records that were refused because of their signature, because nobody may
        stop a role by forging; and records that fail again after `dead redrive`, because people asked for them, and they
        say nothing about what comes in now.
        """
        bad = {letter.fact.offset: letter.stage for letter in dead}
        left_out = {fact.offset for fact in facts if type(fact.record) in KEYLESS}
        left_out |= {r.offset for r in raw if r.offset in bad and (bad[r.offset] == STAGE or is_redriven(r.headers))}
        counted = [r.offset for r in raw if r.offset not in left_out]
        self.limit.took(len(counted), [n for n, offset in enumerate(counted) if offset in bad])
        report_share(self.limit, self.role, str(self.number), self._log)
