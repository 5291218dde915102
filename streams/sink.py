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

from schemas.keys import KEYLESS
from schemas.records import Tick
from sinks.port import Item, Refused, Rewound, Sink, SinkError, Unreachable
from streams import metrics
from streams.apart import apart, first
from streams.deadletters import DeadLetterLimit, dead_letter_headers
from streams.errors import Ended, Misconfigured, Stop
from streams.hints import Hint
from streams.items import decoded
from streams.partition import translate
from streams.positions import Claim
from streams.reader import times_at
from streams.topology import Pipeline, Role
from streams.worker import Hooks, RoleWorker, WorkerSettings

_MOST_ITEMS = 5_000
_MOST_WAITING = 10_000
#: From the beginning of one write to that of the next, unless there is enough for a whole one: a row in a batch of 500
#: costs PostgreSQL nearly twice what it costs in one of 5,000.
_INTERVAL_S = 0.25
_RETRY_MOST_S = 30.0
_RELEASE_S = 5.0
#: Seconds after which a call that is still under way is looked into, again and again; for which the answer is awaited;
#: between two lines about it.
_LASTS_S, _ANSWER_S, _SAID_S = 5.0, 10.0, 60.0
#: Seconds that a call under way has when the worker is to stop: to end by itself, and once it was interrupted.
_FINISH_S, _INTERRUPTED_S = 3.0, 2.5
#: Between two tries to write a dead letter.
_LETTER_S = 1.0
#: Between two lines that say the same of a receiver that cannot be reached.
_DOWN_SAID_S = 600.0


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """A delivered batch of one partition."""

    tp: TP
    raw: list[Any]
    items: list[Item]
    wrong: dict[int, str]
    time: int


class _Outdated(Exception):
    """Partitions have changed hands since a batch was read: it will be read again, by whoever owns them."""


def _unreadable(waiting: _Waiting) -> list[Refused]:
    """The items whose bytes are no record."""
    if not waiting.wrong:
        return []
    items = {item.offset: item for item in waiting.items}
    return [Refused(items[offset], "decode", "WireError", why) for offset, why in waiting.wrong.items()]


