"""One input topic partition of a deciding role over Kafka: its fenced transaction, its checkpoints, its recovery."""

from __future__ import annotations

import asyncio
import time as wall
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    ProducerFenced,
    RecordListTooLargeError,
    RequestTimedOutError,
    UnknownProducerId,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas import codec, headers
from schemas.codec import WireError
from schemas.keys import KEYLESS
from schemas.records import PolicyChanged, Record, Tick, WriterExcused
from streams import metrics
from streams.batch import BatchCore
from streams.clock import Writer
from streams.core import Fact, Output, Progress, SetAside
from streams.deadletters import DeadLetterLimit, dead_letter_headers
from streams.errors import Fenced, Misconfigured, Stop, Unavailable
from streams.fold import FoldCore
from streams.hints import NEVER
from streams.intake import Intake
from streams.partitioner import partitions_of
from streams.policies import WrongPolicy
from streams.topology import Topic

#: The key of the changelog's progress record: no state key begins with NUL.
PROGRESS = b"\x00progress"
TRANSACTION_TIMEOUT_MS = 10_000
_BATCH_BYTES = 262_144
_REQUEST_BYTES = 4 << 20
_SEAL_DEADLINE_S = 5.0
_AT_END_S = 1.0
"""Without a record for so long a partition has been read to its end."""
_MOST_WAITING = 16
"""Batches that wait for a partition that is busy sealing."""
_SEND_S = 0.1
"""How long what is no full batch waits for more, when the checkpoint does not come before."""
_BEHIND = 4
"""How many times its interval a checkpoint may last while more waits."""
#: Characters of a key that an error tells.
_KEY_TOLD = 100
#: Records of a changelog handled before the loop goes on: heartbeats and health come in between.
_READ_AT_ONCE, _RESTORED_AT_ONCE = 2_000, 500
#: Records of an output topic's tail that are looked at first; then twice as many.
_TAIL = 8_192
#: Where a record's own time stands: the first of these that it has.


#: What aiokafka raises where a transaction cannot go on: the last two, where it had failed before.
_REFUSALS = (KafkaError, ConnectionError, IllegalOperation, AssertionError)
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
#: What helps when a changelog is not whole.
RESTORE = "Restore it, or rebuild what the role knows: docs/lost_log.md"


def translate(error: BaseException, doing: str) -> Exception:
    """A Kafka client's error as one of ours: who was fenced must go, who lost the broker must wait for it."""
    if type(error) is KafkaError and isinstance(error.__cause__, KafkaError):
        error = error.__cause__  # "Unexpected error during batch delivery" and the like: what it came from says more
    if isinstance(error, (ProducerFenced, InvalidProducerEpoch)):
        return Fenced(f"{doing}: another worker owns it now ({type(error).__name__})")
    if isinstance(error, (InvalidProducerIdMapping, UnknownProducerId)):
        return Unavailable(
            f"{doing}: Kafka has forgotten this transactional id, as it does after transactional.id.expiration.ms without "
            f"a write ({type(error).__name__}): nothing is lost, starting over"
        )
    if isinstance(error, TOO_LARGE):
        return Stop(f"{doing}: too large for the topic: raise its max.message.bytes ({type(error).__name__})")
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
        self._sent: list[tuple[str, int, _Filling, asyncio.Future[Any]]] = []

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
            raise Stop(f"a record of {len(value or b'')} bytes for {topic}/{partition} fits no batch of {_BATCH_BYTES}")
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
                await self._answers(self._sent)
                raise
            # Looked at in `delivered`; a transaction that is thrown away asks no more.
            future.add_done_callback(lambda sent: sent.cancelled() or sent.exception())
            self._sent.append((topic, partition, filling, future))

    async def delivered(self) -> dict[tuple[str, int], int]:
        """Wait until the broker has everything: the offset after the last record by topic partition.

        Raises if it refused anything.
        """
        await self.send(full=False)
        sent, self._sent = self._sent, []
        found = await self._answers(sent)
        return {
            (topic, n): metadata.offset + filling.count
            for (topic, n, filling, _), metadata in zip(sent, found, strict=True)
        }

    async def _answers(self, sent: list[tuple[str, int, _Filling, asyncio.Future[Any]]]) -> list[Any]:
        try:
            return await asyncio.gather(*(future for *_, future in sent))
        except TOO_LARGE as error:
            for topic, n, filling, future in sent:
                if future.done() and isinstance(future.exception(), TOO_LARGE):
                    raise Stop(
                        f"{topic}/{n} does not take {filling.batch.size()} bytes in {filling.count} records: raise "
                        f"max.message.bytes of that topic, or delete it there ({type(error).__name__})"
                    ) from error
            raise


