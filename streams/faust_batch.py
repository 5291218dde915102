"""Batch delivery on Faust 0.15: one Faust message per partition and poll, carrying the raw records.

Faust gives membership, fetching, agents and supervision. State, changelog, recovery, time and offsets are ours: the
Consumer here never commits; it asks its owner where each partition starts and tells it what is taken away.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any, Protocol

import faust
import mode
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streams.raw_records import CHUNK

_GATHER_S = 0.02
"""Seconds in which records may gather when few come: each fetch, call and request costs as much for one as for many."""


#: Records of one fetch at most, of all partitions together.
POLL = 8 * CHUNK


class Owner(Protocol):
    """Who decides where a partition starts and what happens when it goes."""

    behind: bool
    """Whether the last fetch brought so much that more must wait."""

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Own these partitions; the offset to read next, None for the group's own or the beginning."""
        ...

    async def revoked(self, partitions: set[TP]) -> None:
        """Seal and let go of these partitions."""
        ...


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
        return consumer


class Consumer(driver.Consumer):
    """Yields one ConsumerMessage per partition and poll; offset is that of its last record."""

    owner: Owner
    _few = False
    """Whether the last fetch brought few records."""

    def _new_consumer_thread(self) -> ConsumerThread:
        self.owner = self.app.owner
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch; records that come while the flow is stopped are dropped, for the next assignment seeks anyway."""
        if self._few:
            await asyncio.sleep(_GATHER_S)
        records, active = await self._wait_next_records(timeout)
        count = sum(map(len, records.values())) if records is not None else 0
        self._few, self.owner.behind = 0 < count < CHUNK, count >= 2 * CHUNK
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
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

    async def perform_seek(self) -> None:
        """Called once an assignment is complete and before anything is read from it."""
        generation = self.app.consumer_generation_id
        partitions = {TP(tp.topic, tp.partition) for tp in self.assignment()}
        starts = await self.owner.assigned(partitions)
        if generation != self.app.consumer_generation_id:
            return
        committed = {TP(tp.topic, tp.partition): at for tp, at in (await self.seek_to_committed()).items()}
        for tp in partitions:
            at = starts.get(tp)
            if at is not None:
                await self._seek(tp, at)
            self._read_offset[tp] = None
            self._committed_offset[tp] = committed.get(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow (Faust's part), then seal (ours) before another worker may own them."""
        await super().on_partitions_revoked(revoked)
        await self.owner.revoked({TP(tp.topic, tp.partition) for tp in revoked})

    async def tell(self, offsets: dict[TP, tuple[int, str]]) -> None:
        """Commit (next offset, metadata) for the group: a hint for people and for `lag`."""
        consumer = self._thread._ensure_consumer()
        await self._thread.call_thread(
            consumer.commit, {TopicPartition(tp.topic, tp.partition): hint for tp, hint in offsets.items()}
        )

    async def told(self, partitions: Collection[TP]) -> dict[TP, int]:
        """The offsets that the group was told, of those partitions of which it was told any."""
        consumer = self._thread._ensure_consumer()
        found = {tp: await self._thread.call_thread(consumer.committed, TopicPartition(*tp)) for tp in partitions}
        return {tp: offset for tp, offset in found.items() if offset is not None}

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


class PatientTableManager(TableManager):
    """Names our Recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


def make_app(group: str, bootstrap: str, owner: Owner, *, session_s: float, heartbeat_s: float) -> faust.App:
    """A Faust App for one consumer group; one per process, for the group id is the App's id."""
    first, *others = bootstrap.split(",")
    app = faust.App(
        group,
        broker=";".join(f"kafka://{server}" for server in (first, *others)),
        store="memory://",
        table_standby_replicas=0,  # with any, Faust takes its own assignor whatever we name
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        datadir=Path(tempfile.gettempdir()) / "netcenter-faust",  # without tables nothing stands there
        stream_wait_empty=False,
        stream_buffer_maxsize=16,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=heartbeat_s,
        broker_rebalance_timeout=max(session_s, 20.0),
        broker_max_poll_records=POLL,
        broker_check_crcs=True,
        consumer_auto_offset_reset="earliest",
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
