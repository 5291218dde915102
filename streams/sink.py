"""Sink: batches of several topics to one receiver, each with its own consumer group; a slow one holds up only itself."""

from __future__ import annotations

import asyncio
import random
import time as wall
from collections.abc import Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.records import Tick
from sinks.port import Item, Refused, Sink, SinkError, Unreachable
from streams import metrics
from streams.deadletters import DeadLetterLimit, dead_letter_headers
from streams.errors import Misconfigured, Stop
from streams.hints import Hint
from streams.items import decoded
from streams.partition import translate
from streams.positions import Claim
from streams.reader import times_at
from streams.shapes import Pipeline, Role
from streams.worker import Hooks, RoleWorker, WorkerSettings

_MOST_ITEMS = 5_000
_MOST_WAITING = 10_000
#: From the beginning of one write to that of the next, unless there is enough for a whole one: a row in a batch of 500
#: costs PostgreSQL nearly twice what it costs in one of 5,000.
_INTERVAL_S = 0.25
_RETRY_MOST_S = 30.0
_RELEASE_S = 5.0


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """A delivered batch of one partition."""

    tp: TP
    raw: list[Any]
    items: list[Item]
    wrong: dict[int, str]
    time: int


class SinkWorker(RoleWorker):
    """Runs a Sink: one write at a time, in a thread; what cannot be written now is tried again for as long as it takes."""

    claim = Claim("has stored", "these are the offsets of other topics; give this log a receiver of its own")

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings, hooks: Hooks, sink: Sink) -> None:
        super().__init__(pipeline, role, settings, hooks)
        self.sink = sink
        self.down: str | None = None
        """Why the receiver cannot be reached; None when it can."""
        self._waiting: list[_Waiting] = []
        self._news, self._room, self._idle = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._enough = asyncio.Event()
        self._room.set()
        self._idle.set()
        self._owned: set[TP] = set()
        self._applied: dict[TP, int] = {}
        self._times: dict[TP, int] = {}
        self._limits: dict[TP, DeadLetterLimit] = {}
        self._producer: AIOKafkaProducer | None = None

    async def prepare(self) -> None:
        """Open the sink, and a producer for dead letters."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka, enable_idempotence=True, max_request_size=4 << 20
        )
        await self._producer.start()
        await self._persist(self.sink.open)

    async def _persist(self, work: Callable[[], Any]) -> Any:
        """Run blocking work in a thread, again and again while the receiver cannot be reached."""
        delay = 0.2
        while True:
            try:
                found = await asyncio.to_thread(work)
            except Unreachable as error:
                if self.down is None:
                    self.log.warning("receiver not reached, trying on", why=str(error))
                self.down = str(error)
                metrics.SINK_RETRIES.labels(self.role.name).inc()
                wait = error.after if error.after is not None else delay * random.uniform(0.5, 1.0)
                delay = min(delay * 2, _RETRY_MOST_S)
                if await self._stopped_within(wait):
                    raise Stop(f"stopped while the receiver could not be reached: {error}") from error
            except SinkError as error:
                raise Misconfigured(str(error)) from error
            else:
                if self.down is not None:
                    self.log.info("receiver reached again")
                self.down = None
                return found

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._done.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def ready(self) -> str | None:
        """Also: the receiver answers."""
        return super().ready() or (f"receiver: {self.down}" if self.down else None)

    # --- owning -------------------------------------------------------------------------------------------------

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Start where the sink says it stands, else where the group does."""
        bare = {self.bare(tp): tp for tp in partitions}
        if not bare:
            self._owned, self._applied = set(), {}
            return self._stands(bare, {})
        known = await self._persist(lambda: self.sink.positions([(tp.topic, tp.partition) for tp in bare]))
        placed = await self.placed({TP(self.topic(topic), n): at for (topic, n), at in known.items()}, self.claim)
        known = {(self.bare(tp).topic, tp.partition): at for tp, at in placed.items()}
        try:
            async with self.reader() as reader:
                times = await self._stand(reader, known)
        except KafkaError as error:
            raise translate(error, f"{self.group}: reading where it stands") from error
        self._owned = set(bare)
        self._limits = {
            tp: DeadLetterLimit(f"{tp.topic}/{tp.partition}", self.settings.dead_share, self.settings.dead_window)
            for tp in bare
        }
        self._times = times
        # Told again: the last owner may have gone before it told the group what it had written.
        self._applied = {tp: known[tp.topic, tp.partition] - 1 for tp in self._times}
        return self._stands(bare, known)

    def _stands(self, bare: dict[TP, TP], known: dict[tuple[str, int], int]) -> dict[TP, int | None]:
        self.rebalancing, self.assigned_once = False, True
        metrics.PARTITIONS.labels(self.role.name).set(len(bare))
        self.log.info("partitions owned", partitions=len(bare))
        return {tp: known.get((own.topic, own.partition)) for own, tp in bare.items()}

    async def _stand(self, reader: AIOKafkaConsumer, known: dict[tuple[str, int], int]) -> dict[TP, int]:
        """The event time (ms) at which the sink stands, where time is told: without it who follows us waits for ever."""
        timed = {
            TopicPartition(self.topic(topic), n): following
            for (topic, n), following in known.items()
            if following and Tick in self.pipeline.topic(topic).records
        }
        found = await times_at(reader, timed)
        return {self.bare(TP(tp.topic, tp.partition)): time for tp, time in found.items()}

    async def revoked(self, partitions: set[TP]) -> None:
        """Finish the write under way, forget what waits; the next owner reads it again."""
        self.rebalancing = True
        gone = {self.bare(tp) for tp in partitions}
        self._owned -= gone
        self._waiting = [waiting for waiting in self._waiting if waiting.tp not in gone]
        try:
            await asyncio.wait_for(self._idle.wait(), _RELEASE_S)
        except TimeoutError:
            self.log.warning("a write is still under way; the next owner may do it again")

    # --- the work -----------------------------------------------------------------------------------------------

    async def take(self, tp: TP, records: list[Any]) -> None:
        """Queue a batch; waits while too much is queued."""
        if tp not in self._owned:
            return
        # Decoded here, while the thread may be waiting for the receiver.
        found = decoded(self.pipeline, tp.topic, tp.partition, records)
        self._waiting.append(_Waiting(tp, records, found.items, found.wrong, found.time))
        self._news.set()
        if self._count() >= _MOST_ITEMS:
            self._enough.set()
        if self._count() >= _MOST_WAITING:
            self._room.clear()
            await self._room.wait()

    def _count(self) -> int:
        return sum(len(waiting.items) for waiting in self._waiting)

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """The writer."""
        return (self._writer,)

    async def _writer(self) -> None:
        began = -_INTERVAL_S
        while True:
            await self._news.wait()
            await self._enough_until(began + _INTERVAL_S)
            began = wall.monotonic()
            batch = self._next()
            if not self._waiting:
                self._news.clear()
            if self._count() < _MOST_WAITING:
                self._room.set()
            if batch:
                self._idle.clear()
                try:
                    await self._write(batch)
                finally:
                    self._idle.set()

    async def _enough_until(self, deadline: float) -> None:
        """Wait until a whole write is there, or for the deadline (of the monotonic clock)."""
        left = deadline - wall.monotonic()
        if left <= 0 or self._count() >= _MOST_ITEMS:
            return
        self._enough.clear()
        try:
            await asyncio.wait_for(self._enough.wait(), left)
        except TimeoutError:
            return

    def _next(self) -> list[_Waiting]:
        """Take what is to be written at once."""
        taken = size = 0
        while taken < len(self._waiting) and size < _MOST_ITEMS:
            size += len(self._waiting[taken].items)
            taken += 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        started = wall.monotonic()
        items = [item for waiting in batch for item in waiting.items]
        refused: list[Refused] = await self._persist(lambda: self.sink.write(items))
        await self._set_all_aside(batch, refused)
        for waiting in batch:
            if waiting.tp in self._owned:
                self._applied[waiting.tp] = waiting.items[-1].offset
                self._times[waiting.tp] = max(waiting.time, self._times.get(waiting.tp, 0))
        metrics.FACTS.labels(self.role.name).inc(len(items))
        metrics.SINK_SECONDS.labels(self.role.name).observe(wall.monotonic() - started)

    async def _set_all_aside(self, batch: list[_Waiting], refused: list[Refused]) -> None:
        if not refused and not any(waiting.wrong for waiting in batch):
            return
        by_place = {
            (item.topic, item.partition, item.offset): (raw, item)
            for waiting in batch
            for raw, item in zip(waiting.raw, waiting.items, strict=True)
        }
        for waiting in batch:
            for offset, wrong in waiting.wrong.items():
                raw, item = by_place[waiting.tp.topic, waiting.tp.partition, offset]
                await self._set_aside(raw, item, "decode", "WireError", wrong)
        for one in refused:
            raw, _ = by_place[one.item.topic, one.item.partition, one.item.offset]
            await self._set_aside(raw, one.item, one.stage, one.error, one.message)

    async def _set_aside(self, r: Any, item: Item, stage: str, error: str, message: str) -> None:
        name = f"{item.topic}/{item.partition}"
        if item.topic.endswith(".dead"):
            raise Stop(f"{name}: the dead letter at offset {item.offset} itself was refused: {error}: {message}")
        if self._producer is None:
            raise Stop(f"{name}: no producer for dead letters")
        metrics.DEAD_LETTERS.labels(self.role.name, stage).inc()
        self.log.warning("set aside", partition=name, offset=item.offset, stage=stage, error=error, why=message)
        head = dead_letter_headers(item.topic, item.partition, item.offset, stage, error, message)
        try:
            await self._producer.send_and_wait(
                self.topic(f"{item.topic}.dead"),
                value=r.value,
                key=r.key,
                partition=item.partition,
                headers=[*r.headers, *head],
            )
        except KafkaError as failure:
            raise translate(failure, f"{name}: writing a dead letter") from failure
        limit = self._limits.get(TP(item.topic, item.partition))
        if limit is not None:
            limit.passed(1)
            limit.failed()

    def hints(self) -> dict[TP, Hint]:
        """What is written, and for a receiver without offsets of its own the place to start again."""
        for tp, offset in self._applied.items():
            metrics.APPLIED.labels(self.role.name, f"{tp.topic}/{tp.partition}").set(offset)
        return {tp: Hint(offset + 1, self._times.get(tp, 0)) for tp, offset in self._applied.items()}

    async def let_go(self) -> None:
        """Finish the write under way, tell the group, close."""
        self._waiting = []
        await asyncio.wait_for(self._idle.wait(), _RELEASE_S)
        hints = self.hints()
        if hints and not self.rebalancing:
            try:
                await self.tell(hints)
            except KafkaError as error:
                self.log.warning("offsets not told; the last write may be done again", why=type(error).__name__)
        await asyncio.to_thread(self.sink.close)
        if self._producer is not None:
            await self._producer.stop()
