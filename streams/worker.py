"""The process of one role: its Faust App, its topics, its assignments, its health, its end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time as wall
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from streams import faust_batch, metrics, raw_records
from streams.committed_offsets import CommittedOffset, address, metadata
from streams.errors import Ended, Misconfigured, StreamError
from streams.exit_codes import ExitCode
from streams.faust_membership import rebalance_s
from streams.gc_tuning import rarely_collected
from streams.health import HealthServer
from streams.kafka_diagnosis import diagnose
from streams.kafka_errors import translate
from streams.keyless import signed_record
from streams.log_reader import own_host, reading, written_end
from streams.membership import Membership
from streams.missing_rights import missing_right
from streams.policies import Policies
from streams.position_check import Claim, checked_positions
from streams.rebalance_watch import RebalanceWatch
from streams.recovery import restore
from streams.rights import role_rights
from streams.rights_check import RightsCheck, granted_beyond_topics
from streams.settings import WorkerSettings
from streams.topic_check import TopicCheck
from streams.topic_metadata import topic_metadata
from streams.topology import POLICY_TOPIC, Batch, Pipeline, Role

_STOP_DEADLINE_S = 9.0
_TOPIC_CHECK_S = 3.0
_LACKS_S = 5.0
_TOLD_AFTER_S = 5.0
"""Seconds without an assignment after which the log says what the worker waits for."""
_GROUP_REMEDY = (
    "these are the offsets of other topics; `kafka-consumer-groups.sh --delete --group {}` lets it begin with this log"
)


class RoleWorker:
    """The part of a worker that deciding roles and sinks share. It is the `Owner` of the Faust consumer's
    partitions.
    """

    claim: Claim
    """The wording of the role's errors about its positions."""
    stages: tuple[str, ...]
    """The stages that may make a record a dead letter."""

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings) -> None:
        self.pipeline, self.role, self.settings = pipeline, role, settings
        self.group = f"{settings.prefix}{role.name}"
        self.log = structlog.get_logger("netcenter").bind(role=role.name)
        self.policies = Policies(self.topic(POLICY_TOPIC), self.reader, role.lacks)
        self.failure: BaseException | None = None
        self.rebalancing = True
        self.rebalance = RebalanceWatch()
        self.holds = 0
        """The number of partitions that this worker owns."""
        self._told = ""
        """What the log says last that this worker waits for."""
        self.term = 0
        """Counts revocations: a partition that was opened for an earlier assignment must not stay open."""
        self.behind = False
        self.told_to_stop = False
        self.left_behind = False
        """Whether something of this worker did not stop in time: the process must end without waiting for it."""
        self.address = ""
        """host:port of this worker's health server; the host is the address that the broker sees. Empty until Kafka has
        answered.
        """
        self.membership = Membership(self.group, settings, self.log)
        uses = self._topic_uses()
        counts = {self.topic(name): self._partitions_wanted(name) for name in uses}
        told = {self.topic(name): use for name, use in uses.items()}
        self.topics = TopicCheck(counts, told, self._kept_topics(), self.log)
        rights = role_rights(pipeline, role, settings.prefix)
        self.rights = RightsCheck(rights, settings.kafka.security.username, f"the role {role.name}", self.log)
        self._port = 0
        self._beat = wall.monotonic()
        self._done = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.app: Any = None

    # --- names ------------------------------------------------------------------------------------------------

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        return self.settings.prefix + name

    def own_name(self, tp: TP) -> TP:
        """The same partition, with the topic's name without the prefix."""
        return TP(tp.topic.removeprefix(self.settings.prefix), tp.partition)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self.pipeline.partitions(topic, self.settings.partitions)

    def reader(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A consumer without a group that reads committed records; use it in a `with` statement."""
        return reading(self.settings.kafka)

    async def written_end(self, tp: TopicPartition) -> int:
        """The offset after the last record of a partition, records of open transactions included."""
        return await written_end(self.settings.kafka, tp)

    def _topic_uses(self) -> dict[str, str]:
        """What the role needs each topic for, by the topic's name without the prefix."""
        dead = {topic.name for topic in self.pipeline.dead_topics()}
        reads, decides = self.role.reads, self.role.decides
        uses = {self.role.changelog: "changelog", POLICY_TOPIC: "policies"} if decides else {}
        uses |= {name: "dead letters" for name in (f"{read}.dead" for read in reads) if name in dead}
        if self.pipeline.sources(self.role, self.settings.partitions):
            uses[self.pipeline.watermarks] = "watermarks"
        return uses | dict.fromkeys(self.role.writes, "output") | dict.fromkeys(reads, "input")

    def _partitions_wanted(self, name: str) -> int:
        if name == POLICY_TOPIC:
            return 1
        return self.settings.partitions if name == self.role.changelog else self.partitions(name)

    def _kept_topics(self) -> dict[str, str]:
        """The error for each topic that must not be deleted and made again while the role runs."""
        name, remade = self.role.name, "was deleted and made again while"
        kept = {self.topic(t): f"{self.topic(t)} {remade} {name} read it: {self.claim.remedy}" for t in self.role.reads}
        if self.role.decides:
            changelog = self.topic(self.role.changelog)
            kept[changelog] = f"{changelog} {remade} {name} ran. {restore(name)}"
        return kept

    # --- the run ------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Works until a signal stops it or something fails. Returns the process's exit code."""
        raw_records.install()
        batch = isinstance(self.role.shape, Batch)
        metrics.start_at_zero(self.role.name, self.role.writes, self.stages, decides=self.role.decides, batch=batch)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        health = None
        try:
            health = HealthServer(
                self.settings.health_host, self.settings.health_port, self.live, self.ready, self.duty
            )
            self._port = health.port
            self._tasks.append(asyncio.create_task(self._guard(self._heart)))
            await self._wait_for_kafka()
            if not self._done.is_set():
                await self._work()
        except StreamError as error:
            self.fail(error)
        finally:
            if health is not None:
                health.close()
        if self.failure is None:
            self.log.info("stopped")
            return ExitCode.DONE
        refused = await self._lacks_now() or missing_right(self.failure, self.settings.kafka.security)
        why = f"{self.failure}" + (f": {refused}" if refused else "")
        self.log.error("worker failed", why=why, error=type(self.failure).__name__)
        return getattr(self.failure, "exit_code", ExitCode.FAILED)

    async def _lacks_now(self) -> str | None:
        """The rights that this worker lacks at its end: the error of a transaction to which Kafka has refused a topic does
        not name the topic. None where it lacks none, or Kafka does not answer in time.
        """
        if getattr(self.failure, "exit_code", ExitCode.FAILED) != ExitCode.FAILED:
            return None
        try:
            async with asyncio.timeout(_LACKS_S), self.reader() as reader:
                found = await topic_metadata(reader._client, self.topics.partitions.keys())
                self.rights.compare(found, await granted_beyond_topics(reader._client, self.rights.rights))
        except (KafkaError, OSError) as error:
            self.log.debug("rights not seen", why=type(error).__name__)
        return self.rights.missing

    def _told_to_stop(self) -> None:
        self.told_to_stop = True
        self._done.set()

    async def _wait_for_kafka(self) -> None:
        """Returns when Kafka answers, grants every right, and has all topics, or when the worker must stop."""
        delay, began = 0.2, wall.monotonic()
        told: str | None = None
        while not self._done.is_set():
            try:
                async with self.reader() as reader:
                    self.address = address(await own_host(reader), self._port)
                    found = await topic_metadata(reader._client, self.topics.partitions.keys())
                    others = await granted_beyond_topics(reader._client, self.rights.rights)
                    if told is not None:
                        self.log.info("Kafka answers", after_s=round(wall.monotonic() - began))
                    self.membership.unreachable, told = None, None
                    if self.rights.compare(found, others) and self.topics.begin(found):
                        return
            except (KafkaError, OSError) as error:
                self.membership.unreachable = why = await asyncio.to_thread(self._why, error)
                if told != why:
                    self.log.warning("waiting for Kafka", kafka=str(self.settings.kafka), why=why)
                    told = why
            try:
                await asyncio.wait_for(self._done.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, 5.0)

    def _why(self, error: BaseException) -> str:
        """Why Kafka cannot be used, in a line; it asks Kafka, and blocks for some seconds."""
        if (refused := missing_right(error, self.settings.kafka.security)) is not None:
            return refused
        if (why := diagnose(self.settings.kafka)) is not None:
            return f"Kafka cannot be used: {why}"
        return f"Kafka at {self.settings.kafka} does not answer ({type(error).__name__})"

    async def _work(self) -> None:
        self.app = faust_batch.make_app(
            self.group,
            self.settings.kafka,
            self,
            client=f"netcenter-{self.role.name}-{self._port}",
            session_s=self.settings.session_s,
            heartbeat_s=self.settings.heartbeat_s,
            stuck_s=self.settings.stuck_s,
        )
        self.app.finalize()
        for name in self.role.reads:
            self._listen(name)
        await self._check_keys()
        await self.prepare()
        # A consumer that may not join its group never comes to the end of its start.
        starting = asyncio.create_task(self.app.maybe_start())
        await asyncio.wait({starting, asyncio.create_task(self._done.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await self._stop()
            self.left_behind |= not starting.done()
            return
        await starting
        background = (self._commit_offsets, self._check_topics, *self.tasks())
        self._tasks += [asyncio.create_task(self._guard(task)) for task in background]
        self.log.info("worker started", group=self.group, health=f"http://{self.address}/ready")
        crashed = asyncio.create_task(self.app.wait_for_stopped(self._done))
        try:
            await crashed
        finally:
            await self._stop()
        if self.app.crash_reason is not None:
            self.fail(self.app.crash_reason)

    async def _check_keys(self) -> None:
        """Says that a worker without keys signs nothing. Raises Misconfigured where the log is signed, because others would
        refuse this worker's records, and no redrive makes up for that.
        """
        signatures = self.settings.signatures
        if signatures.rings:
            return
        names = [name for name in {*self.role.reads, *self.role.writes} if self.pipeline.has_signed_records(name)]
        if not names:
            return
        if signatures.begun(int(wall.time() * 1000)):
            async with self.reader() as reader:
                found = await signed_record(
                    reader,
                    [TopicPartition(self.topic(name), n) for name in names for n in range(self.partitions(name))],
                )
            if found is not None:
                raise Misconfigured(
                    f"{found} is signed, and this worker has no keys: set NETCENTER_SYSTEM_KEYS_FILE and "
                    "NETCENTER_OPERATORS_KEYS_FILE as for the other workers (SECURITY.md), or NETCENTER_SIGNED_SINCE=never to "
                    "go on unsigned"
                )
        self.log.info("nothing is signed: whoever may write there controls this role", topics=sorted(names))

    def _listen(self, name: str) -> None:
        async def take(stream: Any) -> None:
            async for event in stream.noack().events():
                message = event.message
                try:
                    await self.take(TP(name, message.partition), event.value)
                except Exception as error:  # noqa: BLE001 - the agent must not die alone: the whole worker stops, and says why
                    self.fail(error)
                    return

        take.__name__ = f"take_{name}"
        self.app.agent(faust_batch.batches(self.app, self.topic(name), maxsize=4), name=f"take.{name}")(take)

    async def _stop(self) -> None:
        # Faust's services pass over a cancellation while they stop, so a timeout around them would not end.
        stopping = asyncio.create_task(self._stop_all())
        done, _ = await asyncio.wait({stopping}, timeout=_STOP_DEADLINE_S)
        if done:
            await stopping
        else:
            self.left_behind = True
            self.log.warning("did not stop in time; what is not committed will be done again by the next owner")

    async def _stop_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            try:
                await self.hand_over()
            finally:
                await self.app.stop()
        except (StreamError, KafkaError) as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Stops the worker because of this error; only the first error counts."""
        if self.failure is None and not isinstance(error, Ended):
            self.failure = error if isinstance(error, StreamError) else translate(error, self.group)
            if not isinstance(error, (StreamError, KafkaError, OSError)):
                self.log.error("unexpected", exc_info=error)
        self._done.set()

    async def _guard(self, task: Callable[[], Any]) -> None:
        try:
            await task()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a background task's failure stops the worker, whatever it is
            self.fail(error)

    async def _check_topics(self) -> None:
        """Checks repeatedly whether the topics are still the same."""
        while True:
            await asyncio.sleep(_TOPIC_CHECK_S)
            try:
                found = await self.app.consumer.topic_metadata(self.topics.partitions.keys())
            except KafkaError as error:
                self.log.debug(
                    "topics not seen", why=type(error).__name__
                )  # if Kafka cannot be reached, the heartbeat reports it
                continue
            if self.rights.compare(found, {}):
                self.topics.still_the_same(found)

    async def _commit_offsets(self) -> None:
        """Commits the offsets that have changed to the group, at intervals."""
        known: dict[TP, CommittedOffset] = {}
        while True:
            await asyncio.sleep(self.settings.offset_commit_s)
            changed = {tp: at for tp, at in self.committed_offsets().items() if known.get(tp) != at}
            if not changed or self.rebalancing:
                continue
            try:
                await self.commit_offsets(changed)
                known.update(changed)
            except KafkaError as error:
                # A failure does no harm: the checkpoints hold the position, and the next commit replaces this one.
                self.log.debug("offsets not committed", why=type(error).__name__)

    async def commit_offsets(self, offsets: dict[TP, CommittedOffset]) -> None:
        """Commits offsets, with event time and this worker's address, to the group, where `lag`, `doctor` and `ingest`
        read them.
        """
        await self.app.consumer.commit_offsets(
            {
                TP(self.topic(tp.topic), tp.partition): (at.offset, metadata(at, self.address))
                for tp, at in offsets.items()
            }
        )

    # --- health ------------------------------------------------------------------------------------------------

    def live(self) -> str | None:
        """Why the process should be killed. None while its event loop runs, it is a member of its group or may become
        one, and a rebalance or a recovery moves on or waits for somebody else.
        """
        if (age := self.stuck()) > self.settings.stuck_s:
            return f"the event loop has been stuck for {age:.0f} s"
        return self.membership.outside(self.membership.longest()) or self._stalled()

    def _stalled(self) -> str | None:
        doing = self.rebalance.doing()
        # The group waits so long for a member that does not join again.
        limit = self.membership.longest() + (0.0 if doing else rebalance_s(self.settings.session_s))
        still = self.rebalance.still()
        if not self.rebalancing or still <= limit:
            return None
        return f"{doing or self._joining()}: nothing has moved for {still:.0f} s, and Kafka answers"

    def waits(self) -> bool:
        """Whether the worker waits for somebody else, whom a restart of the worker does not help."""
        missing = self.rights.missing or self.topics.missing
        return self.app is None or bool(self.membership.unreachable or missing or self.policies.waiting)

    def stuck(self) -> float:
        """Seconds since the event loop last ran."""
        return wall.monotonic() - self._beat

    def ready(self) -> str | None:
        """What the worker waits for; None when its partitions are assigned and recovered and it waits for nothing."""
        outside = self.membership.outside(self.settings.session_s)
        if wrong := self.membership.unreachable or self.rights.missing or self.topics.missing or outside:
            return wrong
        if self.policies.waiting:
            return f"waiting for {self.policies.waiting}"
        return (self.rebalance.doing() or self._joining()) if self.rebalancing else None

    def _joining(self) -> str:
        """What a worker that must be given its partitions waits for."""
        if self.app is None:
            return f"waiting for the first answer of Kafka at {self.settings.kafka}"
        standing = self.app.consumer.standing() if self.app.started else None
        if standing is None:
            return f"starting the consumer of the group {self.group}"
        if not standing.reachable:
            return f"waiting for Kafka's coordinator of the group {self.group}: no broker serves it yet"
        if not standing.member:
            return f"joining the group {self.group}"
        return f"the group {self.group} is rebalancing: its coordinator waits until its other workers have joined again"

    def duty(self) -> str:
        """What a worker that is ready does, in a line."""
        return "ok" if self.holds else "standby: no partition is assigned"

    def begins(self, partitions: int) -> None:
        """Notes that an assignment of so many partitions is recovered; it may have none."""
        self.rebalancing, self.holds = False, partitions
        metrics.ASSIGNED_PARTITIONS.labels(self.role.name).set(partitions)

    def _tell_waiting(self) -> None:
        """Logs what a worker without an assignment waits for: once, and again when it waits for something else."""
        if not self.rebalancing:
            self._told = ""
        elif self.rebalance.doing() is None and self.rebalance.still() > _TOLD_AFTER_S:
            waiting = self._joining()
            if waiting != self._told:
                self.log.warning("no assignment yet", why=waiting, for_s=round(self.rebalance.still()))
            self._told = waiting

    async def _heart(self) -> None:
        while True:
            self._beat = wall.monotonic()
            started = self.app is not None and self.app.started and not self._done.is_set()
            standing = self.app.consumer.standing() if started else None
            if not self.membership.look(standing, rebalancing=self.rebalancing):
                self.kafka_silent()
            if (ends := self.settings.kafka.certificate_ends()) is not None:
                metrics.CERTIFICATE_EXPIRY.labels(self.role.name).set(ends.timestamp())
            if not self.rebalancing or self.waits():
                self.rebalance.moved()
            self._tell_waiting()
            metrics.READY.labels(self.role.name).set(0 if self.ready() else 1)
            await asyncio.sleep(1.0)

    # --- positions ---------------------------------------------------------------------------------------------

    async def checked(self, positions: dict[TP, int], claim: Claim) -> dict[TP, int]:
        """The positions to go on from, as `checked_positions` returns them, for topics by their names on the broker.
        Raises Misconfigured.
        """
        if not positions:
            return {}
        wanted = {TopicPartition(tp.topic, tp.partition): at for tp, at in positions.items()}
        given = claim, self.settings.on_lost, lambda name: name.removeprefix(self.settings.prefix), self.log
        try:
            async with self.reader() as reader:
                found = await checked_positions(reader, self.role.name, wanted, *given)
        except KafkaError as error:
            raise translate(error, f"{self.group}: looking where it stands") from error
        return {TP(tp.topic, tp.partition): at for tp, at in found.items()}

    async def start_positions(self, own: dict[TP, int | None], committed: dict[TP, int]) -> dict[TP, int]:
        """The offset from which each partition is read: our own position, else the group's committed offset, else the
        beginning.
        """
        known = await self.checked({tp: at for tp, at in own.items() if at is not None}, self.claim)
        of_group = {tp: at for tp, at in committed.items() if tp in own and tp not in known}
        known |= await self.checked(
            of_group, Claim("(by its group's offset) has read", _GROUP_REMEDY.format(self.group))
        )
        left = [TopicPartition(tp.topic, tp.partition) for tp in own.keys() - known.keys()]
        if not left:
            return known
        try:
            async with self.reader() as reader:
                firsts = await reader.beginning_offsets(left)
        except KafkaError as error:
            raise translate(error, f"{self.group}: looking for the beginning") from error
        return known | {TP(tp.topic, tp.partition): first for tp, first in firsts.items()}

    async def out_of_range(self, positions: dict[TP, int]) -> dict[TP, int]:
        """New positions to replace positions that the broker refuses. Where records would be skipped, the result is
        empty and the worker ends.
        """
        try:
            return await self.checked(positions, self.claim)
        except StreamError as error:
            self.fail(error)
            return {}

    # --- what deciding roles and sinks do ----------------------------------------------------------------------

    async def prepare(self) -> None:
        """Called before the first assignment."""

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Owns these partitions. Returns the position of each, None where none is known."""
        raise NotImplementedError

    async def revoked(self, partitions: set[TP]) -> None:
        """Commits these partitions and hands them over."""
        raise NotImplementedError

    def kafka_silent(self) -> None:
        """Called while heartbeats are not answered: Kafka brings no records then, so the silence of a writer means
        nothing.
        """

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """Background work while the worker runs."""
        return ()

    async def take(self, tp: TP, records: list[Any]) -> None:
        """Takes a batch of raw records of one partition; `tp` names the topic without the prefix."""
        raise NotImplementedError

    def committed_offsets(self) -> dict[TP, CommittedOffset]:
        """The worker's progress, by partition."""
        raise NotImplementedError

    async def hand_over(self) -> None:
        """Commits everything and gives up all partitions, before the worker ends."""
        raise NotImplementedError


def run_worker(worker: RoleWorker) -> int:
    """Runs a worker to its end. Returns the process's exit code."""
    import uvloop

    gc.freeze()
    with rarely_collected(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(worker.run())
        if worker.left_behind:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        return code


__all__ = ["RoleWorker", "WorkerSettings", "run_worker"]
