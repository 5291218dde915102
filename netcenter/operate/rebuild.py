"""`rebuild`: PostgreSQL's tables once more from the log, beside the live ones, and swapped in at the end."""

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

from netcenter.broker import topics
from netcenter.broker.reading import Span, as_they_come, open_consumer, spans
from netcenter.errors import CommandError, Unreachable
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.settings import Settings
from schemas import codec
from schemas.records import Action
from sinks import port
from sinks.port import Item
from sinks.postgres.forgetting import Forget, forget
from sinks.postgres.older import Places
from sinks.postgres.projection import Busy, Projection
from streams.sink_items import sink_items

#: Records of a write: what the sink's own worker gives it under a backlog.
_BATCH = 5_000
#: Seconds that the last round of reading may have taken when the live sink is made to wait for one more.
_SHORT_S = 1.0
#: Tries to get hold of tables that others read, a second apart.
_TRIES = 120
#: Rounds of reading, each of what was appended during the one before, after which the log is seen to grow too fast.
_ROUNDS = 50

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass
class Rebuilt:
    """What has been done."""

    records: int = 0
    """Read from the log, Ticks among them."""
    seconds: float = 0.0
    per_s: int = 0
    """Records a second while the log was read."""
    forgets: int = 0
    """That stand in the log."""
    copied: Counter[str] = field(default_factory=Counter)
    """Rows by table that the log no longer has."""
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows by table before and after."""


def rebuild(
    settings: Settings,
    kafka: str,
    uri: str,
    *,
    keep: bool,
    agreed: Callable[[int], bool] = lambda _: True,
    say: Say = lambda _: None,
    progress: Progress = lambda *_: None,
) -> Rebuilt | None:
    """Build the projection anew and swap it in.

    keep: leave the old tables in schema `netcenter_replaced`. agreed: asked with the bytes that the live tables take,
    before anything is made; None is returned where it says no. say: a line now and then. progress: what is looked for,
    records read, of how many. Raises CommandError: the live tables are then as they were, or wholly replaced.
    """
    try:
        with Projection(uri) as projection, closing(_Log(settings, kafka)) as log:
            return _Rebuild(projection, log, say, progress).run(keep=keep, agreed=agreed)
    except port.Unreachable as error:
        raise Unreachable(str(error)) from None
    except port.SinkError as error:
        raise CommandError(str(error)) from None
    except OffsetOutOfRangeError:
        raise CommandError("retention deleted records while they were being read: rebuild again") from None
    except KafkaError as error:
        raise Unreachable(f"Kafka at {kafka}: {type(error).__name__} while the log was being read") from None


class _Log:
    """Every partition that the sink reads, committed records only, from the beginning on."""

    def __init__(self, settings: Settings, kafka: str) -> None:
        self._client = topics.admin(kafka)
        self._names = {settings.prefix + name: name for name in PIPELINE.role(PROJECTION).reads}
        # What retention deletes meanwhile must not be passed over.
        self._consumer = open_consumer(kafka, reset="none")

    def spans(self) -> dict[TopicPartition, Span]:
        """Where each partition begins and ends now. Raises CommandError where a topic is missing."""
        have = set(self._client.list_topics())
        missing = set(self._names) - have
        if missing:
            raise CommandError(topics.missing_topics(have, missing))
        self._counts = topics.counts_of(self._client, self._names)
        places = [TopicPartition(name, n) for name, count in self._counts.items() for n in range(count)]
        return spans(self._client, places)

    def place(self, tp: TopicPartition) -> tuple[str, int]:
        """A partition by its topic's own name."""
        return self._names[tp.topic], tp.partition

    def partitions(self, tp: TopicPartition) -> int:
        """How many its topic has."""
        return self._counts[tp.topic]

    def read(self, stretches: dict[TopicPartition, Span]) -> Iterator[dict[TopicPartition, list[Any]]]:
        """The records of stretches as they come, each partition's in order."""
        return as_they_come(self._consumer, stretches, _BATCH)

    def close(self) -> None:
        """Let go of Kafka."""
        self._client.close()
        self._consumer.close()


