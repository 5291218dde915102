"""The worker of a sink: batches of several topics to one receiver, in a consumer group of its own."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Callable, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.records import Tick
from sinks.port import RefusedItem, Rewound, SinkPort
from streams import metrics
from streams.committed_offsets import CommittedOffset
from streams.errors import Misconfigured
from streams.kafka_errors import translate
from streams.log_reader import times_at
from streams.position_check import Claim
from streams.receiver_calls import Outdated, ReceiverCalls
from streams.settings import WorkerSettings
from streams.sink_dead_letters import SinkDeadLetters
from streams.sink_items import STAGES, SinkItems, sink_items
from streams.topology import Pipeline, Role
from streams.worker import RoleWorker

_MOST_ITEMS = 5_000
"""When a write has this many items, no further batch is added."""
_MOST_WAITING = 10_000
"""Reading stops when this many items wait."""
#: Seconds from the beginning of one write to the beginning of the next, unless enough items for a whole write are
#: waiting: a row in a batch of 500 costs PostgreSQL nearly twice as much as one in a batch of 5,000.
_INTERVAL_S = 0.25
_RELEASE_S = 5.0
_COMMIT_S = 2.0
_CLOSE_S = 1.0
_STEP = "the receiver"
"""The name of a sink's steps in a rebalance, which are taken for all partitions at once."""


