"""`rebuild`: fills new tables of PostgreSQL from the log, beside the live ones, and swaps them in at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from netcenter.broker.client import open_admin, open_consumer
from netcenter.broker.offsets import OffsetRange, committed_ranges
from netcenter.broker.reading import batches_of
from netcenter.broker.refused_records import RefusedRecords
from netcenter.broker.topics import missing_topics_message, partition_counts
from netcenter.errors import CommandError, Unreachable
from netcenter.pipeline import PIPELINE, PROJECTION, PUBLIC
from netcenter.settings import Settings
from schemas import codec
from schemas.records import Action
from sinks import port
from sinks.port import SinkItem
from sinks.postgres.forgetting import Forget, forget
from sinks.postgres.older import Places
from sinks.postgres.projection import Busy, Projection
from streams.kafka_connection import KafkaConnection
from streams.sink_items import sink_items

#: The number of records in one write; the sink's worker writes as many at once under a backlog.
_BATCH = 5_000
#: Rounds of reading go on until a round takes at most this many seconds. The live sink has to wait for one more round.
_SHORT_S = 1.0
#: How often to try, a second apart, to lock tables that other sessions read.
_TRIES = 120
#: The most rounds of reading. Each round reads the records that were appended during the last one; with more rounds,
#: the log grows too fast.
_ROUNDS = 50

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass
class Rebuilt:
    """The figures of a finished rebuild."""

    records: int = 0
    """Records read from the log, Ticks included."""
    seconds: float = 0.0
    per_s: int = 0
    """Records read per second."""
    forgets: int = 0
    """Forgets in the log."""
    copied: Counter[str] = field(default_factory=Counter)
    """By table: copied rows whose records the log no longer has."""
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows before and after, by table."""


def rebuild(
    settings: Settings,
    kafka: KafkaConnection,
    uri: str,
    *,
    keep: bool,
    agreed: Callable[[int], bool] = lambda _: True,
    say: Say = lambda _: None,
    progress: Progress = lambda *_: None,
) -> Rebuilt | None:
    """Fills new tables and swaps them in. Returns None where the user did not agree.

    uri: of PostgreSQL. keep: leave the old tables in schema `netcenter_replaced`. agreed: called with the bytes that the
    live tables take, before anything is changed. say: called with a line for the user. progress: called with what is read
    (`forgets` or `records`), how many were read, and how many there are. Raises CommandError and Unreachable: then the
    live tables are as before, or wholly replaced.
    """
    try:
        with Projection(uri, settings.prefix) as projection, closing(_SinkTopics(settings, kafka)) as log:
            return _Rebuild(projection, log, say, progress).run(keep=keep, agreed=agreed)
    except port.ReceiverUnreachable as error:
        raise Unreachable(str(error)) from None
    except port.SinkError as error:
        raise CommandError(str(error)) from None
    except OffsetOutOfRangeError:
        raise CommandError("retention deleted records while they were being read: rebuild again") from None
    except KafkaError as error:
        raise Unreachable(f"Kafka at {kafka}: {type(error).__name__} while the log was being read") from None


class _SinkTopics:
    """Reads every partition of the topics that the PostgreSQL sink reads, committed records only."""

    def __init__(self, settings: Settings, kafka: KafkaConnection) -> None:
        self._admin = open_admin(kafka)
        self.refused = RefusedRecords(settings, kafka, PUBLIC)
        self._names = {settings.prefix + name: name for name in PIPELINE.role(PROJECTION).reads}
        # `none`: the rebuild must fail, and not skip records that retention deletes while it reads.
        self._consumer = open_consumer(kafka, reset="none")

    def ranges(self) -> dict[TopicPartition, OffsetRange]:
        """The committed range of each partition now. Raises CommandError where a topic is missing."""
        self._counts = partition_counts(self._admin, self._names)
        missing = self._names.keys() - self._counts.keys()
        if missing:
            raise CommandError(missing_topics_message(self._admin, missing))
        return committed_ranges(
            self._admin, [TopicPartition(name, n) for name, count in self._counts.items() for n in range(count)]
        )

    def place(self, tp: TopicPartition) -> tuple[str, int]:
        """(topic without the prefix, partition)."""
        return self._names[tp.topic], tp.partition

    def partitions(self, tp: TopicPartition) -> int:
        """The partition count of a topic."""
        return self._counts[tp.topic]

    def batches(self, ranges: dict[TopicPartition, OffsetRange]) -> Iterator[dict[TopicPartition, list[Any]]]:
        """The raw records of ranges in batches; in order within each partition."""
        return batches_of(self._consumer, ranges, _BATCH)

    def close(self) -> None:
        """Closes both clients."""
        self._admin.close()
        self._consumer.close()


