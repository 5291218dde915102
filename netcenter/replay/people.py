"""What people's tools write beside `mentions`: shifts and answers into `desk`, crises and counted contacts into `volumes`."""

from __future__ import annotations

from bisect import bisect_left

from kafka import TopicPartition

from netcenter.broker.reading import records
from netcenter.pipeline import PIPELINE
from netcenter.replay.seeking import Seeker
from netcenter.settings import Settings
from schemas import codec
from schemas.avro import locked
from schemas.records import ContactCount, CrisisDeclared, OfferAnswered, OperatorChanged, Record

_TIMES: dict[type[Record], tuple[str, str]] = {
    OperatorChanged: ("desk", "at"),
    OfferAnswered: ("desk", "at"),
    CrisisDeclared: ("volumes", "at"),
    ContactCount: ("volumes", "minute"),
}
"""Where each stands, and which of its fields is its own time."""
#: ms of the broker's time by which such a record may stand apart from the posts of its time.
_APART = 3_600_000


class People:
    """All of a stretch of the broker's time, in the order of their own time; a shift's few records, held in memory."""

    def __init__(self, settings: Settings, kafka: str, stamps: tuple[int, int]) -> None:
        """stamps: ms; of the first and the last record of the stretch."""
        stretches = {}
        with Seeker(kafka) as seeker:
            for topic in dict.fromkeys(topic for topic, _ in _TIMES.values()):
                for n in range(PIPELINE.topic(topic).partitions or settings.partitions):
                    tp = TopicPartition(settings.prefix + topic, n)
                    first, end = seeker.span(tp)
                    start, after = seeker.at_stamp(tp, stamps[0] - _APART), seeker.at_stamp(tp, stamps[1] + _APART)
                    if start is not None:
                        stretches[tp] = (max(first, start), end if after is None else after)
        names = {kind.__name__ for kind in _TIMES}
        frames = {codec.frame(version.id) for version in locked() if version.record in names}
        found = [codec.decode(r.value) for r in records(kafka, stretches) if r.value and r.value[:5] in frames]
        told = [(getattr(record, _TIMES[type(record)][1]), n, record) for n, record in enumerate(found)]
        self._told = sorted(told, key=lambda one: one[:2])
        self._next = 0

    def skip(self, time: int) -> None:
        """Leave out what was before this time (ms)."""
        self._next = self._place(time)

    def until(self, time: int) -> dict[str, list[Record]]:
        """What comes before this time (ms), by topic; each once."""
        found: dict[str, list[Record]] = {}
        end = self._place(time)
        for _, _, record in self._told[self._next : end]:
            found.setdefault(_TIMES[type(record)][0], []).append(record)
        self._next = max(self._next, end)
        return found

    def _place(self, time: int) -> int:
        return bisect_left(self._told, time, key=lambda one: one[0])
