"""The records that the roles have refused because of their signature, by the dead letters that the roles wrote.

Whatever reads the log again goes by this verdict. It then decides as the roles did, also after keys were changed or taken
away, and no machine needs keys in order to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from kafka import TopicPartition

from netcenter.broker.client import open_admin
from netcenter.broker.offsets import OffsetRange, committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.broker.topics import settings_of_log
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.dead_letter_headers import failure_of, is_mark
from schemas.records import Record
from streams.kafka_connection import KafkaConnection
from streams.signatures import STAGE, SignatureFault
from streams.topology import Topic


class RefusedRecords:
    """The refused records of the topics into which gateways write. It is the `SignatureCheck` of a program that reads the
    log again.
    """

    def __init__(self, settings: Settings, kafka: KafkaConnection, topics: Iterable[str]) -> None:
        """topics: whose dead letters are read, where their records are signed. Raises Unreachable, and CommandError."""
        with closing(open_admin(kafka)) as client:
            self._settings = settings_of_log(settings, client)
        self._kafka = kafka
        self._topics = [PIPELINE.topic(name) for name in topics if PIPELINE.has_signed_records(name)]
        self._refused: set[tuple[str, int, int]] = set()
        self._next: dict[TopicPartition, int] = {}
        self.read_on()

    def read_on(self) -> None:
        """Reads the dead letters that were written since the last call."""
        names = [self._settings.prefix + topic.dead.name for topic in self._topics]
        tps = [TopicPartition(name, n) for name in names for n in range(self._settings.partitions)]
        ranges: dict[TopicPartition, OffsetRange] = {}
        for tp, (first, end) in committed_ranges_at(self._kafka, tps).items():
            ranges[tp] = max(first, self._next.get(tp, 0)), end
            self._next[tp] = end
        for r in records_of(self._kafka, ranges):
            if not is_mark(r.headers):
                failure = failure_of(r.headers)
                if failure.stage == STAGE and None not in failure[:3]:
                    self._refused.add((str(failure.topic), int(failure.partition or 0), int(failure.offset or 0)))

    def of(self, topic: Topic) -> RefusedOfTopic:
        """The check of a topic's records."""
        return RefusedOfTopic(topic, self._refused)

    def without(self, records: Iterable[Any]) -> Iterator[Any]:
        """The raw records that were not refused."""
        prefix, refused = self._settings.prefix, self._refused
        return (r for r in records if (r.topic.removeprefix(prefix), r.partition, r.offset) not in refused)


class RefusedOfTopic:
    """The refused records of one topic."""

    def __init__(self, topic: Topic, refused: set[tuple[str, int, int]]) -> None:
        self.kinds = frozenset(topic.signed)
        self._name, self._refused = topic.name, refused

    def fault(self, kind: type[Record], partition: int, raw: Any) -> SignatureFault | None:
        """That the role has refused the raw record; None where it has not."""
        if (self._name, partition, raw.offset) not in self._refused:
            return None
        return SignatureFault("Refused", f"the signature of the {kind.__name__} was refused when the role read it")
