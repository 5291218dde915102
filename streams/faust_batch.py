"""Batch delivery on Faust 0.15: one Faust message per partition and poll, carrying the raw records.

Faust gives membership, fetching, agents and supervision. Netcenter handles state, changelog, recovery, time and offsets
itself: this Consumer asks its owner at which position each partition starts, and gives the owner time to commit when
partitions are revoked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Protocol, cast

import faust
import mode
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.auth import CredentialsT
from faust.types.tuples import ConsumerMessage

from streams.errors import StreamError
from streams.faust_membership import ConsumerThread, Standing, rebalance_s
from streams.kafka_connection import KafkaConnection
from streams.raw_records import CHUNK
from streams.topic_metadata import TopicMetadata, topic_metadata

_GATHER_S = 0.02
"""Seconds for which a fetch waits for more records when few come, because it costs the same for one record as for
many.
"""


#: The most records of one fetch, all partitions together.
POLL = 8 * CHUNK


METADATA_MS = 5_000
"""ms after which a consumer asks again which partitions its topics have."""


class Owner(Protocol):
    """Decides where each partition starts, and what happens when it is revoked."""

    behind: bool
    """Whether the last fetch was so full that more records must be waiting."""

    def stuck(self) -> float:
        """Seconds since the owner's event loop last ran; called from another thread."""
        ...

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Owns these partitions, of which there may be none. Returns the position of each, None where none is known."""
        ...

    async def start_positions(self, own: dict[TP, int | None], committed: dict[TP, int]) -> dict[TP, int]:
        """The offset at which reading of each partition starts. own: from `assigned`; committed: the group's
        offsets.
        """
        ...

    async def out_of_range(self, positions: dict[TP, int]) -> dict[TP, int]:
        """New positions in place of positions that are not in the log; a partition that must not go on is left out."""
        ...

    async def revoked(self, partitions: set[TP]) -> None:
        """Commits these partitions and hands them over."""
        ...

    def fail(self, error: BaseException) -> None:
        """Stops the worker because of this error."""
        ...


class RawSchema(Schema):  # type: ignore[misc]
    """Decodes nothing: an event's value is the list of raw records."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Any]:
        """The decoder that Faust calls for each message."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, None, message)

        return decode


class Consumer(driver.Consumer):
    """Yields one ConsumerMessage per partition and poll; its offset is the offset of the last record."""

    owner: Owner
    _few = False
    """Whether the last fetch brought few records."""
    _term = 0
    """Counts revocations: an assignment that was revoked meanwhile must not change anything."""
    _sought = -1
    """The value of `term` when every partition was set to its owner's position."""

    def _new_consumer_thread(self) -> ConsumerThread:
        self.owner = self.app.owner
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetches. Records that come while the flow is stopped are dropped: the next assignment seeks anyway."""
        if self._few:
            await asyncio.sleep(_GATHER_S)
        try:
            records, active = await self._wait_next_records(timeout)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            if self._sought != self._term:
                # aiokafka uses the group's offset until the owner has given a position: ignore that error.
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
                # A stream drops a message without generation_id.
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
        """Does nothing: the owner keeps the positions, and a jump of the offset by a batch is not a gap."""

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Does nothing: the owner's checkpoints hold the positions."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Does nothing: the owner's health tells whether the worker lives."""

    async def _out_of_range(self, positions: dict[TP, int]) -> None:
        term = self._term
        found = await self.owner.out_of_range(positions)
        if term == self._term:
            await self._go_to(found)
        if found.keys() != positions.keys():
            await asyncio.sleep(1.0)  # the owner ends now; until it has ended, each poll would raise the same error

    async def perform_seek(self) -> None:
        """Sets every partition to the position that the owner gives; called before the first record of an assignment is
        read.
        """
        term, generation = self._term, self.app.consumer_generation_id
        partitions = {TP(tp.topic, tp.partition) for tp in self.assignment()}
        try:
            own = await self.owner.assigned(partitions)
            found = await self.owner.start_positions(own, await self._committed(partitions)) if partitions else {}
        except (StreamError, KafkaError) as error:
            # If the error were raised here, Faust's recovery would report it with a long traceback.
            self.owner.fail(error)
            return
        if term != self._term or generation != self.app.consumer_generation_id:
            return
        await self._go_to(found)
        self._sought = term

    async def _go_to(self, positions: dict[TP, int]) -> None:
        """Sets the positions in the thread of the consumer. Faust's own `_seek` would do it in this one, where a fetch of the
        other thread could fail over the dropped records, or set the position back to what it had read.
        """
        consumer = self._thread._ensure_consumer()

        def seek() -> list[TP]:
            sought = []
            for tp, at in positions.items():
                try:
                    consumer.seek(tp, at)
                except IllegalStateError:
                    continue  # revoked meanwhile: the next assignment seeks again
                sought.append(tp)
            return sought

        for tp in await self._thread.call_thread(seek):
            self._read_offset[tp] = None
            self._committed_offset[tp] = positions[tp]

    async def _committed(self, partitions: set[TP]) -> dict[TP, int]:
        """The offsets that were committed to the group, of the partitions that have one."""
        coordinator = self._thread._ensure_consumer()._coordinator
        wanted = [TopicPartition(tp.topic, tp.partition) for tp in partitions]
        found = await self._thread.call_thread(coordinator.fetch_committed_offsets, wanted)
        return {TP(tp.topic, tp.partition): at.offset for tp, at in found.items()}

    async def topic_metadata(self, names: Collection[str]) -> dict[str, TopicMetadata]:
        """Calls the function `topic_metadata` with this consumer's connections."""
        return cast(
            dict[str, TopicMetadata],
            await self._thread.call_thread(topic_metadata, self._thread._ensure_consumer()._client, names),
        )

    def standing(self) -> Standing | None:
        """The worker's standing in its group; None before it has started."""
        return cast(ConsumerThread, self._thread).standing()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stops the flow (Faust's part), then lets the owner commit, before another worker may own the partitions."""
        self._term += 1
        await super().on_partitions_revoked(revoked)
        try:
            await self.owner.revoked({TP(tp.topic, tp.partition) for tp in revoked})
        except Exception as error:  # noqa: BLE001 - aiokafka would log it and go on
            self.owner.fail(error)

    async def commit_offsets(self, offsets: dict[TP, tuple[int, str]]) -> None:
        """Commits (offset to read next, metadata) to the group."""
        consumer = self._thread._ensure_consumer()
        await self._thread.call_thread(
            consumer.commit, {TopicPartition(tp.topic, tp.partition): at for tp, at in offsets.items()}
        )

    async def rejoin(self) -> None:
        """Makes the group assign every partition again: each partition then starts at its owner's position."""
        consumer = self._thread._ensure_consumer()

        async def ask() -> None:
            consumer._coordinator.request_rejoin()

        await self._thread.call_thread(ask)


class Transport(driver.Transport):
    """Makes Faust use our Consumer."""

    Consumer = Consumer


class PatientRecovery(Recovery):
    """Waits for each step without a timeout: Faust's own method ends recovery without a message when opening partitions
    takes long.
    """

    async def _wait(self, coro: Any, timeout: float | None = None) -> None:
        await super()._wait(coro, timeout=None)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """Seeks without partitions too, because a standby's owner must learn that it has none; Faust's own method does
        not.
        """
        consumer = self.app.consumer
        if self.app.consumer_generation_id == generation_id and not consumer.assignment():
            await self._wait(consumer.perform_seek())
        await super()._resume_streams(generation_id)


class PatientTableManager(TableManager):
    """Makes Faust use our Recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class _App(faust.App):
    """Needs no folder that can be written: without tables Faust stores nothing."""

    def _create_directories(self) -> None:
        """Creates none."""


def _credentials(kafka: KafkaConnection) -> CredentialsT | None:
    """What Faust gives its clients to prove who they are; None where Kafka asks for nothing."""
    given = kafka.for_aiokafka()
    if "sasl_oauth_token_provider" in given:
        return faust.OAuthCredentials(oauth_cb=given["sasl_oauth_token_provider"], ssl_context=given["ssl_context"])
    if "sasl_mechanism" in given:
        return faust.SASLCredentials(
            username=given["sasl_plain_username"],
            password=given["sasl_plain_password"],
            mechanism=given["sasl_mechanism"],
            ssl_context=given["ssl_context"],
        )
    return faust.SSLCredentials(given["ssl_context"]) if "ssl_context" in given else None


def make_app(
    group: str,
    kafka: KafkaConnection,
    owner: Owner,
    *,
    client: str,
    session_s: float,
    heartbeat_s: float,
    stuck_s: float,
) -> faust.App:
    """A Faust App for one consumer group; one per process, because the group id is the App's id.

    client: the name by which the group's coordinator knows this member. stuck_s: seconds for which the owner's event
    loop may be blocked before the worker leaves the group.
    """
    app = _App(
        group,
        env={},  # otherwise some ninety environment variables override the values below
        broker=";".join(f"kafka://{server}" for server in kafka.servers.split(",")),
        broker_credentials=_credentials(kafka),
        store="memory://",
        table_standby_replicas=0,  # with any table, Faust uses its own assignor, whichever we set
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=16,
        broker_client_id=client,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=heartbeat_s,
        broker_rebalance_timeout=rebalance_s(session_s),
        broker_max_poll_interval=stuck_s,
        broker_max_poll_records=POLL,
        broker_check_crcs=True,
        # Otherwise a member that has asked a broker before it knew a new topic asks again after five minutes.
        consumer_metadata_max_age_ms=METADATA_MS,
        consumer_auto_offset_reset="none",  # the owner decides about a position that is not in the log
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
