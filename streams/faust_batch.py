"""Batch delivery on Faust 0.15: one Faust message per partition and poll, carrying the raw records.

Faust gives membership, fetching, agents and supervision. State, changelog, recovery, time and offsets are ours: the
Consumer here never commits; it asks its owner where each partition starts and tells it what is taken away.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import faust
import mode
from aiokafka import TopicPartition
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.errors import StreamError
from streams.raw_records import CHUNK
from streams.topics_seen import Seen, topics_seen

_GATHER_S = 0.02
"""Seconds in which records may gather when few come: each fetch, call and request costs as much for one as for many."""


#: Records of one fetch at most, of all partitions together.
POLL = 8 * CHUNK


class Owner(Protocol):
    """Who decides where a partition starts and what happens when it goes."""

    behind: bool
    """Whether the last fetch brought so much that more must wait."""

    def stuck(self) -> float:
        """Seconds since the owner's loop took its last turn; asked from another thread."""
        ...

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Own these partitions, of which there may be none; the offset to read next, None where nothing is known."""
        ...

    async def settled(self, starts: dict[TP, int | None], told: dict[TP, int]) -> dict[TP, int]:
        """The offset at which each is read, of what `assigned` said and of what the group was told last."""
        ...

    async def out_of_range(self, positions: dict[TP, int]) -> dict[TP, int]:
        """These positions are not in the log, the broker says; where to go on, nothing for a partition that must not."""
        ...

    async def revoked(self, partitions: set[TP]) -> None:
        """Seal and let go of these partitions."""
        ...

    def fail(self, error: BaseException) -> None:
        """End, because of this."""
        ...


@dataclass(frozen=True)
class Standing:
    """A worker's place in its group."""

    member: bool
    """Whether the coordinator knows it, as far as this worker knows."""
    reachable: bool
    """Whether a coordinator is known and connected."""
    silent: float
    """Seconds since the coordinator last said that all is well."""
    failure: BaseException | None
    """Why nobody looks after the membership any more: aiokafka waits for a poll to tell it, which may never come."""


class _OwnLoop(SubscriptionState):  # type: ignore[misc]
    """Takes a worker for stuck when its loop is, not when it does not poll.

    aiokafka leaves the group for a consumer that has not polled for `max_poll_interval`, and joins again when it polls.
    A standby without partitions does not poll, and nor does a worker that waits for a receiver or a policy.
    """

    def __init__(self, stuck: Callable[[], float], loop: Any) -> None:
        super().__init__(loop=loop)
        self._stuck = stuck

    @property
    def fetcher_idle_time(self) -> float:
        """Seconds without a sign of life."""
        return self._stuck()


class RawSchema(Schema):  # type: ignore[misc]
    """No decoding: an event's value is the list of raw records."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Any]:
        """The decoder that Faust calls for each message."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, None, message)

        return decode


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only, and keeps partitions where they are when workers come and go."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        # Without tables Faust takes round robin, which reshuffles everything at every join, and read_uncommitted.
        driver_assignor = driver.RoundRobinPartitionAssignor
        driver.RoundRobinPartitionAssignor = StickyPartitionAssignor
        self.consumer.in_transaction = True
        try:
            consumer = super()._create_worker_consumer(transport)
        finally:
            driver.RoundRobinPartitionAssignor = driver_assignor
            self.consumer.in_transaction = False
        consumer._subscription = _OwnLoop(self.app.owner.stuck, consumer._loop)
        return consumer

    async def on_start(self) -> None:
        """Also: remember when the coordinator was last heard."""
        await super().on_start()
        self.heard = time.monotonic()
        coordinator = self._ensure_consumer()._coordinator
        beat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            well = bool(await beat())
            if well:
                self.heard = time.monotonic()
            return well

        coordinator._do_heartbeat = heartbeat

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """A join is heard too: no heartbeats are sent while it lasts."""
        self.heard = time.monotonic()
        await super().on_partitions_assigned(assigned, generation_id)

    def standing(self) -> Standing | None:
        """None before the consumer has started."""
        coordinator = self._consumer._coordinator if self._consumer is not None else None
        if coordinator is None or not hasattr(self, "heard"):
            return None
        task, failure = coordinator._coordination_task, coordinator._pending_exception
        if failure is None and task.done() and not task.cancelled():
            failure = task.exception()
        return Standing(
            coordinator.generation > 0,
            coordinator.coordinator_id is not None,
            time.monotonic() - self.heard,
            failure,
        )


