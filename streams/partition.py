"""One input partition of a deciding role over Kafka: takes its batches in order, from assignment to revocation.

transaction.py writes, checkpoint.py commits, recovery.py recovers, partition_dead_letters.py writes dead letters.
"""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.records import PolicyChanged, SourceIdle, Tick
from streams import metrics
from streams.batch import BatchCore
from streams.checkpoint import Checkpoints, commit_due
from streams.core import DeadLetter, Fact, Output, Taken
from streams.dead_letter_limit import Log, limit_of
from streams.decoder import Decoder
from streams.errors import Fenced, Stop, Unavailable
from streams.fold import FoldCore
from streams.kafka_errors import translate
from streams.outputs import Add, OutputWriter
from streams.partition_dead_letters import PartitionDeadLetters
from streams.policies import Policies, WrongPolicy
from streams.rebalance_watch import RebalanceWatch
from streams.recovery import READ_AT_ONCE, recover
from streams.settings import WorkerSettings
from streams.transaction import Transaction
from streams.watermark import Writer

_COMMIT_DEADLINE_S = 5.0
_MOST_WAITING = 16
"""The most batches that wait for a partition that is busy with a commit."""
_SEND_S = 0.1
"""How long a batch that is not full waits for more records, unless a checkpoint comes before."""