class SinkWorker(RoleWorker):
    """Runs a SinkPort, one write at a time. A write that is not possible now is tried again until it succeeds."""

    claim = Claim("has stored", "these are the offsets of other topics; give this log a receiver of its own")

    stages = STAGES
    interval_s = _INTERVAL_S

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings, sink: SinkPort) -> None:
        super().__init__(pipeline, role, settings)
        self.sink = sink
        self.calls = ReceiverCalls(sink, role.name, self._done, self.log)
        self.dead_letters = SinkDeadLetters(
            role.name, self.topic, lambda name: pipeline.topic(name).room_when_dead, settings, self._done, self.log
        )
        self._writing: asyncio.Task[None] | None = None
        self._revoked = asyncio.Event()
        """Set when partitions of the present assignment are revoked; each assignment has an event of its own."""
        self._waiting: list[SinkItems] = []
        self._news, self._room, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._enough = asyncio.Event()
        self._room.set()
        self._idle.set()
        self._owned: set[TP] = set()
        self._committed: dict[TP, CommittedOffset] = {}
        """The written offsets, by topics' names without the prefix."""

    async def prepare(self) -> None:
        """Opens the sink, and a producer for dead letters."""
        await self.dead_letters.start()
        self.rebalance.step(_STEP, "opening the receiver")
        try:
            await self.calls.until_reached(self.sink.open, "opening the receiver")
        except BaseException:
            await self.dead_letters.stop()
            raise

    def waits(self) -> bool:
        """As for every role; also while a call of the receiver is under way, which `ReceiverCalls` watches."""
        return super().waits() or self.calls.calling

    def ready(self) -> str | None:
        """The checks of every role; also, the receiver must answer in time."""
        # This comes first: while an assignment waits for the receiver, the receiver is the cause of all other faults.
        return self.calls.wrong() or super().ready()

    # --- owning -------------------------------------------------------------------------------------------------

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Owns these partitions. Returns the positions that the sink gives; None where the group's offset counts."""
        own_names = {self.own_name(tp): tp for tp in partitions}
        if not own_names:
            self._owned, self._committed = set(), {}
            return self._begin(own_names, {})
        self.rebalance.step(_STEP, "asking the receiver where it stands")
        known = await self.calls.until_reached(
            lambda: self.sink.positions([(tp.topic, tp.partition) for tp in own_names]), "asking where it stands"
        )
        self.rebalance.step(_STEP, "looking for the receiver's offsets in the log")
        checked = await self.checked({TP(self.topic(topic), n): at for (topic, n), at in known.items()}, self.claim)
        positions = {self.own_name(tp): at for tp, at in checked.items()}
        try:
            async with self.reader() as reader:
                times = await self._times(reader, positions)
        except KafkaError as error:
            raise translate(error, f"{self.group}: reading where it stands") from error
        self._owned = set(own_names)
        self.dead_letters.own(own_names)
        await self._recall(own_names)
        # Commit these positions to the group again, because the last owner may have ended after a write but before its
        # commit.
        self._committed = {tp: CommittedOffset(positions[tp], time) for tp, time in times.items()}
        return self._begin(own_names, positions)

    def _begin(self, own_names: dict[TP, TP], positions: dict[TP, int]) -> dict[TP, int | None]:
        self._revoked.set()
        self._revoked = asyncio.Event()
        self.rebalance.done(_STEP)
        self.begins(len(own_names))
        self.log.info("partitions owned", partitions=len(own_names))
        return {tp: positions.get(own) for own, tp in own_names.items()}

    async def _recall(self, own_names: Collection[TP]) -> None:
        """Gives the sink what it must know of the past; a SinkPort needs nothing. own_names: the partitions that are owned
        from now on, by topics' names without the prefix.
        """

    async def _times(self, reader: AIOKafkaConsumer, positions: dict[TP, int]) -> dict[TP, int]:
        """The event time (ms) at each position of a topic that carries Ticks; `lag` and `ingest` need it."""
        timed = {
            TopicPartition(self.topic(tp.topic), tp.partition): at
            for tp, at in positions.items()
            if at and Tick in self.pipeline.topic(tp.topic).records
        }
        found = await times_at(reader, timed)
        return {self.own_name(TP(tp.topic, tp.partition)): time for tp, time in found.items()}

    async def start_positions(self, own: dict[TP, int | None], committed: dict[TP, int]) -> dict[TP, int]:
        """As for every role; but where a receiver keeps offsets and has no offset of a partition, it has no record of
        it.

        Raises Misconfigured where the log no longer has the records that such a receiver lacks.
        """
        if not self.sink.keeps_offsets:
            return await super().start_positions(own, committed)
        found = await super().start_positions(own, {})
        for tp, at in found.items():
            if own[tp] is None and at > 0:
                self._emptied(self.own_name(tp), at, committed.get(tp, 0))
        return found

    def _emptied(self, tp: TP, beginning: int, committed: int) -> None:
        name = f"{tp.topic}/{tp.partition}"
        if committed and self.settings.on_lost == "stop":
            raise Misconfigured(
                f"{self.role.name} has read {name} up to offset {committed}, its group says, but the receiver has nothing of it "
                f"and the log begins at {beginning}: it was emptied; restore a copy of it, or run `netcenter rebuild`, which "
                "takes what is still there and says what is lost"
            )
        self.log.error("the receiver begins behind what retention has deleted", partition=name, last=beginning - 1)

    async def revoked(self, partitions: set[TP]) -> None:
        """Finishes the running write and drops the queue: the next owner reads the queued records again."""
        self.rebalancing = True
        self.rebalance.moved()
        gone = {self.own_name(tp) for tp in partitions}
        self._waiting = [batch for batch in self._waiting if TP(batch.topic, batch.partition) not in gone]
        self._make_room()
        self._revoked.set()
        try:
            await asyncio.wait_for(self._idle.wait(), _RELEASE_S)
        except TimeoutError:
            self.log.warning("a write is still under way; the next owner may do it again")
        await self._commit_last({tp: at for tp, at in self._committed.items() if tp in gone})
        self._owned -= gone
        for tp in gone:
            self._committed.pop(tp, None)
            metrics.forget(self.role.name, tp.topic, tp.partition, f"{tp.topic}/{tp.partition}")

    async def _commit_last(self, offsets: dict[TP, CommittedOffset]) -> None:
        """Commits what was written last to the group: a receiver without offsets of its own would get it twice."""
        if not offsets:
            return
        try:
            # aiokafka itself repeats a commit for as long as Kafka does not answer.
            async with asyncio.timeout(_COMMIT_S):
                await self.commit_offsets(offsets)
        except (TimeoutError, KafkaError) as error:
            self.log.warning("offsets not committed; the last write may be done again", why=type(error).__name__)

    # --- the queue ----------------------------------------------------------------------------------------------

    async def take(self, tp: TP, records: list[Any]) -> None:
        """Queues a batch; waits while too many items are queued."""
        if tp not in self._owned or self.rebalancing:
            return
        # Decode here, because the writing thread may be waiting for the receiver.
        partitions, signatures = self.partitions(tp.topic), self.settings.signatures
        self._waiting.append(sink_items(self.pipeline, tp.topic, tp.partition, records, partitions, signatures))
        self._news.set()
        if self._count() >= _MOST_ITEMS:
            self._enough.set()
        if self._count() >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()

    def _count(self) -> int:
        return sum(len(batch.items) for batch in self._waiting)

    def _make_room(self) -> None:
        if self._count() < _MOST_WAITING:
            self._room.set()

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """The writer."""
        return (self._writer,)

    async def _writer(self) -> None:
        began = -self.interval_s
        while True:
            await self._something()
            await self._enough_until(began + self.interval_s)
            began = wall.monotonic()
            batches = self._next()
            if not self._waiting:
                self._news.clear()
            self._make_room()
            if batches or self._owing():
                self._idle.clear()
                # A task of its own, so that the write is finished when the worker stops and cancels the writer.
                self._writing = asyncio.create_task(self._write(batches))
                self._writing.add_done_callback(lambda _: self._idle.set())
                await asyncio.shield(self._writing)

    async def _something(self) -> None:
        """Waits until there is something to write."""
        await self._news.wait()

    def _owing(self) -> bool:
        """Whether the sink has something to do without a new item."""
        return False

    async def _enough_until(self, deadline: float) -> None:
        """Waits until there is enough for a whole write, or for the deadline (s of the monotonic clock)."""
        left = deadline - wall.monotonic()
        if left <= 0 or self._count() >= _MOST_ITEMS:
            return
        self._enough.clear()
        try:
            await asyncio.wait_for(self._enough.wait(), left)
        except TimeoutError:
            return

    def _next(self) -> list[SinkItems]:
        """Takes the batches of the next write from the queue."""
        taken = size = 0
        while taken < len(self._waiting) and size < _MOST_ITEMS:
            size += len(self._waiting[taken].items)
            taken += 1
        batches, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batches

    # --- the write ----------------------------------------------------------------------------------------------

    async def _write(self, batches: list[SinkItems]) -> None:
        """Writes batches and their dead letters.

        1. Dead letters of unreadable records: before the receiver's own position passes them.
        2. The items, repeated while the receiver cannot be reached.
        3. What the sink reports, then dead letters of the items that the receiver has refused.
        4. Note which offsets are written, so that they are committed to the group.
        """
        started = wall.monotonic()
        items = [item for batch in batches for item in batch.items]
        revoked = self._revoked
        await self.dead_letters.write(batches, [refused for batch in batches for refused in batch.unreadable()])
        try:
            refused: list[RefusedItem] = await self.calls.until_reached(
                lambda: self.sink.write(items), "a write", revoked
            )
        except Outdated:
            return
        except Rewound as error:
            await self._go_back(str(error))
            return
        await self._report()
        await self.dead_letters.write(batches, refused)
        for batch in batches:
            tp = TP(batch.topic, batch.partition)
            if tp in self._owned:
                before = self._committed.get(tp)
                time = max(batch.time, before.time) if before is not None else batch.time
                self._committed[tp] = CommittedOffset(batch.items[-1].offset + 1, time)
        metrics.RECORDS_CONSUMED.labels(self.role.name).inc(len(items))
        self._count_taken(len(items) - len(refused))
        metrics.SINK_SECONDS.labels(self.role.name).observe(wall.monotonic() - started)
        self.dead_letters.count(batches, refused)

    async def _report(self) -> None:
        """Writes what the sink reports; a SinkPort reports nothing."""

    def _count_taken(self, items: int) -> None:
        """Counts the items that the receiver has taken. items: of the write, without the refused ones."""
        metrics.SINK_RECORDS.labels(self.role.name).inc(items)

    async def _go_back(self, why: str) -> None:
        """Makes the group assign all partitions again after the receiver was restored: reading goes on from its
        positions.
        """
        self.log.error("the receiver has lost what it had; reading on from its own offsets", why=why)
        self.rebalancing = True
        self._owned = set()
        self._waiting = []
        self._make_room()
        await self.app.consumer.rejoin()

    def committed_offsets(self) -> dict[TP, CommittedOffset]:
        """The written offsets; for a receiver without offsets of its own, the next start reads on from here."""
        for tp, committed in self._committed.items():
            metrics.COMMITTED_OFFSET.labels(self.role.name, tp.topic, str(tp.partition)).set(committed.offset)
            if committed.time:
                name = f"{tp.topic}/{tp.partition}"
                metrics.WATERMARK_SECONDS.labels(self.role.name, name).set(committed.time / 1000)
        return dict(self._committed)

    async def hand_over(self) -> None:
        """Finishes the running write, commits its offsets to the group, and closes."""
        self._waiting = []
        self._done.set()
        if self._writing is not None:
            await asyncio.wait([self._writing])
            error = self._writing.exception()
            if error is not None:
                self.fail(error)
        if not self.rebalancing:
            await self._commit_last(self.committed_offsets())
        await self.calls.close(_CLOSE_S)
        await self.dead_letters.stop()