class _Rebuild:
    """One rebuild."""

    def __init__(self, projection: Projection, log: _SinkTopics, say: Say, progress: Progress) -> None:
        self._projection, self._log, self._say, self._progress = projection, log, say, progress
        self._done = Rebuilt()
        #: The next offset to read of each partition.
        self._next: dict[TopicPartition, int] = {}

    def run(self, *, keep: bool, agreed: Callable[[int], bool]) -> Rebuilt | None:
        """Runs a rebuild. Returns None where the user did not agree.

        1. Check that the live tables belong to this log, and ask the user.
        2. Make empty tables, and read every forget in the log.
        3. Copy the rows of records that the log no longer has, without the customers of the forgets.
        4. Read the log almost to its end. 5. Copy rows that need the whole log, make the live sink wait, read the rest,
           and swap the tables.
        """
        started = time.monotonic()
        self._check(self._log.ranges())
        if not agreed(self._projection.size()):
            return None
        ranges = self._log.ranges()  # ask again: many records may have been appended before the user agreed
        dropped = self._projection.prepare()
        if dropped:
            self._say(f"dropped what an earlier rebuild had left: schema {', '.join(dropped)}")
        self._next = {tp: first for tp, (first, _) in ranges.items()}
        trimmed = {self._log.place(tp) for tp, (first, _) in ranges.items() if first}
        forgets = self._forgets(ranges)
        self._done.forgets = len(forgets)
        firsts = {self._log.place(tp): first for tp, first in self._next.items()}
        self._done.copied += self._projection.take_over(firsts, forgets).copied
        reading = time.monotonic()
        self._catch_up()
        self._done.per_s = round(self._done.records / (time.monotonic() - reading))
        self._done.copied += self._projection.complete(trimmed).copied
        self._swap()
        self._done.tables = self._projection.counts()
        if not keep:
            self._projection.drop_replaced()
        self._done.seconds = round(time.monotonic() - started, 1)
        return self._done

    def _check(self, ranges: dict[TopicPartition, OffsetRange]) -> None:
        """Raises CommandError where the live tables belong to another log; reports the offsets that are missing both in
        these tables and in the log.
        """
        stored = self._projection.stored()
        for tp, (first, end) in ranges.items():
            topic, number = self._log.place(tp)
            live = stored.get((topic, number), 0)
            if live > end:
                raise CommandError(
                    f"PostgreSQL has read {tp.topic}/{number} up to offset {live} and it ends at {end}: these tables are of "
                    "another log"
                )
            if live < first:
                self._say(
                    f"offsets {live} to {first - 1} of {tp.topic}/{number} stand neither in the log nor in PostgreSQL: "
                    "their rows are lost, unless a backup has them"
                )

    def _forgets(self, ranges: dict[TopicPartition, OffsetRange]) -> list[Forget]:
        """Every forget in the log."""
        own = {tp: r for tp, r in ranges.items() if Action in PIPELINE.topic(self._log.place(tp)[0]).records}
        total, seen, forgets = sum(end - start for start, end in own.values()), 0, []
        for batch in self._log.batches(own):
            for tp, records in batch.items():
                seen += len(records)
                actions = [r for r in records if codec.kind(r.value) is Action]
                for item in sink_items(
                    PIPELINE, *self._log.place(tp), actions, self._log.partitions(tp), self._log.refused
                ).items:
                    one = forget(item)
                    if one is not None:
                        forgets.append(one)
            self._progress("forgets", seen, total)
        return forgets

    def _catch_up(self) -> None:
        """Reads on until a round takes at most a second. Raises CommandError where the log grows too fast."""
        for _ in range(_ROUNDS):
            began = time.monotonic()
            self._read_to({tp: end for tp, (_, end) in self._log.ranges().items()})
            if time.monotonic() - began <= _SHORT_S:
                return
        raise CommandError("the log grows as fast as it is read: rebuild when less is written")

    def _read_to(self, ends: dict[TopicPartition, int]) -> None:
        """Reads on to these offsets and writes the records: one batch is written while the next one is read."""
        ranges = {tp: (self._next[tp], end) for tp, end in ends.items() if self._next[tp] < end}
        if not ranges:
            return
        total = self._done.records + sum(end - start for start, end in ranges.values())
        self._log.refused.read_on()
        waiting: list[SinkItem] = []
        with ThreadPoolExecutor(1) as writer:
            write: Future[Any] = writer.submit(list)
            for batch in self._log.batches(ranges):
                for tp, records in batch.items():
                    waiting += sink_items(
                        PIPELINE, *self._log.place(tp), records, self._log.partitions(tp), self._log.refused
                    ).items
                    self._done.records += len(records)
                if len(waiting) >= _BATCH:
                    write.result()
                    write = writer.submit(self._projection.sink.write, waiting)
                    waiting = []
                    self._progress("records", self._done.records, total)
            write.result()
            # `write` itself stores the records that the sink refuses in the table dead_letters.
            self._projection.sink.write(waiting)
        self._next |= {tp: end for tp, (_, end) in ranges.items()}
        self._progress("records", self._done.records, total)

    def _swap(self) -> None:
        """Swaps the tables. While other sessions read them, tries for two minutes; then raises CommandError."""
        for tries in range(_TRIES):
            try:
                self._projection.swap(self._read_to_live)
            except Busy as busy:
                if tries == 0:
                    self._say(f"{busy}: trying until they are free")
                if tries == _TRIES - 1:
                    raise CommandError(f"{busy}: end that, or rebuild when nobody reads them for so long") from None
                time.sleep(1)
                self._catch_up()
            else:
                return

    def _read_to_live(self, live: Places) -> None:
        """Reads on to the offsets at which the live sink waits."""
        self._read_to({tp: live.get(self._log.place(tp), 0) for tp in self._next})
