"""Reads a stretch of the log from Tick to Tick, together with the records that tools wrote during this stretch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError

from netcenter.broker.client import open_consumer
from netcenter.broker.offsets import OffsetRange
from netcenter.broker.reading import RangeReader
from netcenter.broker.refused_records import RefusedRecords
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.replay.engine import Replay, Say
from netcenter.replay.seek import ms_of, source_of
from netcenter.replay.tool_records import ToolRecords
from netcenter.settings import Settings
from schemas.records import Clock, Record, Tick
from streams.core import Fact
from streams.decoder import Decoder
from streams.kafka_connection import KafkaConnection
from streams.watermark import WrongTick, stamped

#: Records of one poll; and the number of waiting facts at which a partition is paused until another partition's next
#: Tick is found.
_AT_ONCE = _AHEAD = 5_000
#: The most bytes fetched from a partition at once. The number is small, because the records of a paused partition must
#: be fetched again.
_FETCH = 1 << 20
#: ms of event time in one step: on the wall clock, the partitions get their Ticks at slightly different moments.
_STEP = 1_000
_EMPTY = (
    "the stretch does not begin where the log began: cases, queues, surges and alerts that were open before it are not "
    "known, and what followed from them is missing"
)


@dataclass
class StretchStep:
    """The facts of each partition before its next Tick, and the Ticks."""

    time: int
    """ms; the time of the newest of the Ticks."""
    facts: dict[int, list[Fact]] = field(default_factory=dict)
    """By partition of `mentions`."""
    ticks: dict[int, Fact] = field(default_factory=dict)
    people: dict[str, list[Record]] = field(default_factory=dict)
    """By topic."""
    dead_letters: int = 0
    """Records that could not be read as facts."""


@dataclass(frozen=True)
class Stretch:
    """Says which records of which partitions are replayed, and under which policies."""

    settings: Settings
    kafka: KafkaConnection
    topic: str
    """`mentions` or `classified`."""
    spans: dict[int, OffsetRange]
    """The first offset and the end by partition. The watermark does not wait for partitions that are left out."""
    opening: dict[int, Fact]
    """The Tick before the first record, for each partition whose first record is not a Tick."""
    stamps: tuple[int, int]
    """The broker's times of the first and the last record, in ms; approximate."""
    policies: dict[int, str]
    """Texts by version."""
    refused: RefusedRecords
    """The records that the roles have refused because of their signature."""
    in_force: list[int]
    """The policy version with which each partition begins."""

    @property
    def whole(self) -> bool:
        """Whether the stretch begins where the log began; if not, the state of every role begins empty."""
        return len(self.spans) == self.settings.partitions and all(start == 0 for start, _ in self.spans.values())

    def told(self) -> dict[str, Any]:
        """The topic and the offsets of the stretch, for the summary of the replay."""
        offsets = {str(n): [start, end - 1] for n, (start, end) in sorted(self.spans.items())}
        return {"topic": self.topic, "offsets": offsets, "begins_empty": None if self.whole else _EMPTY}

    def steps(self) -> Iterator[StretchStep]:
        """The steps of the stretch in the order of time."""
        people = ToolRecords(self.settings, self.kafka, self.stamps, self.refused)
        with _Lanes(self.settings, self.kafka, self.topic, self.spans, self.refused) as lanes:
            for n, tick in self.opening.items():
                lanes.lanes[n].time = time_of(tick)
            time = 0
            for step in self._steps(lanes):
                if time == 0 and not self.whole:
                    people.skip(step.time)
                step.time = time = max(time, step.time)
                step.people, step.dead_letters = people.until(time), lanes.dead_letters()
                yield step

    def _steps(self, lanes: _Lanes) -> Iterator[StretchStep]:
        heads = {n: lanes.until_tick(n) for n in self.spans}
        silent = set(range(self.settings.partitions)) - self.spans.keys()
        if self.opening:
            yield self._step(self.opening, {}, silent)
        while any(tick is not None for _, tick in heads.values()):
            now = min(time_of(tick) for _, tick in heads.values() if tick is not None)
            facts, ticks = dict[int, list[Fact]](), dict[int, Fact]()
            for n, (before, tick) in heads.items():
                if tick is not None and time_of(tick) < now + _STEP:
                    facts[n], ticks[n] = before, tick
            yield self._step(ticks, facts, silent)
            for n in ticks:
                heads[n] = lanes.until_tick(n)
        left = {n: before for n, (before, _) in heads.items() if before}
        if left:
            yield StretchStep(0, left)

    def _step(self, ticks: dict[int, Fact], facts: dict[int, list[Fact]], silent: set[int]) -> StretchStep:
        clock = next(_of(fact).clock for fact in ticks.values())
        newest = max(map(time_of, ticks.values()))
        told = {n: as_clock(clock, n, time_of(fact), fact.offset) for n, fact in ticks.items()}
        return StretchStep(newest, facts, told | {n: as_clock(clock, n, newest, 0) for n in sorted(silent)})