class _Rebuild:
    """One run."""

    def __init__(self, projection: Projection, log: _Log, say: Say, progress: Progress) -> None:
        self._projection, self._log, self._say, self._progress = projection, log, say, progress
        self._done = Rebuilt()
        #: The next offset to read.
        self._next: dict[TopicPartition, int] = {}

    def run(self, *, keep: bool, agreed: Callable[[int], bool]) -> Rebuilt | None:
        started = time.monotonic()
        self._check(self._log.spans())
        if not agreed(self._projection.size()):
            return None
        found = self._log.spans()  # again: whoever was asked may have slept over it
        dropped = self._projection.prepare()
        if dropped:
            self._say(f"dropped what an earlier rebuild had left: schema {', '.join(dropped)}")
        self._next = {tp: first for tp, (first, _) in found.items()}
        trimmed = {self._log.place(tp) for tp, (first, _) in found.items() if first}
        forgets = self._forgets(found)
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

    def _check(self, found: dict[TopicPartition, Span]) -> None:
        """Whether the live tables are of this log; say what neither has any more."""
        stored = self._projection.stored()
        for tp, (first, end) in found.items():
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

    def _forgets(self, found: dict[TopicPartition, Span]) -> list[Forget]:
        """Every forget that stands in the log."""
        own = {tp: span for tp, span in found.items() if Action in PIPELINE.topic(self._log.place(tp)[0]).records}
        total, seen, forgets = sum(end - start for start, end in own.values()), 0, []
        for batch in self._log.read(own):
            for tp, records in batch.items():
                seen += len(records)
                actions = [r for r in records if codec.kind(r.value) is Action]
                for item in sink_items(PIPELINE, *self._log.place(tp), actions, self._log.partitions(tp)).items:
                    one = forget(item)
                    if one is not None:
                        forgets.append(one)
            self._progress("forgets", seen, total)
        return forgets

    def _catch_up(self) -> None:
        """Read until what is appended meanwhile is read in a moment."""
        for _ in range(_ROUNDS):
            began = time.monotonic()
            self._read_to({tp: end for tp, (_, end) in self._log.spans().items()})
            if time.monotonic() - began <= _SHORT_S:
                return
        raise CommandError("the log grows as fast as it is read: rebuild when less is written")

    def _read_to(self, ends: dict[TopicPartition, int]) -> None:
        """Write what stands between what was read and these offsets: one batch while the next one is read."""
        stretches = {tp: (self._next[tp], end) for tp, end in ends.items() if self._next[tp] < end}
        if not stretches:
            return
        total = self._done.records + sum(end - start for start, end in stretches.values())
        waiting: list[Item] = []
        with ThreadPoolExecutor(1) as writer:
            write: Future[Any] = writer.submit(list)
            for batch in self._log.read(stretches):
                for tp, records in batch.items():
                    waiting += sink_items(PIPELINE, *self._log.place(tp), records, self._log.partitions(tp)).items
                    self._done.records += len(records)
                if len(waiting) >= _BATCH:
                    write.result()
                    write = writer.submit(self._projection.sink.write, waiting)
                    waiting = []
                    self._progress("records", self._done.records, total)
            write.result()
            # What the sink refuses stands in dead_letters by the same write.
            self._projection.sink.write(waiting)
        self._next |= {tp: end for tp, (_, end) in stretches.items()}
        self._progress("records", self._done.records, total)

    def _swap(self) -> None:
        for tries in range(_TRIES):
            try:
                self._projection.swap(self._bring)
            except Busy as busy:
                if tries == 0:
                    self._say(f"{busy}: trying until they are free")
                if tries == _TRIES - 1:
                    raise CommandError(f"{busy}: end that, or rebuild when nobody reads them for so long") from None
                time.sleep(1)
                self._catch_up()
            else:
                return

    def _bring(self, live: Places) -> None:
        """Read on to where the live sink stands still."""
        self._read_to({tp: live.get(self._log.place(tp), 0) for tp in self._next})
