"""One inbox partition of a deciding role over Kafka: its fenced transaction, its checkpoints, its recovery."""

from __future__ import annotations

import asyncio
import time as wall
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import cache
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    ProducerFenced,
    RequestTimedOutError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas import codec, headers
from schemas.codec import WireError
from schemas.keys import KEYLESS
from schemas.records import ClassifiedMention, PolicyChanged, Record, Tick
from streams import metrics
from streams.batch import BatchCore
from streams.core import Fact, Output, Progress, SetAside
from streams.deadletters import DeadLetterLimit, dead_letter_headers
from streams.errors import Fenced, Stop, Unavailable
from streams.fold import FoldCore
from streams.intake import Intake
from streams.partitioner import partitions_of
from streams.shapes import Topic

#: The key of the changelog's progress record: no state key begins with NUL.
PROGRESS = b"\x00progress"
TRANSACTION_TIMEOUT_MS = 10_000
_BATCH_BYTES = 262_144
_REQUEST_BYTES = 4 << 20
_SEAL_DEADLINE_S = 5.0
_MOST_WAITING = 16
"""Batches that wait for a partition that is busy sealing."""
_SEND_S = 0.1
"""How long what is no full batch waits for more, when the checkpoint does not come before."""
_BEHIND = 4
"""How many times its interval a checkpoint may last while more waits."""
#: Records of a changelog handled before the loop goes on: heartbeats and health come in between.
_READ_AT_ONCE, _RESTORED_AT_ONCE = 2_000, 500
#: Records of an outbox's tail that are looked at first; then twice as many.
_TAIL = 8_192
#: Where a record's own time stands: the first of these that it has.
_TIMES = ("time", "created_at", "observed_at", "minute", "at")


def translate(error: BaseException, doing: str) -> Exception:
    """A Kafka client's error as one of ours: who was fenced must go, who lost the broker must wait for it."""
    if isinstance(error, (ProducerFenced, InvalidProducerEpoch)):
        return Fenced(f"{doing}: another worker owns it now ({type(error).__name__})")
    if isinstance(
        error, (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, ConnectionError, asyncio.TimeoutError)
    ):
        return Unavailable(f"{doing}: Kafka does not answer ({type(error).__name__})")
    if isinstance(error, KafkaError) and getattr(error, "retriable", False):
        return Unavailable(f"{doing}: {type(error).__name__}")
    return Stop(f"{doing}: {type(error).__name__}: {error}")


class _Filling:
    """A batch that is being filled. aiokafka's own append costs as much again as what it calls."""

    __slots__ = ("append", "batch", "count")

    def __init__(self, batch: BatchBuilder) -> None:
        self.batch = batch
        self.append = batch._builder.append
        """Takes (place in the batch, time or None, key, value, headers); None when there is no room."""
        self.count = 0

    def close(self) -> BatchBuilder:
        """The batch, to be sent."""
        self.batch._relative_offset = self.count
        self.batch.close()
        return self.batch


class Outbox:
    """The batches of the open transaction, one per topic partition."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self._open: dict[tuple[str, int], _Filling] = {}
        self._full: list[tuple[str, int, _Filling]] = []
        self._sent: list[tuple[str, int, int, asyncio.Future[Any]]] = []

    def add(self, topic: str, partition: int, key: bytes | None, value: bytes | None, head: headers.Headers) -> None:
        """Append a record; nothing is sent before `send`."""
        filling = self._open.get((topic, partition))
        if filling is not None:
            if filling.append(filling.count, None, key, value, head) is not None:
                filling.count += 1
                return
            self._full.append((topic, partition, filling))
        filling = self._open[topic, partition] = _Filling(self.producer.create_batch())
        if filling.append(0, None, key, value, head) is None:
            raise Stop(f"a record of {len(value or b'')} bytes for {topic}/{partition} fits no batch")
        filling.count = 1

    async def send(self, *, full: bool) -> None:
        """Send the batches that are full, or all, without waiting for the broker's answer."""
        if not full:
            self._full += [(topic, partition, filling) for (topic, partition), filling in self._open.items()]
            self._open = {}
        ready, self._full = self._full, []
        for topic, partition, filling in ready:
            try:
                future = await self.producer.send_batch(filling.close(), topic, partition=partition)
            except IllegalOperation:
                # The transaction has failed with an earlier batch, whose own error says why.
                await asyncio.gather(*(future for *_, future in self._sent))
                raise
            # Looked at in `delivered`; a transaction that is thrown away asks no more.
            future.add_done_callback(lambda sent: sent.cancelled() or sent.exception())
            self._sent.append((topic, partition, filling.count, future))

    async def delivered(self) -> dict[tuple[str, int], int]:
        """Wait until the broker has everything: the offset after the last record by topic partition.

        Raises if it refused anything.
        """
        await self.send(full=False)
        sent, self._sent = self._sent, []
        found = await asyncio.gather(*(future for *_, future in sent))
        return {(topic, n): metadata.offset + count for (topic, n, count, _), metadata in zip(sent, found, strict=True)}