def play_stretch(replays: Sequence[Replay], stretch: Stretch, *, say: Say = lambda *_: None) -> None:
    """Play a stretch with its own Ticks. Its policy changes take effect in a replay that was given the log's policies."""
    played = 0
    for step in stretch.steps():
        for replay in replays:
            replay.dead_letters += step.dead_letters
            for topic, records in step.people.items():
                replay.give(topic, records)
            for number, facts in step.facts.items():
                replay.append("mentions", number, facts)
            replay.drain()
            for number, tick in step.ticks.items():
                replay.append("mentions", number, [tick])
            replay.drain()
            replay.pass_time()
        played += sum(map(len, step.facts.values()))
        say(played, step.time)


class _Lane:
    """The facts of one partition that are read but not played yet."""

    def __init__(self, tp: TopicPartition, topic: str, partitions: int, refused: RefusedRecords) -> None:
        self.tp = tp
        self.mirrored = topic != PIPELINE.roles[0].input_topic
        self.waiting: deque[Fact] = deque()
        self.dead_letters = 0
        self.time = 0
        """ms; of the last Tick."""
        self._decoder = Decoder(PIPELINE.topic(topic), tp.partition, partitions, refused)
        self._source = 0

    def take(self, rows: list[Any]) -> None:
        """Decode raw records into facts. Facts of `classified` get the offsets that they had in `mentions`."""
        facts, dead = self._decoder.facts(rows)
        self.dead_letters += len(dead)
        if self.mirrored:
            sources = {row.offset: source_of(row) for row in rows}
            for fact in facts:
                source = sources[fact.offset]
                fact.offset = self._source = self._source if source is None else source
        self.waiting.extend(fact for fact in facts if type(fact.record) is not Tick or self._follows(fact))

    def _follows(self, tick: Fact) -> bool:
        """Whether the role itself accepted this Tick when it ran."""
        record = _of(tick)
        try:
            if record.clock == "wall" and not self.mirrored:
                record = stamped(record, tick.stamp, self.time)
        except WrongTick:
            self.dead_letters += 1
            return False
        self.time = max(self.time, record.time)
        return True


class _Lanes:
    """Reads the partitions of a stretch only as far as the caller asks. A context manager that closes its consumer."""

    def __init__(
        self,
        settings: Settings,
        kafka: KafkaConnection,
        topic: str,
        spans: Mapping[int, OffsetRange],
        refused: RefusedRecords,
    ) -> None:
        # With reset="none" reading raises an error, instead of skipping records, when retention deletes unread records.
        self._consumer = open_consumer(kafka, _FETCH, reset="none")
        name = settings.prefix + topic
        self.lanes = {n: _Lane(TopicPartition(name, n), topic, settings.partitions, refused) for n in spans}
        self._by_tp = {lane.tp: lane for lane in self.lanes.values()}
        self._reading = RangeReader(self._consumer, {self.lanes[n].tp: span for n, span in spans.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def until_tick(self, number: int) -> tuple[list[Fact], Fact | None]:
        """The facts up to a partition's next Tick, and this Tick; None instead of the Tick at the end of the
        stretch.
        """
        lane, facts = self.lanes[number], list[Fact]()
        while True:
            while lane.waiting:
                fact = lane.waiting.popleft()
                if type(fact.record) is Tick:
                    return facts, fact
                facts.append(fact)
            if lane.tp not in self._reading.left():
                return facts, None
            self._read(lane.tp)

    def dead_letters(self) -> int:
        """The number of records that could not be read as facts since the last call."""
        found = sum(lane.dead_letters for lane in self.lanes.values())
        for lane in self.lanes.values():
            lane.dead_letters = 0
        return found

    def _read(self, thirsty: TopicPartition) -> None:
        """Fetch records for this partition, and for each other partition that has few facts waiting."""
        wanted = {lane.tp for lane in self._by_tp.values() if len(lane.waiting) < _AHEAD} | {thirsty}
        try:
            for tp, rows in self._reading.read(_AT_ONCE, wanted).items():
                self._by_tp[tp].take(rows)
        except OffsetOutOfRangeError:
            raise CommandError(
                "retention deleted records while they were being read: replay again, from a later moment on (--since)"
            ) from None


def time_of(fact: Fact) -> int:
    """The time of a Tick in ms, see `ms_of`."""
    return ms_of(_of(fact), fact.stamp)


def as_clock(clock: Clock, number: int, time: int, offset: int) -> Fact:
    """A Tick as the clock writes it into `mentions`."""
    return Fact(offset, Tick(clock=clock, time=time, role=PIPELINE.clock_role, partition=number), time)


def _of(fact: Fact) -> Tick:
    if not isinstance(fact.record, Tick):
        raise TypeError(f"{type(fact.record).__name__} is no Tick")
    return fact.record
