"""Records that tools write into `desk` (shifts, answers to offers) and `volumes` (crises, counted contacts)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from kafka import TopicPartition

from netcenter.broker.reading import records_of
from netcenter.broker.refused_records import RefusedRecords
from netcenter.files.contact_bins import end_of
from netcenter.pipeline import PIPELINE
from netcenter.replay.seek import Seeker
from netcenter.settings import Settings
from schemas import codec
from schemas.avro import locked
from schemas.records import ContactCount, CrisisDeclared, OfferAnswered, OperatorChanged, Record
from streams.kafka_connection import KafkaConnection

_TIMES: dict[type[Record], tuple[str, Callable[[Any], int]]] = {
    OperatorChanged: ("desk", lambda record: record.at),
    OfferAnswered: ("desk", lambda record: record.at),
    CrisisDeclared: ("volumes", lambda record: record.at),
    ContactCount: ("volumes", end_of),
}
"""The topic of each record, and the record's own time (ms)."""
#: The most ms by which the broker's time of such a record may differ from the broker's time of posts with the same
#: event time.
_APART = 3_600_000


class ToolRecords:
    """The tool records that belong to a stretch of the log, in the order of their own times; all are held in memory."""

    def __init__(
        self, settings: Settings, kafka: KafkaConnection, stamps: tuple[int, int], refused: RefusedRecords
    ) -> None:
        """stamps: the broker's timestamps of the first and the last record of the stretch, ms."""
        stretches = {}
        with Seeker(kafka, refused) as seeker:
            for topic in dict.fromkeys(topic for topic, _ in _TIMES.values()):
                for n in range(PIPELINE.partitions(topic, settings.partitions)):
                    tp = TopicPartition(settings.prefix + topic, n)
                    first, end = seeker.span(tp)
                    start, after = seeker.at_stamp(tp, stamps[0] - _APART), seeker.at_stamp(tp, stamps[1] + _APART)
                    if start is not None:
                        stretches[tp] = (max(first, start), end if after is None else after)
        names = {kind.__name__ for kind in _TIMES}
        frames = {codec.frame(version.id) for version in locked() if version.record in names}
        records = refused.without(records_of(kafka, stretches))
        found = [codec.decode(r.value) for r in records if r.value and r.value[:5] in frames]
        told = [(_TIMES[type(record)][1](record), n, record) for n, record in enumerate(found)]
        self._told = sorted(told, key=lambda one: one[:2])
        self._next = 0

    def skip(self, time: int) -> None:
        """Leave out the records from before a time (ms)."""
        self._next = self._place(time)

    def until(self, time: int) -> dict[str, list[Record]]:
        """The records from before a time (ms), by topic; each record is returned once."""
        found: dict[str, list[Record]] = {}
        end = self._place(time)
        for _, _, record in self._told[self._next : end]:
            found.setdefault(_TIMES[type(record)][0], []).append(record)
        self._next = max(self._next, end)
        return found

    def _place(self, time: int) -> int:
        return bisect_left(self._told, time, key=lambda one: one[0])