class Partition:
    """Owns one inbox partition from assignment to revocation."""

    def __init__(self, make_core: Callable[[], FoldCore | BatchCore], runtime: Any) -> None:
        self.make_core = make_core
        core = self.core = make_core()
        self.runtime = runtime
        """The DecidingWorker: names, settings, policies, readers."""
        self.inbox: Topic = core.pipeline.topic(core.role.inbox)
        self.number = core.number
        self.name = f"{self.inbox.name}/{self.number}"
        self.lock = asyncio.Lock()
        self.open = False
        """Whether a transaction is open."""
        self.since = self.sent = self.busy = 0.0
        self.facts = 0
        self.sealed = -1
        self.sealed_time = 0
        self.anchor = -1
        """End of the changelog as this worker's own recovery or last commit left it."""
        self.limit = DeadLetterLimit(self.name, runtime.settings.dead_share, runtime.settings.dead_window)
        self._intake = Intake(self.inbox, self.number, runtime.partitions(self.inbox.name))
        self._ways = {name: self._way(name) for name in core.role.writes}
        """(name on the broker, partitions, whether records carry headers) by a topic's own name."""
        self.producer: AIOKafkaProducer | None = None
        self.outbox: Outbox | None = None
        self._pack_progress, self._unpack_progress = codec.state_codec(Progress)
        self.heard: dict[tuple[str, int], float] = {}
        self._waiting: asyncio.Queue[list[Any]] = asyncio.Queue(_MOST_WAITING)
        self._worker: asyncio.Task[None] | None = None

    def _way(self, name: str) -> tuple[str, int, bool]:
        runtime = self.runtime
        return runtime.topic(name), runtime.partitions(name), self.core.pipeline.topic(name).wire.headers

    # --- owning ---------------------------------------------------------------------------------------------

    async def own(self) -> None:
        """Fence the last owner, then stand where the changelog says: from memory if nobody was here since."""
        settings = self.runtime.settings
        self.heard.clear()
        self.busy = wall.monotonic()
        try:
            self.producer = AIOKafkaProducer(
                bootstrap_servers=settings.kafka,
                transactional_id=f"{self.runtime.group}-{self.number}",
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
                max_batch_size=_BATCH_BYTES,
                max_request_size=_REQUEST_BYTES,
                linger_ms=0,
                request_timeout_ms=TRANSACTION_TIMEOUT_MS,
            )
            await self.producer.start()
            self.outbox = Outbox(self.producer)
            await self._recover()
            # A new queue: what an earlier assignment left waiting will be read again.
            self._waiting = asyncio.Queue(_MOST_WAITING)
            self._worker = asyncio.create_task(self._work(self._waiting))
        except KafkaError as error:
            raise translate(error, f"{self.name}: opening") from error

    async def _recover(self) -> None:
        started = wall.monotonic()
        changelog = TopicPartition(self.runtime.topic(self.core.role.changelog), self.number)
        async with self.runtime.reader() as reader:
            end = (await reader.end_offsets([changelog]))[changelog]
            if end == self.anchor:
                return
            if self.anchor >= 0:
                self.core = self.make_core()  # somebody else was here since: what is in memory is old
            newest = await _read(reader, changelog, end)
            progress = newest.pop(PROGRESS.decode(), None)
            if progress is not None:
                stood = self._unpack_progress(progress)
                if stood.policy:
                    await self.runtime.policies.ensure(stood.policy, stood.policy_hash)
                self.core.resume(stood)
            for number, (key, value) in enumerate(newest.items()):
                self.core.restore(key, value)
                if number % _RESTORED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if isinstance(self.core, BatchCore):
                await self._recall(reader, self.core)
            self.anchor = end
        self.sealed, self.sealed_time = self.core.applied, self.core.clock.time
        took = wall.monotonic() - started
        metrics.RECOVERY_SECONDS.labels(self.core.role.name).observe(took)
        self.runtime.log.info(
            "partition recovered",
            partition=self.name,
            records=len(newest),
            applied=self.core.applied,
            seconds=round(took, 2),
        )

    async def _recall(self, reader: AIOKafkaConsumer, core: BatchCore) -> None:
        """The tail of the outbox partition: recent ids and the open minute."""
        tail = TopicPartition(self.runtime.topic(core.outbox), self.number)
        end = (await reader.end_offsets([tail]))[tail]
        first = (await reader.beginning_offsets([tail]))[tail]
        if first < end:
            await _tell(reader, tail, first, end, core)
        core.stage.tick(core.clock.time)  # what a minute that has ended told is written: it must not be told again

    async def release(self, *, seal: bool) -> bool:
        """Seal what is open within the deadline, and let the producer go. True when all of it was sealed."""
        return await self._close(sealed=await self._sealed_in_time(seal))

    async def _stop_taking(self) -> None:
        # Under the lock no batch is half done: what waits for a policy, for the lock or for more can go.
        async with self.lock:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.cancel()
            # Whoever stands in `offer` goes on: what it brings will be read again by the next owner.
            while not self._waiting.empty():
                self._waiting.get_nowait()

    async def _sealed_in_time(self, seal: bool) -> bool:
        try:
            async with asyncio.timeout(_SEAL_DEADLINE_S):
                await self._stop_taking()
                if not seal:
                    return False
                await self.seal()
        except (TimeoutError, Stop, Unavailable, KafkaError) as error:
            self.runtime.log.warning(
                "not sealed, thrown away", partition=self.name, why=f"{type(error).__name__}: {error}"
            )
            return False
        return True

    async def _close(self, *, sealed: bool) -> bool:
        if self.producer is not None:
            producer, self.producer = self.producer, None
            try:
                await asyncio.wait_for(producer.stop(), 2.0)
            except (TimeoutError, KafkaError) as error:
                self.runtime.log.warning("producer not closed", partition=self.name, why=type(error).__name__)
        return sealed

    # --- facts -------------------------------------------------------------------------------------------------

    async def offer(self, records: list[Any]) -> None:
        """Queue a batch; waits while this partition has too many, and only then."""
        await self._waiting.put(records)

    async def _work(self, waiting: asyncio.Queue[list[Any]]) -> None:
        """Take batch after batch, so that a partition that seals or waits holds up no other."""
        try:
            while True:
                await self.take(await waiting.get())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the whole worker stops, and says why
            self.runtime.fail(error)

    async def take(self, records: list[Any]) -> None:
        """Handle a batch of raw records; those already applied are passed over."""
        applied = self.core.applied
        news = records if records[0].offset > applied else [r for r in records if r.offset > applied]
        facts, unreadable = self._intake.facts(news)
        for fact in facts:
            record = fact.record
            if type(record) is Tick:
                self.heard[record.role, record.partition] = wall.monotonic()
            elif type(record) is PolicyChanged:
                # Awaited before the lock is taken: what is open can be sealed meanwhile.
                await self.runtime.policies.ensure(record.version, record.hash)
        while news and await self._take(facts, news, unreadable):
            facts, applied = self.core.left, self.core.applied
            if not facts:
                break
            # Timers of one Tick are left: what has been fired is a checkpoint of its own.
            await self.seal()
            news = [r for r in news if r.offset > applied]
            unreadable = [aside for aside in unreadable if aside.fact.offset > applied]
        if self.facts >= self.runtime.settings.checkpoint_facts:
            await self.seal()

    async def _take(self, facts: list[Fact], news: list[Any], unreadable: list[SetAside]) -> bool:
        """Up to what the core leaves. False: the partition was taken away meanwhile, and its next owner reads them again."""
        async with self.lock:
            if self.producer is None:
                return False
            await self._begin()
            results, left = self.core.take(facts), self.core.left
            applied = self.core.applied = left[0].offset - 1 if left else news[-1].offset
            aside = [result for result in results if type(result) is SetAside]
            aside += [result for result in unreadable if result.fact.offset <= applied]
            if aside:
                raw = {r.offset: r for r in news}
                for result in aside:
                    self._set_aside(result, raw[result.fact.offset])
            self._write([result for result in results if type(result) is Output])
            taken = sum(r.offset <= applied for r in news) if left else len(news)
            self.limit.passed(taken)
            self.facts += taken
            self.busy = wall.monotonic()
            metrics.FACTS.labels(self.core.role.name).inc(taken)
            await self._send(full=True)
            return True

    async def _begin(self) -> None:
        if self.open:
            return
        if self.producer is None:
            raise Fenced(f"{self.name}: no longer ours")
        try:
            await self.producer.begin_transaction()
        except KafkaError as error:
            raise translate(error, f"{self.name}: beginning a transaction") from error
        self.open, self.facts = True, 0
        self.since = self.sent = wall.monotonic()

    async def _send(self, *, full: bool) -> None:
        if not full:
            self.sent = wall.monotonic()
        try:
            await self._outbox().send(full=full)
        except KafkaError as error:
            raise translate(error, f"{self.name}: sending") from error

    def _write(self, outputs: list[Output]) -> None:
        add, role, ways = self._outbox().add, self.core.role.name, self._ways
        place = b"%s/%d/" % (self.inbox.name.encode(), self.number)
        before: Record | None = None
        told: headers.Headers = []
        for output, partition in zip(outputs, self._places(outputs), strict=True):
            topic, _, carries = ways[output.topic]
            record = output.record
            head: headers.Headers = []
            if carries and type(record) not in KEYLESS:
                if record is not before:  # else another topic's copy: the same headers
                    fact = output.fact
                    source = b"%s%d" % (place, fact.offset if fact else self.core.applied)
                    told, before = (
                        headers.of(record, role, _time_of(record), source, fact.trace if fact else None),
                        record,
                    )
                head = told
            add(topic, partition, output.key, output.value, head)
        for name, count in Counter([output.topic for output in outputs]).items():
            metrics.OUTPUTS.labels(role, name).inc(count)

    def _places(self, outputs: list[Output]) -> list[int]:
        """The partition of each: its own, or that of its key, which most often is the key of a fact just decoded."""
        here, number, own, ways = self._intake.here, self.number, self._intake.partitions, self._ways
        places = [
            number if o.partition is None and o.key in here and ways[o.topic][1] == own else o.partition
            for o in outputs
        ]
        strays: dict[int, list[int]] = {}
        for n, place in enumerate(places):
            if place is None:
                strays.setdefault(ways[outputs[n].topic][1], []).append(n)
        for count, those in strays.items():
            for n, home in zip(those, partitions_of([outputs[n].key or b"" for n in those], count), strict=True):
                places[n] = home
        return places  # type: ignore[return-value]

    def _set_aside(self, aside: SetAside, r: Any) -> None:
        metrics.DEAD_LETTERS.labels(self.core.role.name, aside.stage).inc()
        self.runtime.log.warning(
            "set aside", partition=self.name, offset=r.offset, stage=aside.stage, error=aside.error, why=aside.message
        )
        head = dead_letter_headers(self.inbox.name, self.number, r.offset, aside.stage, aside.error, aside.message)
        value = r.value
        # A compacted or tombstoning reader must not take a null value for a deletion: it stays null, the headers say why.
        self._outbox().add(self.runtime.topic(self.inbox.dead.name), self.number, r.key, value, [*r.headers, *head])
        self.limit.failed()

    def _outbox(self) -> Outbox:
        if self.outbox is None:
            raise Fenced(f"{self.name}: no longer ours")
        return self.outbox

    async def append(self, record: Record) -> None:
        """Append a Tick or a WriterExcused of ours to this very inbox partition, and seal."""
        async with self.lock:
            await self._begin()
            self._outbox().add(self.runtime.topic(self.inbox.name), self.number, None, codec.encode(record), [])
        await self.seal()

    # --- checkpoints --------------------------------------------------------------------------------------------

    def due(self, now: float, interval: float, idle: float) -> bool:
        """Whether the open transaction should be sealed: at its interval, or earlier when nothing more comes.

        Later where more waits than is taken: nobody sees the difference then, and a changed record is written less
        often. That a partition rests means nothing there, for a fetch brings each in turn.
        """
        if not self.open:
            return False
        if self.runtime.behind:
            return now - self.since >= _BEHIND * interval
        return now - self.since >= interval or now - self.busy >= idle

    async def send_small(self, now: float) -> None:
        """Send what has waited for a full batch for too long; the checkpoint comes later."""
        if self.open and now - self.sent >= _SEND_S and not self.lock.locked():
            async with self.lock:
                if self.producer is not None:
                    await self._send(full=False)

    async def seal(self) -> None:
        """Outputs, changelog and progress become one; nothing when no transaction is open."""
        async with self.lock:
            if not self.open or self.producer is None:
                return
            started = wall.monotonic()
            self._write(self.core.ticks())
            changelog = self.runtime.topic(self.core.role.changelog)
            outbox = self._outbox()
            for key, value in self.core.packed():
                outbox.add(changelog, self.number, key.encode(), value, [])
            if isinstance(self.core, FoldCore):
                metrics.STATE.labels(self.core.role.name, str(self.number)).set(len(self.core.state))
                metrics.LEFT_OUT.labels(self.core.role.name, str(self.number)).set(self.core.state.left_out)
            outbox.add(changelog, self.number, PROGRESS, self._pack_progress(self.core.progress()), [])
            try:
                ends = await outbox.delivered()
                await self.producer.commit_transaction()
            except (KafkaError, ConnectionError) as error:
                raise translate(error, f"{self.name}: sealing a checkpoint") from error
            if isinstance(self.core, FoldCore):
                self.core.sealed()
            self.open = False
            self.anchor = ends[changelog, self.number] + 1  # the commit's marker
            self.sealed, self.sealed_time = self.core.applied, self.core.clock.time
            metrics.CHECKPOINT_SECONDS.labels(self.core.role.name).observe(wall.monotonic() - started)