class PartitionHost(Protocol):
    """The methods of the worker that a partition needs."""

    group: str
    settings: WorkerSettings
    policies: Policies
    log: Log
    rebalance: RebalanceWatch
    progress_form: int | None
    """The form in which progress records are written; None: the newest."""
    behind: bool
    """Whether the last fetch was so full that more records must be waiting."""

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        ...

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        ...

    def reader(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A consumer without a group that reads committed records; use it in a `with` statement."""
        ...

    async def written_end(self, tp: TopicPartition) -> int:
        """The offset after the last record of a partition, records of open transactions included."""
        ...

    async def answer(self, partition: str, question: Callable[[], Any]) -> Any:
        """The answer to a stage's question, which is asked until there is one."""
        ...

    def fail(self, error: BaseException) -> None:
        """Stops the worker because of this error."""
        ...


class _DecodedBatch(NamedTuple):
    """Raw records of the partition, the facts that were decoded from them, and the dead letters; each list in the order
    of offsets.
    """

    raw: list[Any]
    facts: list[Fact]
    dead: list[DeadLetter]

    def before(self, offset: int) -> _DecodedBatch:
        """The part before an offset."""
        return _DecodedBatch(
            [r for r in self.raw if r.offset < offset],
            [f for f in self.facts if f.offset < offset],
            [d for d in self.dead if d.fact.offset < offset],
        )

    def since(self, offset: int) -> _DecodedBatch:
        """The part from an offset on."""
        return _DecodedBatch(
            [r for r in self.raw if r.offset >= offset],
            [f for f in self.facts if f.offset >= offset],
            [d for d in self.dead if d.fact.offset >= offset],
        )


class OwnTicks:
    """What the owner of a partition has appended to it, where the records of several partitions come together in it."""

    __slots__ = ("at", "busy", "idle", "time")

    def __init__(self, idle: set[Writer] | None = None) -> None:
        self.time = 0
        """ms; of the last Tick that this owner has appended; 0: none yet."""
        self.at = 0.0
        """When it was appended (s of the monotonic clock)."""
        self.busy = wall.monotonic()
        """When records other than Ticks were last read (s of the monotonic clock)."""
        self.idle: set[Writer] = set() if idle is None else idle
        """The sources that are idle by what stands in the log."""


class Partition:
    """Owns one input partition from assignment to revocation. Its state stays in memory for the next assignment."""

    def __init__(self, make_core: Callable[[], FoldCore | BatchCore], host: PartitionHost) -> None:
        self.make_core, self.host = make_core, host
        core = self.core = make_core()
        role, topic, self.number = core.role, core.pipeline.topic(core.role.input_topic), core.number
        self.name = f"{topic.name}/{self.number}"
        self.lock = asyncio.Lock()
        """Held while the core or the open transaction changes."""
        self.busy = 0.0
        """When the last records were taken (s of the monotonic clock)."""
        self.own_ticks = OwnTicks()
        self.transaction = Transaction(self.name, host.settings.kafka, f"{host.group}-{self.number}")
        self.checkpoints = Checkpoints(role.name, self.number, host.topic(role.changelog), host.progress_form)
        signatures = host.settings.signatures
        self._decoder = Decoder(topic, self.number, host.partitions(topic.name), signatures)
        self._outputs = OutputWriter(core, self._decoder, host.group, host.topic, signatures)
        limit = limit_of(self.name, topic.dead.name, host.settings)
        self._dead = PartitionDeadLetters(role.name, topic, self.number, host.topic(topic.dead.name), limit, host.log)
        self._waiting: asyncio.Queue[list[Any]] = asyncio.Queue(_MOST_WAITING)
        self._taking: asyncio.Task[None] | None = None

    # --- owning ---------------------------------------------------------------------------------------------

    async def own(self) -> None:
        """Fences the last owner, recovers the state, and starts to take batches. Raises the errors of `errors.py`."""
        self.busy = wall.monotonic()
        self.transaction = Transaction(self.name, self.host.settings.kafka, f"{self.host.group}-{self.number}")
        watch = self.host.rebalance
        try:
            watch.step(self.name, "fencing its last owner")
            await self.transaction.start()
            await self._recover()
            self.own_ticks = OwnTicks(set(self.core.watermark.idle))
        except KafkaError as error:
            raise translate(error, f"{self.name}: opening") from error
        finally:
            watch.done(self.name)
        self._measure()
        # A new queue, because batches that an earlier assignment left in the old queue will be read again.
        self._waiting = asyncio.Queue(_MOST_WAITING)
        self._taking = asyncio.create_task(self._take_on(self._waiting))

    def _measure(self) -> None:
        """Sets the gauges of the partition, which another worker's checkpoints may have changed."""
        self.checkpoints.measure(self.core)
        self._dead.measure()

    async def _recover(self) -> None:
        started = wall.monotonic()
        found = await recover(self.core, self.checkpoints.changelog_end, self.make_core, self.host)
        self.core, self.checkpoints.changelog_end = found.core, found.changelog_end
        if found.records is None:
            return
        self.checkpoints.stands(self.core)
        took = wall.monotonic() - started
        metrics.RECOVERY_SECONDS.labels(self.core.role.name).observe(took)
        self.host.log.info(
            "partition recovered",
            partition=self.name,
            records=found.records,
            position=self.core.position,
            seconds=round(took, 2),
        )

    async def release(self, *, commit: bool) -> bool:
        """Hands the partition over. Returns True when everything that was taken is committed, so that the state in
        memory stays valid.

        1. Stop taking batches: the next owner reads the waiting batches again.
        2. Commit the open transaction, where `commit` says so, within a deadline.
        3. Close the producer, which aborts a transaction that is still open.
        """
        committed = await self._committed_in_time(commit)
        try:
            await self.transaction.stop()
        except (TimeoutError, KafkaError) as error:
            self.host.log.warning("producer not closed", partition=self.name, why=type(error).__name__)
        return committed

    async def _stop_taking(self) -> None:
        # While this method holds the lock, no batch is half done, so the task can be cancelled: it waits for a policy,
        # the lock or records.
        async with self.lock:
            taking, self._taking = self._taking, None
            if taking is not None:
                taking.cancel()
            # Wakes a caller of `offer` that waits for room.
            while not self._waiting.empty():
                self._waiting.get_nowait()

    async def _committed_in_time(self, commit: bool) -> bool:
        try:
            async with asyncio.timeout(_COMMIT_DEADLINE_S):
                await self._stop_taking()
                if not commit:
                    return False
                await self.commit()
        except (TimeoutError, Stop, Unavailable, KafkaError) as error:
            self.host.log.warning(
                "not committed, thrown away", partition=self.name, why=f"{type(error).__name__}: {error}"
            )
            return False
        return True

    # --- batches -----------------------------------------------------------------------------------------------

    async def offer(self, records: list[Any]) -> None:
        """Queues a batch of raw records; waits only while this partition has too many batches in its queue."""
        await self._waiting.put(records)

    async def _take_on(self, waiting: asyncio.Queue[list[Any]]) -> None:
        """Takes batch after batch in a task of its own, so that a partition that commits or waits does not delay other
        partitions.
        """
        try:
            while True:
                await self.take(await waiting.get())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the whole worker stops, and says why
            self.host.fail(error)

    async def take(self, records: list[Any]) -> None:
        """Handles a batch of raw records; records before the position were taken already and are skipped."""
        position = self.core.position
        raw = records if records[0].offset >= position else [r for r in records if r.offset >= position]
        batch = _DecodedBatch(raw, *self._decoder.facts(raw))
        ticks = 0
        for fact in batch.facts:
            record = fact.record
            if type(record) is Tick:
                ticks += 1
            elif type(record) is PolicyChanged:
                await self._handle(batch.before(fact.offset))  # these records do not wait for the policy
                batch = await self._met(record, fact, batch.since(fact.offset))
        if len(batch.facts) > ticks:
            self.own_ticks.busy = wall.monotonic()
        await self._handle(batch)
        if self.transaction.records >= self.host.settings.checkpoint_facts:
            await self.commit()

    async def _met(self, changed: PolicyChanged, fact: Fact, batch: _DecodedBatch) -> _DecodedBatch:
        """Waits for the new policy that the first fact names. Returns the batch, without this fact where the policy is
        skipped.
        """
        dead: list[DeadLetter] = []
        try:
            if await self._holds(changed, fact.offset):
                return batch
        except WrongPolicy as error:
            dead = [DeadLetter(fact, "policy", "WrongPolicy", str(error))]
        return batch._replace(facts=batch.facts[1:], dead=dead + batch.dead)

    async def _holds(self, changed: PolicyChanged, offset: int) -> bool:
        """Whether a policy change takes effect. Waits for its text without the lock, so that the open transaction can
        be committed.
        """
        try:
            in_force = None if self.core.policy is None else self.core.policy.version
            holds = await self.host.policies.changes(changed.version, changed.hash, in_force)
        except Stop:
            await self.commit()
            raise
        if not holds:
            self.host.log.error(
                "policy passed over: it cannot be met here, and a newer one can",
                partition=self.name,
                offset=offset,
                policy=changed.version,
            )
        return holds

    async def _handle(self, batch: _DecodedBatch) -> None:
        """Takes a batch, except for facts that wait for the first watermark: these are dropped, and read again
        later.
        """
        core, waited = self.core, self.core.waits_to_begin
        while batch.raw:
            # Wait without the lock, so that the open transaction can be committed and the partition handed over
            # meanwhile.
            if isinstance(core, BatchCore) and (question := core.question(batch.facts)) is not None:
                core.stage.answered(await self.host.answer(self.name, question))
            taken = await self._take(batch)
            if taken is None:
                return
            if self._dead.limit.reached:
                await self.commit()
                raise self._dead.limit.stop()
            if core.waits_to_begin:
                return
            if waited:
                await self._read_again(batch.raw[0].offset)
                waited = False
                continue
            if not taken.left:
                return
            # This Tick has more timers to fire: commit the timers that have fired as a checkpoint, then go on.
            await self.commit()
            batch = batch.since(core.position)._replace(facts=taken.left)

    async def _read_again(self, end: int) -> None:
        """Takes the records from the position up to an offset, which had waited for the first watermark."""
        tp = TopicPartition(self.host.topic(self.core.role.input_topic), self.number)
        async with self.host.reader() as reader:
            reader.assign([tp])
            reader.seek(tp, self.core.position)
            while await reader.position(tp) < end:
                found = (await reader.getmany(tp, timeout_ms=200, max_records=READ_AT_ONCE)).get(tp, ())
                waited = [r for r in found if r.offset < end]
                if waited:
                    await self.take(waited)

    async def _take(self, batch: _DecodedBatch) -> Taken | None:
        """Lets the core take a batch, and adds the outputs to the open transaction.

        None: the partition was taken away meanwhile, and its next owner reads the batch again.
        """
        async with self.lock:
            if not self.transaction.started:
                return None
            core, raw = self.core, batch.raw
            waited, before = core.waits_to_begin, core.position
            taken = core.take(batch.facts)
            left = taken.left
            # Facts that waited before this batch must be taken first.
            position = before if waited else left[0].offset if left else raw[-1].offset + 1
            core.position, self.busy = position, wall.monotonic()
            if position == before and not taken.results:
                return taken
            await self.transaction.begin()
            count = sum(r.offset < position for r in raw) if left else len(raw)
            self._write(taken, batch, position, count)
            self.transaction.records += count
            metrics.RECORDS_CONSUMED.labels(core.role.name).inc(count)
            await self.transaction.send(full=True)
            return taken

    def _write(self, taken: Taken, batch: _DecodedBatch, position: int, count: int) -> None:
        """Adds dead letters and outputs to the open transaction. count: how many raw records are before the position."""
        add = self.transaction.batches.add
        dead = [result for result in taken.results if type(result) is DeadLetter]
        dead += [letter for letter in batch.dead if letter.fact.offset < position]
        if dead:
            raw = {r.offset: r for r in batch.raw}
            for letter in dead:
                self._dead.write(letter, raw[letter.fact.offset], self.core.watermark.time, add)
        self._outputs.write([result for result in taken.results if type(result) is Output], add, position)
        if dead or self._dead.limit:
            self._dead.count(batch.facts, batch.raw[:count], dead)

    def put(self, record: Tick | SourceIdle, add: Add) -> None:
        """Gives a control record for this input partition itself to `add`, as it is written to Kafka."""
        self._outputs.append(record, add, self.core.position, self.core.watermark.time)

    async def append(self, records: Sequence[Tick | SourceIdle]) -> None:
        """Appends control records to this input partition itself, and commits: whoever no longer owns it cannot."""
        async with self.lock:
            await self.transaction.begin()
            for record in records:
                self.put(record, self.transaction.batches.add)
        await self.commit()

    # --- checkpoints --------------------------------------------------------------------------------------------

    def commit_due(self, now: float) -> bool:
        """Whether the open transaction should be committed, as `checkpoint.commit_due`. now: of the monotonic clock."""
        settings, rested = self.host.settings, now - self.busy
        interval, idle, backlog = settings.checkpoint_s, settings.idle_s, self.host.behind
        return commit_due(self.transaction, now, rested, interval=interval, idle=idle, backlog=backlog)

    async def send_small(self, now: float) -> None:
        """Sends batches that have waited too long for more records; the checkpoint comes later."""
        if self.transaction.open and now - self.transaction.sent >= _SEND_S and not self.lock.locked():
            async with self.lock:
                if self.transaction.started:
                    await self.transaction.send(full=False)

    async def commit(self) -> None:
        """Commits a checkpoint, as `Checkpoints.commit`; does nothing when no transaction is open."""
        committing = asyncio.ensure_future(self._commit())
        committing.add_done_callback(lambda done: done.cancelled() or done.exception())
        # The caller may be cancelled, the commit must not be: a transaction that is half committed takes no more
        # records.
        await asyncio.shield(committing)

    async def _commit(self) -> None:
        async with self.lock:
            if self.transaction.open and self.transaction.started:
                await self.checkpoints.commit(self.core, self.transaction, self._outputs)


async def append_if_owned(
    owned: Mapping[int, Partition], partition: Partition, records: Sequence[Tick | SourceIdle]
) -> None:
    """Appends control records to a partition; does nothing where it was taken away meanwhile. Raises Fenced where it is
    still among the owned partitions.
    """
    try:
        await partition.append(records)
    except Fenced:
        if partition in owned.values():
            raise