class Consumer(driver.Consumer):
    """Yields one ConsumerMessage per partition and poll; offset is that of its last record."""

    owner: Owner
    _few = False
    """Whether the last fetch brought few records."""
    _term = 0
    """Counts revocations: what was begun before one is of no use after it."""
    _sought = -1
    """The term in which every partition stands where its owner said."""

    def _new_consumer_thread(self) -> ConsumerThread:
        self.owner = self.app.owner
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch; records that come while the flow is stopped are dropped, for the next assignment seeks anyway."""
        if self._few:
            await asyncio.sleep(_GATHER_S)
        try:
            records, active = await self._wait_next_records(timeout)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            if self._sought != self._term:
                # aiokafka tries the group's offset before the owner has said where to read: nobody asked for that.
                await asyncio.sleep(_GATHER_S)
                return
            await self._out_of_range({TP(tp.topic, tp.partition): at for tp, at in error.args[0].items()})
            return
        count = sum(map(len, records.values())) if records is not None else 0
        self._few, self.owner.behind = 0 < count < CHUNK, count >= 2 * CHUNK
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop or self._sought != self._term:
            return
        for raw_tp, found in records.items():
            tp = TP(raw_tp.topic, raw_tp.partition)
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            for start in range(0, len(found), CHUNK):
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                part = found[start : start + CHUNK]
                last = part[-1]
                # Without generation_id a stream drops the message.
                yield (
                    tp,
                    ConsumerMessage(
                        tp.topic,
                        tp.partition,
                        last.offset,
                        last.timestamp / 1000.0,
                        last.timestamp_type,
                        None,
                        None,
                        part,
                        None,
                        0,
                        0,
                        tp,
                        generation_id=generation,
                    ),
                )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets are ours: a batch's jump is no gap."""

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Nothing: the owner's checkpoints hold the offsets."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: the owner's heartbeat tells whether the worker lives."""

    async def _out_of_range(self, positions: dict[TP, int]) -> None:
        term = self._term
        found = await self.owner.out_of_range(positions)
        if term == self._term:
            for tp, at in found.items():
                await self._go_to(tp, at)
        if found.keys() != positions.keys():
            await asyncio.sleep(1.0)  # the owner ends: until then the broker would say the same at each poll

    async def perform_seek(self) -> None:
        """Called once an assignment is complete and before anything is read from it."""
        term, generation = self._term, self.app.consumer_generation_id
        partitions = {TP(tp.topic, tp.partition) for tp in self.assignment()}
        try:
            starts = await self.owner.assigned(partitions)
            found = await self.owner.settled(starts, await self._told(partitions)) if partitions else {}
        except (StreamError, KafkaError) as error:
            # Raised from here it would come out of Faust's recovery, with its whole way there.
            self.owner.fail(error)
            return
        if term != self._term or generation != self.app.consumer_generation_id:
            return
        for tp, at in found.items():
            await self._go_to(tp, at)
        self._sought = term

    async def _go_to(self, tp: TP, at: int) -> None:
        try:
            await self._seek(tp, at)
        except IllegalStateError:
            return  # taken away meanwhile: the next assignment is on its way, and seeks anew
        self._read_offset[tp] = None
        self._committed_offset[tp] = at

    async def _told(self, partitions: set[TP]) -> dict[TP, int]:
        """The offset that the group was told last, of each partition that has one."""
        coordinator = self._thread._ensure_consumer()._coordinator
        wanted = [TopicPartition(tp.topic, tp.partition) for tp in partitions]
        found = await self._thread.call_thread(coordinator.fetch_committed_offsets, wanted)
        return {TP(tp.topic, tp.partition): at.offset for tp, at in found.items()}

    async def topics_seen(self, names: Collection[str]) -> dict[str, Seen]:
        """As `topics_seen.topics_seen`."""
        return cast(
            dict[str, Seen], await self._thread.call_thread(topics_seen, self._thread._ensure_consumer()._client, names)
        )

    def standing(self) -> Standing | None:
        """Its place in the group; None before it has started."""
        return cast(ConsumerThread, self._thread).standing()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow (Faust's part), then seal (ours) before another worker may own them."""
        self._term += 1
        await super().on_partitions_revoked(revoked)
        try:
            await self.owner.revoked({TP(tp.topic, tp.partition) for tp in revoked})
        except Exception as error:  # noqa: BLE001 - aiokafka would log it, and go on
            self.owner.fail(error)

    async def tell(self, offsets: dict[TP, tuple[int, str]]) -> None:
        """Commit (next offset, metadata) for the group: a hint for people and for `lag`."""
        consumer = self._thread._ensure_consumer()
        await self._thread.call_thread(
            consumer.commit, {TopicPartition(tp.topic, tp.partition): hint for tp, hint in offsets.items()}
        )

    async def rejoin(self) -> None:
        """Have every partition assigned anew: each then starts where its owner says."""
        consumer = self._thread._ensure_consumer()

        async def ask() -> None:
            consumer._coordinator.request_rejoin()

        await self._thread.call_thread(ask)