class SinkWorker(RoleWorker):
    """Runs a Sink: one write at a time, in a thread; what cannot be written now is tried again for as long as it takes."""

    claim = Claim("has stored", "these are the offsets of other topics; give this log a receiver of its own")

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings, hooks: Hooks, sink: Sink) -> None:
        super().__init__(pipeline, role, settings, hooks)
        self.sink = sink
        self.down: str | None = None
        """Why the receiver cannot be reached; None when it can."""
        self.held: str | None = None
        """What a call under way has waited for; None once one came through."""
        self._down_said, self._held_said = -_DOWN_SAID_S, -_SAID_S
        self._probe: asyncio.Future[str | None] | None = None
        self._writing: asyncio.Task[None] | None = None
        #: Counts assignments; whether partitions were taken away since the last.
        self._assignment, self._revoked = 0, asyncio.Event()
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
        try:
            await self._persist(self.sink.open, "opening the receiver")
        except BaseException:
            await self._producer.stop()
            raise

    async def _persist(self, work: Callable[[], Any], what: str, assignment: int | None = None) -> Any:
        """Run blocking work in a thread, again and again while the receiver cannot be reached.

        assignment: that in which it makes sense; raises _Outdated in any other. Raises Ended when told to stop, and
        Misconfigured.
        """
        delay = 0.2
        while True:
            try:
                found = await self._attempt(work, what)
            except Unreachable as error:
                wait = error.after if error.after is not None else delay * random.uniform(0.5, 1.0)
                self._say_down(str(error), wait)
                delay = min(delay * 2, _RETRY_MOST_S)
                metrics.SINK_RETRIES.labels(self.role.name).inc()
                await first(wait, self._done, *(() if assignment is None else (self._revoked,)))
                if self._done.is_set():
                    raise Ended(f"stopped while the receiver could not be reached: {error}") from error
                if assignment is not None and (self._revoked.is_set() or assignment != self._assignment):
                    raise _Outdated from error
            except Rewound:
                raise
            except SinkError as error:
                raise Misconfigured(str(error)) from error
            else:
                if self.down is not None or self._held_said > 0:
                    self.log.info("receiver reached again")
                self.down = self.held = None
                self._down_said, self._held_said = -_DOWN_SAID_S, -_SAID_S
                return found

    async def _attempt(self, work: Callable[[], Any], what: str) -> Any:
        """Run it once; say so when it lasts. When told to stop, let it end, else interrupt it, else leave it."""
        began = wall.monotonic()
        call = apart(work, f"{self.role.name}: {what}")
        lasted = False
        while not call.done() and not self._done.is_set():
            await first(_LASTS_S, call, self._done)
            if not call.done() and not self._done.is_set():
                lasted = True
                await self._look_into(call, what, began)
        if not lasted:
            self.held = None  # that of a try before: what failed now did so at once
        if not call.done():
            await first(_FINISH_S, call)
        if not call.done():
            apart(self.sink.interrupt, f"{self.role.name}: interrupting")
            await first(_INTERRUPTED_S, call)
        if not call.done():
            self.log.warning("left in the middle; the next start does it again", doing=what)
            raise Ended(f"stopped in the middle of {what}")
        return call.result()

    async def _look_into(self, call: asyncio.Future[Any], what: str, began: float) -> None:
        """Ask what a call that lasts waits for; interrupt it where the receiver does not answer anything any more."""
        if self._probe is None:
            self._probe = apart(self.sink.held, f"{self.role.name}: asking")
        await first(_ANSWER_S, call, self._probe, self._done)
        if call.done() or self._done.is_set():
            return
        held: str | None = "what it waits for cannot be asked"
        if self._probe.done():
            try:
                held = self._probe.result()
            except Unreachable as error:
                held = str(error)
                apart(self.sink.interrupt, f"{self.role.name}: interrupting")
            self._probe = None
        self.held = None if held is None else f"{what} has lasted {wall.monotonic() - began:.0f} s: {held}"
        now = wall.monotonic()
        if held is not None and now - self._held_said >= _SAID_S:
            self._held_said = now
            self.log.warning("the receiver is slow", doing=what, seconds=round(now - began), why=held)

    def _say_down(self, why: str, wait: float) -> None:
        """Once for each reason, and now and then."""
        now = wall.monotonic()
        if why != self.down or now - self._down_said >= _DOWN_SAID_S:
            self._down_said = now
            self.log.warning("receiver not reached, trying on", why=why, again_in_s=round(wait, 1))
        self.down = why

    def ready(self) -> str | None:
        """Also: the receiver answers, and in time."""
        wrong = "; ".join(filter(None, (self.down, self.held)))
        # First: while an assignment waits for the receiver, that is the cause of the rest.
        return f"receiver: {wrong}" if wrong else super().ready()

    # --- owning -------------------------------------------------------------------------------------------------

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Start where the sink says it stands, else where the group does."""
        bare = {self.bare(tp): tp for tp in partitions}
        if not bare:
            self._owned, self._applied = set(), {}
            return self._stands(bare, {})
        known = await self._persist(
            lambda: self.sink.positions([(tp.topic, tp.partition) for tp in bare]), "asking where it stands"
        )
        placed = await self.placed({TP(self.topic(topic), n): at for (topic, n), at in known.items()}, self.claim)
        known = {(self.bare(tp).topic, tp.partition): at for tp, at in placed.items()}
        try:
            async with self.reader() as reader:
                times = await self._stand(reader, known)
        except KafkaError as error:
            raise translate(error, f"{self.group}: reading where it stands") from error
        self._owned = set(bare)
        self._limits = {
            tp: DeadLetterLimit(
                f"{tp.topic}/{tp.partition}", f"{tp.topic}.dead", self.settings.dead_share, self.settings.dead_window
            )
            for tp in bare
        }
        self._times = times
        # Told again: the last owner may have gone before it told the group what it had written.
        self._applied = {tp: known[tp.topic, tp.partition] - 1 for tp in self._times}
        return self._stands(bare, known)

    def _stands(self, bare: dict[TP, TP], known: dict[tuple[str, int], int]) -> dict[TP, int | None]:
        self._assignment += 1
        self._revoked.clear()
        self.rebalancing, self.assigned_once = False, True
        metrics.PARTITIONS.labels(self.role.name).set(len(bare))
        self.log.info("partitions owned", partitions=len(bare))
        return {tp: known.get((own.topic, own.partition)) for own, tp in bare.items()}

    async def settled(self, starts: dict[TP, int | None], told: dict[TP, int]) -> dict[TP, int]:
        """A receiver that keeps offsets and has none of a partition has nothing of it, whatever the group was told."""
        if not self.sink.keeps_offsets:
            return await super().settled(starts, told)
        found = await super().settled(starts, {})
        for tp, at in found.items():
            if starts[tp] is None and at > 0:
                self._emptied(self.bare(tp), at, told.get(tp, 0))
        return found

    def _emptied(self, tp: TP, beginning: int, told: int) -> None:
        name = f"{tp.topic}/{tp.partition}"
        if told and self.settings.on_lost == "stop":
            raise Misconfigured(
                f"{self.role.name} has read {name} up to offset {told}, its group says, but the receiver has nothing of it "
                f"and the log begins at {beginning}: it was emptied; restore a copy of it, or run `netcenter rebuild`, which "
                "takes what is still there and says what is lost"
            )
        self.log.error("the receiver begins behind what retention has deleted", partition=name, last=beginning - 1)

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
        self._make_room()
        self._revoked.set()
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
        found = decoded(self.pipeline, tp.topic, tp.partition, records, self.partitions(tp.topic))
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
            self._make_room()
            if batch:
                self._idle.clear()
                # A task of its own: at a stop this one is cancelled, and that one ends what it has begun.
                self._writing = asyncio.create_task(self._write(batch))
                self._writing.add_done_callback(lambda _: self._idle.set())
                await asyncio.shield(self._writing)

    def _make_room(self) -> None:
        if self._count() < _MOST_WAITING:
            self._room.set()

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
        assignment = self._assignment
        # Before the receiver's own offsets pass it: whoever starts behind them sees it no more.
        await self._set_all_aside(batch, [refused for waiting in batch for refused in _unreadable(waiting)])
        try:
            refused: list[Refused] = await self._persist(lambda: self.sink.write(items), "a write", assignment)
        except _Outdated:
            return
        except Rewound as error:
            await self._go_back(str(error))
            return
        await self._set_all_aside(batch, refused)
        for waiting in batch:
            if waiting.tp in self._owned:
                self._applied[waiting.tp] = waiting.items[-1].offset
                self._times[waiting.tp] = max(waiting.time, self._times.get(waiting.tp, 0))
        metrics.FACTS.labels(self.role.name).inc(len(items))
        metrics.SINK_SECONDS.labels(self.role.name).observe(wall.monotonic() - started)
        self._bear(batch, refused)

    def _bear(self, batch: list[_Waiting], refused: list[Refused]) -> None:
        """Hold what was set aside against what was written. Raises Stop above the limit, when all dead letters are there."""
        bad = {(one.item.topic, one.item.partition, one.item.offset) for one in refused}
        for waiting in batch:
            limit = self._limits.get(waiting.tp)
            if limit is None or not (bad or waiting.wrong or limit):
                continue
            counted = [item for item in waiting.items if type(item.record) not in KEYLESS]
            places = (
                n
                for n, item in enumerate(counted)
                if item.offset in waiting.wrong or (item.topic, item.partition, item.offset) in bad
            )
            limit.took(len(counted), places)
            self.many_set_aside(limit, limit.name)
            if limit.reached:
                raise limit.stop()

    async def _go_back(self, why: str) -> None:
        """The receiver was put back: have everything assigned anew, and read on from where it says it stands."""
        self.log.error("the receiver has lost what it had; reading on from its own offsets", why=why)
        self.rebalancing = True
        self._owned = set()
        self._waiting = []
        self._make_room()
        await self.app.consumer.rejoin()

    async def _set_all_aside(self, batch: list[_Waiting], refused: list[Refused]) -> None:
        if not refused:
            return
        by_place = {
            (item.topic, item.partition, item.offset): (raw, item)
            for waiting in batch
            for raw, item in zip(waiting.raw, waiting.items, strict=True)
        }
        for one in refused:
            raw, _ = by_place[one.item.topic, one.item.partition, one.item.offset]
            await self._set_aside(raw, one.item, one.stage, one.error, one.message)

    async def _set_aside(self, r: Any, item: Item, stage: str, error: str, message: str) -> None:
        name = f"{item.topic}/{item.partition}"
        if item.topic.endswith(".dead"):
            raise Stop(f"{name}: the dead letter at offset {item.offset} itself was refused: {error}: {message}")
        metrics.DEAD_LETTERS.labels(self.role.name, stage).inc()
        self.log.warning("set aside", partition=name, offset=item.offset, stage=stage, error=error, why=message)
        head = dead_letter_headers(item.topic, item.partition, item.offset, stage, error, message)
        while True:
            try:
                await self._append_letter(r, item, [*r.headers, *head])
                return
            except KafkaError as failure:
                # The receiver has moved past it: whoever starts again would not come by here.
                await first(_LETTER_S, self._done)
                if self._done.is_set() or not failure.retriable:
                    raise translate(failure, f"{name}: writing a dead letter") from failure

    async def _append_letter(self, r: Any, item: Item, headers: Any) -> None:
        if self._producer is None:
            raise Stop(f"{item.topic}/{item.partition}: no producer for dead letters")
        await self._producer.send_and_wait(
            self.topic(f"{item.topic}.dead"), value=r.value, key=r.key, partition=item.partition, headers=headers
        )

    def hints(self) -> dict[TP, Hint]:
        """What is written, and for a receiver without offsets of its own the place to start again."""
        for tp, offset in self._applied.items():
            metrics.APPLIED.labels(self.role.name, f"{tp.topic}/{tp.partition}").set(offset)
        return {tp: Hint(offset + 1, self._times.get(tp, 0)) for tp, offset in self._applied.items()}

    async def let_go(self) -> None:
        """Finish the write under way, tell the group, close."""
        self._waiting = []
        self._done.set()
        if self._writing is not None:
            await asyncio.wait([self._writing])
            error = self._writing.exception()
            if error is not None:
                self.fail(error)
        hints = self.hints()
        if hints and not self.rebalancing:
            try:
                await self.tell(hints)
            except KafkaError as error:
                self.log.warning("offsets not told; the last write may be done again", why=type(error).__name__)
        # What was left in the middle holds the sink.
        await first(1.0, apart(self.sink.close, f"{self.role.name}: closing"))
        if self._producer is not None:
            await self._producer.stop()
