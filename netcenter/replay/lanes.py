"""The partitions of a stretch of the log, read side by side from Tick to Tick, a few thousand records ahead at most."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition

from netcenter.pipeline import PIPELINE
from netcenter.reading import Span, open_consumer
from netcenter.replay.seeking import source_of
from netcenter.settings import Settings
from schemas.records import Tick
from streams.core import Fact
from streams.intake import Intake

_POLL_MS, _AT_ONCE = 50, 5_000
_AHEAD = 5_000


class Lane:
    """One partition."""

    def __init__(self, tp: TopicPartition, topic: str, end: int, partitions: int) -> None:
        self.tp, self.end = tp, end
        self.mirrored = topic != PIPELINE.roles[0].inbox
        self.waiting: deque[Fact] = deque()
        self.set_aside = 0
        self._intake = Intake(PIPELINE.topic(topic), tp.partition, partitions)
        self._source = 0

    def take(self, rows: list[Any]) -> None:
        """Raw records into facts; those of `classified` get the offsets that they had in `mentions`."""
        rows = [row for row in rows if row.offset < self.end]
        facts, aside = self._intake.facts(rows)
        self.set_aside += len(aside)
        if self.mirrored:
            sources = {row.offset: source_of(row) for row in rows}
            for fact in facts:
                source = sources[fact.offset]
                fact.offset = self._source = self._source if source is None else source
        self.waiting.extend(facts)


class Lanes:
    """Reads lanes at the pace at which they are asked. A context manager."""

    def __init__(self, settings: Settings, kafka: str, topic: str, spans: Mapping[int, Span]) -> None:
        self._consumer = open_consumer(kafka)
        name = settings.prefix + topic
        self.lanes = {
            n: Lane(TopicPartition(name, n), topic, end, settings.partitions) for n, (_, end) in spans.items()
        }
        self._by_tp = {lane.tp: lane for lane in self.lanes.values()}
        self._consumer.assign(list(self._by_tp))
        for n, (start, _) in spans.items():
            self._consumer.seek(self.lanes[n].tp, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def until_tick(self, number: int) -> tuple[list[Fact], Fact | None]:
        """The facts up to the next Tick of a partition, and that Tick; None at the end of its stretch."""
        lane, facts = self.lanes[number], list[Fact]()
        while True:
            while lane.waiting:
                fact = lane.waiting.popleft()
                if type(fact.record) is Tick:
                    return facts, fact
                facts.append(fact)
            if self._ended(lane):
                return facts, None
            self._read()

    def set_aside(self) -> int:
        """Records that are no facts, since this was asked last."""
        found = sum(lane.set_aside for lane in self.lanes.values())
        for lane in self.lanes.values():
            lane.set_aside = 0
        return found

    def _ended(self, lane: Lane) -> bool:
        return bool(self._consumer.position(lane.tp) >= lane.end)

    def _read(self) -> None:
        """Fetch for those that have little."""
        resting = [lane.tp for lane in self._by_tp.values() if len(lane.waiting) >= _AHEAD or self._ended(lane)]
        self._consumer.resume(*self._by_tp.keys() - set(resting))
        self._consumer.pause(*resting)
        for tp, rows in self._consumer.poll(_POLL_MS, max_records=_AT_ONCE).items():
            self._by_tp[tp].take(rows)