class Transport(driver.Transport):
    """Names our Consumer."""

    Consumer = Consumer


class PatientRecovery(Recovery):
    """Upstream ends recovery silently and for ever when a step exceeds its timeout; opening partitions may be long."""

    async def _wait(self, coro: Any, timeout: float | None = None) -> None:
        await super()._wait(coro, timeout=None)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """Upstream seeks only where something is assigned; a standby's owner must hear that it has nothing."""
        consumer = self.app.consumer
        if self.app.consumer_generation_id == generation_id and not consumer.assignment():
            await self._wait(consumer.perform_seek())
        await super()._resume_streams(generation_id)


class PatientTableManager(TableManager):
    """Names our Recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


def rebalance_s(session_s: float) -> float:
    """Seconds that the group waits for a member to join again."""
    return max(session_s, 20.0)


def make_app(
    group: str, bootstrap: str, owner: Owner, *, client: str, session_s: float, heartbeat_s: float, stuck_s: float
) -> faust.App:
    """A Faust App for one consumer group; one per process, for the group id is the App's id.

    client: the name by which the group's coordinator knows this member. stuck_s: how long the owner's loop may take no
    turn before it leaves the group.
    """
    first, *others = bootstrap.split(",")
    app = faust.App(
        group,
        env={},  # else BROKER_URL, TABLE_STANDBY_REPLICAS and some ninety more in the environment go before all below
        broker=";".join(f"kafka://{server}" for server in (first, *others)),
        store="memory://",
        table_standby_replicas=0,  # with any, Faust takes its own assignor whatever we name
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir=Path(tempfile.gettempdir()) / "netcenter-faust",  # without tables nothing stands there
        stream_wait_empty=False,
        stream_buffer_maxsize=16,
        broker_client_id=client,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=heartbeat_s,
        broker_rebalance_timeout=rebalance_s(session_s),
        broker_max_poll_interval=stuck_s,
        broker_max_poll_records=POLL,
        broker_check_crcs=True,
        consumer_auto_offset_reset="none",  # a position that is not in the log is for the owner to judge
        agent_supervisor=mode.CrashingSupervisor,
        TableManager=PatientTableManager,
        loghandlers=[],
        logging_config={"version": 1, "disable_existing_loggers": False},
    )
    app.owner = owner
    app.transport = Transport(app.conf.broker_consumer, app)
    return app


def batches(app: faust.App, topic: str, maxsize: int) -> Any:
    """A topic whose agent gets one event per fetched batch; at most `maxsize` of them wait."""
    return app.topic(topic, schema=RawSchema(), maxsize=maxsize)