def _time_of(record: Record) -> int:
    if type(record) is ClassifiedMention:
        record = record.mention
    name = _time_field(type(record))
    value = getattr(record, name) if name else None
    return max(0, min(int(value), headers.LAST)) if value is not None else 0


@cache
def _time_field(kind: type[Record]) -> str | None:
    return next((name for name in _TIMES if name in kind.__struct_fields__), None)


async def _read(reader: AIOKafkaConsumer, tp: TopicPartition, end: int) -> dict[str, bytes]:
    """The newest value by key of a compacted partition: the very objects that the state then keeps."""
    newest: dict[str, bytes] = {}
    reader.assign([tp])
    await reader.seek_to_beginning(tp)
    while await reader.position(tp) < end:
        for record in (await reader.getmany(tp, timeout_ms=200, max_records=_READ_AT_ONCE)).get(tp, ()):
            if record.value is None:
                newest.pop(record.key.decode(), None)
            else:
                newest[record.key.decode()] = record.value
        await asyncio.sleep(0)
    return newest


async def _tell(reader: AIOKafkaConsumer, tp: TopicPartition, first: int, end: int, core: BatchCore) -> None:
    """Give a core the tail of its outbox, from as far back as it needs; `first` and `end` are the log's."""
    since = core.stage.recalls(core.clock.time)
    start, back = end, _TAIL
    while start > first:
        start, before, back = max(first, start - back), start, 2 * back
        if await _told(reader, tp, start, before, since):
            break
    # What stands before the first Tick of a tail that does not begin with the log is not asked for.
    now = 0 if start == first else None
    async for record, offset in _outbox_records(reader, tp, start, end):
        if isinstance(record, Tick):
            now = record.time
        elif now is not None and not isinstance(record, PolicyChanged):
            core.recall(record, offset, now)


async def _told(reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int, time: int) -> bool:
    """Whether the first Tick of a stretch is of that time (ms) or before."""
    async with aclosing(_outbox_records(reader, tp, start, end)) as records:
        async for record, _ in records:
            if isinstance(record, Tick):
                return record.time <= time
    return False


async def _outbox_records(
    reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int
) -> AsyncGenerator[tuple[Record, int], None]:
    reader.assign([tp])
    reader.seek(tp, start)
    while await reader.position(tp) < end:
        for r in (await reader.getmany(tp, timeout_ms=200, max_records=50_000)).get(tp, ()):
            source = next((v for k, v in r.headers if k == headers.SOURCE), b"")
            with suppress(WireError, ValueError):  # what is not ours tells nothing
                yield codec.decode(r.value), int(source.rpartition(b"/")[2] or -1)