class Partition:
    """Owns one input topic partition from assignment to revocation."""

    def __init__(self, make_core: Callable[[], FoldCore | BatchCore], runtime: Any) -> None:
        self.make_core = make_core
        core = self.core = make_core()
        self.runtime = runtime
        """The DecidingWorker: names, settings, policies, readers."""
        self.input_topic: Topic = core.pipeline.topic(core.role.input_topic)
        self.number = core.number
        self.name = f"{self.input_topic.name}/{self.number}"
        self.lock = asyncio.Lock()
        self.open = False
        """Whether a transaction is open."""
        self.since = self.sent = self.busy = 0.0
        self.facts = 0
        self.sealed = -1
        self.sealed_time = 0
        self.sealed_due = 0
        """ms; as `Hint.due`."""
        self.anchor = -1
        """End of the changelog as this worker's own recovery or last commit left it."""
        settings = runtime.settings
        self.limit = DeadLetterLimit(self.name, self.input_topic.dead.name, settings.dead_share, settings.dead_window)
        self._wrong_at = -1
        """ms; the time at which a Tick was refused last: until it goes on, the others that are refused say nothing new."""
        self._intake = Intake(self.input_topic, self.number, runtime.partitions(self.input_topic.name))
        self._ways = {name: self._way(name) for name in core.role.writes}
        """(name on the broker, partitions, the records that carry CloudEvents headers) by a topic's own name."""
        self.producer: AIOKafkaProducer | None = None
        self.output_topic: Outbox | None = None
        self._pack_progress, self._unpack_progress = codec.state_codec(Progress)
        self.heard: dict[Writer, tuple[float, int]] = {}
        """When a writer was heard last: by this worker's clock (s), and by the broker's stamp (ms; 0: nothing was read yet)."""
        self.stamp = 0
        """ms; the broker's time of the newest record read."""
        self._waiting: asyncio.Queue[list[Any]] = asyncio.Queue(_MOST_WAITING)
        self._worker: asyncio.Task[None] | None = None

    def _way(self, name: str) -> tuple[str, int, frozenset[type[Record]]]:
        runtime = self.runtime
        return runtime.topic(name), runtime.partitions(name), self.core.pipeline.topic(name).carrying

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
            self.output_topic = Outbox(self.producer)
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
            first = (await reader.beginning_offsets([changelog]))[changelog]
            if first > 0:  # compaction alone keeps the newest of each key, and moves no beginning
                raise Misconfigured(
                    f"{self.core.role.changelog}/{self.number} begins at offset {first}: a part of what "
                    f"{self.core.role.name} remembers was deleted, as by a cleanup.policy other than compact. {RESTORE}"
                )
            if self.anchor >= 0:
                self.core = self.make_core()  # somebody else was here since: what is in memory is old
            newest = await _read(reader, changelog, end)
            progress = newest.pop(PROGRESS.decode(), None)
            if progress is not None:
                try:
                    stood = self._unpack_progress(progress)
                except msgspec.MsgspecError as error:
                    raise self._not_ours(PROGRESS.decode(), error) from None
                if stood.policy:
                    await self.runtime.policies.ensure(stood.policy, stood.policy_hash)
                self.core.resume(stood)
            for number, (key, value) in enumerate(newest.items()):
                try:
                    self.core.restore(key, value)
                except Exception as error:  # noqa: BLE001 - whatever bytes of somebody else lead to
                    raise self._not_ours(key, error) from None
                if number % _RESTORED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if isinstance(self.core, BatchCore):
                await self._recall(reader, self.core)
            self.anchor = end
        self._stands()
        took = wall.monotonic() - started
        metrics.RECOVERY_SECONDS.labels(self.core.role.name).observe(took)
        self.runtime.log.info(
            "partition recovered",
            partition=self.name,
            records=len(newest),
            applied=self.core.applied,
            seconds=round(took, 2),
        )

    def _not_ours(self, key: str, error: Exception) -> Misconfigured:
        return Misconfigured(
            f"{self.core.role.changelog}/{self.number} holds under the key {key[:_KEY_TOLD]!r} what {self.core.role.name} has not "
            f"written ({type(error).__name__}): find who writes there; if the key is not one of yours, write it again with a "
            f"null value, then start again. {RESTORE}"
        )

    async def _recall(self, reader: AIOKafkaConsumer, core: BatchCore) -> None:
        """The tail of the output topic partition: recent ids and the open minute."""
        tail = TopicPartition(self.runtime.topic(core.output_topic), self.number)
        end = (await reader.end_offsets([tail]))[tail]
        first = (await reader.beginning_offsets([tail]))[tail]
        if first < end:
            await _recall_tail(reader, tail, first, end, core)
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
        start = 0
        for n, fact in enumerate(facts):
            record = fact.record
            if type(record) is Tick:
                self.heard[record.role, record.partition] = wall.monotonic(), fact.stamp
            elif type(record) is PolicyChanged:
                # What stands before it does not wait for it.
                before = [r for r in news if r.offset < fact.offset]
                await self._handle(facts[start:n], before, [a for a in unreadable if a.fact.offset < fact.offset])
                start, news = n, news[len(before) :]
                unreadable = [a for a in unreadable if a.fact.offset > fact.offset]
                try:
                    holds = await self._changes(record, fact.offset)
                except WrongPolicy as error:
                    unreadable, holds = [SetAside(fact, "policy", "WrongPolicy", str(error)), *unreadable], False
                if not holds:
                    start = n + 1
        if news:
            self.stamp = news[-1].timestamp
        await self._handle(facts[start:], news, unreadable)
        if self.facts >= self.runtime.settings.checkpoint_facts:
            await self.seal()

    async def _changes(self, changed: PolicyChanged, offset: int) -> bool:
        """Whether a policy change holds; awaited without the lock: what is open can be sealed meanwhile."""
        try:
            if self.core.policy is None:  # nothing else could hold
                await self.runtime.policies.ensure(changed.version, changed.hash)
                return True
            holds: bool = await self.runtime.policies.changes(changed.version, changed.hash, self.core.policy.version)
        except Stop:
            await self.seal()
            raise
        if not holds:
            self.runtime.log.error(
                "policy passed over: it cannot be met here, and a newer one can",
                partition=self.name,
                offset=offset,
                policy=changed.version,
            )
        return holds

    async def _handle(self, facts: list[Fact], news: list[Any], unreadable: list[SetAside]) -> None:
        """All of it, but for what waits for time to be known: that is dropped, and read again then."""
        core, again = self.core, self.core.waits
        while news:
            # Without the lock: what is open is sealed meanwhile, and who takes the partition away need not wait.
            if isinstance(core, BatchCore) and (question := core.question(facts)) is not None:
                core.stage.answered(await self.runtime.asked(self.name, question))
            if not await self._take(facts, news, unreadable):
                return
            if core.halted is not None or self.limit.reached:
                await self.seal()
                raise core.halted or self.limit.stop()
            if core.waits:
                return
            if again:
                await self._read_again(news[0].offset)
                again = False
                continue
            facts, applied = core.left, core.applied
            if not facts:
                return
            # Timers of one Tick are left: what has been fired is a checkpoint of its own.
            await self.seal()
            news = [r for r in news if r.offset > applied]
            unreadable = [aside for aside in unreadable if aside.fact.offset > applied]

    async def _read_again(self, end: int) -> None:
        """Take what waited for time, from the log, up to an offset."""
        tp = TopicPartition(self.runtime.topic(self.input_topic.name), self.number)
        async with self.runtime.reader() as reader:
            reader.assign([tp])
            reader.seek(tp, self.core.applied + 1)
            while await reader.position(tp) < end:
                found = (await reader.getmany(tp, timeout_ms=200, max_records=_READ_AT_ONCE)).get(tp, ())
                waited = [r for r in found if r.offset < end]
                if waited:
                    await self.take(waited)

    async def _take(self, facts: list[Fact], news: list[Any], unreadable: list[SetAside]) -> bool:
        """Up to what the core leaves. False: the partition was taken away meanwhile, and its next owner reads them again."""
        async with self.lock:
            if self.producer is None:
                return False
            waited, before = self.core.waits, self.core.applied
            results, left = self.core.take(facts), self.core.left
            # What waited is still to be taken, before anything of this.
            applied = before if waited else left[0].offset - 1 if left else news[-1].offset
            self.core.applied, self.busy = applied, wall.monotonic()
            if applied == before and not results:
                return True
            await self._begin()
            aside = [result for result in results if type(result) is SetAside]
            aside += [result for result in unreadable if result.fact.offset <= applied]
            if aside:
                raw = {r.offset: r for r in news}
                for result in aside:
                    self._set_aside(result, raw[result.fact.offset])
            self._write([result for result in results if type(result) is Output])
            taken = sum(r.offset <= applied for r in news) if left else len(news)
            if aside or self.limit:
                self._count(facts, [r.offset for r in news[:taken]], {result.fact.offset for result in aside})
            self.facts += taken
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
        except _REFUSALS as error:
            raise self._told(error, "beginning a transaction") from error
        self.open, self.facts = True, 0
        self.since = self.sent = wall.monotonic()

    async def _send(self, *, full: bool) -> None:
        if not full:
            self.sent = wall.monotonic()
        try:
            await self._outbox().send(full=full)
        except _REFUSALS as error:
            raise self._told(error, "sending") from error

    def _told(self, error: BaseException, doing: str) -> Exception:
        """As `translate`; a transaction that Kafka ended for its age looks like one that another worker has ended."""
        if isinstance(error, (IllegalOperation, AssertionError)) and self.producer is not None:
            # What follows the failure of a transaction is refused in words of its own: the failure says more.
            failed = self.producer._txn_manager._transaction_waiter
            error = (failed.exception() if failed is not None and failed.done() else None) or error
        told, lasted = translate(error, f"{self.name}: {doing}"), wall.monotonic() - self.since
        if isinstance(told, Fenced) and self.open and lasted * 1000 >= TRANSACTION_TIMEOUT_MS:
            return Fenced(
                f"{self.name}: {doing}: the transaction was open for {lasted:.0f} s, and Kafka aborts one after "
                f"{TRANSACTION_TIMEOUT_MS // 1000} s: this worker was held up, or another worker owns it now; what it held "
                f"is done again ({type(error).__name__})"
            )
        return told

    def _write(self, outputs: list[Output]) -> None:
        add, role, ways = self._outbox().add, self.core.role.name, self._ways
        place, writer = b"%s/%d/" % (self.input_topic.name.encode(), self.number), self.runtime.group
        before: Record | None = None
        told: headers.Headers = []
        for output, partition in zip(outputs, self._places(outputs), strict=True):
            topic, _, carries = ways[output.topic]
            record = output.record
            head: headers.Headers = []
            if type(record) in carries:
                if record is not before:  # else another topic's copy: the same headers
                    fact = output.fact
                    source = b"%s%d" % (place, fact.offset if fact else self.core.applied)
                    told, before = (
                        headers.of(record, writer, headers.time_of(record), source, fact.trace if fact else None),
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
        log = self.runtime.log.warning
        if aside.stage == "clock":
            log = self.runtime.log.error if self.core.clock.time != self._wrong_at else self.runtime.log.debug
            self._wrong_at = self.core.clock.time
        log("set aside", partition=self.name, offset=r.offset, stage=aside.stage, error=aside.error, why=aside.message)
        head = dead_letter_headers(
            self.input_topic.name, self.number, r.offset, aside.stage, aside.error, aside.message
        )
        value = r.value
        # A compacted or tombstoning reader must not take a null value for a deletion: it stays null, the headers say why.
        self._outbox().add(
            self.runtime.topic(self.input_topic.dead.name), self.number, r.key, value, [*r.headers, *head]
        )

    def _count(self, facts: list[Fact], offsets: list[int], bad: set[int]) -> None:
        """Hold what was set aside against what went by; control records count on neither side."""
        control = {fact.offset for fact in facts if type(fact.record) in KEYLESS}
        counted = [offset for offset in offsets if offset not in control]
        self.limit.took(len(counted), [n for n, offset in enumerate(counted) if offset in bad])
        self.runtime.many_set_aside(self.limit, str(self.number))

    def _outbox(self) -> Outbox:
        if self.output_topic is None:
            raise Fenced(f"{self.name}: no longer ours")
        return self.output_topic

    async def append(self, record: Tick | WriterExcused) -> None:
        """Append a Tick or a WriterExcused of ours to this very input topic partition, and seal."""
        async with self.lock:
            await self._begin()
            head: headers.Headers = []
            if type(record) in self.input_topic.carrying:
                place = f"{self.input_topic.name}/{self.number}/{self.core.applied}"
                id = None if isinstance(record, Tick) else f"idle/{record.role}/{record.partition}/{place}".encode()
                head = headers.of(record, self.runtime.group, self.core.clock.time, None, id=id)
            self._outbox().add(self.runtime.topic(self.input_topic.name), self.number, None, codec.encode(record), head)
        await self.seal()

    def silence(self, writer: Writer, now: float) -> float:
        """Seconds for which a writer has said nothing.

        What is only read late is no silence: before the end of the log it must have been as long by the broker's stamps.
        """
        since, stamp = self.heard.setdefault(writer, (now, self.stamp))
        if not stamp and self.stamp:
            stamp = self.stamp
            self.heard[writer] = since, stamp
        if not self.open and now - self.busy > _AT_END_S:
            return now - since
        return min(now - since, (self.stamp - stamp) / 1000)

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

    def _stands(self) -> None:
        due = self.core.due()
        self.sealed, self.sealed_time = self.core.applied, self.core.clock.time
        self.sealed_due = NEVER if due is None else due

    async def seal(self) -> None:
        """Outputs, changelog and progress become one; nothing when no transaction is open."""
        sealing = asyncio.ensure_future(self._seal())
        sealing.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Whoever waits may be cancelled, the commit must not: a transaction that is half committed takes nothing more.
        await asyncio.shield(sealing)

    async def _seal(self) -> None:
        async with self.lock:
            if not self.open or self.producer is None:
                return
            started = wall.monotonic()
            self._write(self.core.ticks())
            changelog = self.runtime.topic(self.core.role.changelog)
            output_topic = self._outbox()
            for key, value in self.core.packed():
                output_topic.add(changelog, self.number, key.encode(), value, [])
            if isinstance(self.core, FoldCore):
                metrics.STATE.labels(self.core.role.name, str(self.number)).set(len(self.core.state))
                metrics.LEFT_OUT.labels(self.core.role.name, str(self.number)).set(self.core.state.left_out)
            output_topic.add(changelog, self.number, PROGRESS, self._pack_progress(self.core.progress()), [])
            try:
                ends = await output_topic.delivered()
                await self.producer.commit_transaction()
            except _REFUSALS as error:
                raise self._told(error, "sealing a checkpoint") from error
            if isinstance(self.core, FoldCore):
                self.core.sealed()
            self.open = False
            self.anchor = ends[changelog, self.number] + 1  # the commit's marker
            self._stands()
            metrics.CHECKPOINT_SECONDS.labels(self.core.role.name).observe(wall.monotonic() - started)


async def _read(reader: AIOKafkaConsumer, tp: TopicPartition, end: int) -> dict[str, bytes]:
    """The newest value by key of a compacted partition: the very objects that the state then keeps."""
    newest: dict[str, bytes] = {}
    reader.assign([tp])
    await reader.seek_to_beginning(tp)
    while await reader.position(tp) < end:
        for record in (await reader.getmany(tp, timeout_ms=200, max_records=_READ_AT_ONCE)).get(tp, ()):
            if record.value is None:
                newest.pop(record.key.decode("utf-8", "replace"), None)
            else:
                newest[record.key.decode("utf-8", "replace")] = record.value
        await asyncio.sleep(0)
    return newest


async def _recall_tail(reader: AIOKafkaConsumer, tp: TopicPartition, first: int, end: int, core: BatchCore) -> None:
    """Give a core the tail of its output topic, from as far back as it needs; `first` and `end` are the log's."""
    since = core.stage.recalls(core.clock.time)
    start, back = end, _TAIL
    while start > first:
        start, before, back = max(first, start - back), start, 2 * back
        if await _reaches(reader, tp, start, before, since):
            break
    # What stands before the first Tick of a tail that does not begin with the log is not asked for.
    now = 0 if start == first else None
    async for record, offset in _outbox_records(reader, tp, start, end):
        if isinstance(record, Tick):
            now = record.time
        elif now is not None and not isinstance(record, PolicyChanged):
            core.recall(record, offset, now)


async def _reaches(reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int, time: int) -> bool:
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
