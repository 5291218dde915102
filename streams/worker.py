"""The process of one role: a Faust App, the partitions it owns, its checkpoints, its health."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import time as wall
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from agents.decider import Unanswered
from agents.policy import Policy
from schemas.records import Tick, WriterExcused
from streams import faust_batch, metrics, raw_records
from streams.apart import apart
from streams.batch import BatchCore
from streams.deadletters import DeadLetterLimit
from streams.errors import Ended, Fenced, Misconfigured, Stop, StreamError, Unavailable
from streams.exit_codes import ExitCode
from streams.fold import FoldCore
from streams.garbage import rarely_collected
from streams.health import HealthServer
from streams.hints import Hint, address, metadata
from streams.partition import RESTORE, Partition, translate
from streams.policies import Policies
from streams.positions import Claim, placed
from streams.reader import own_host, reading
from streams.settings import WorkerSettings
from streams.topics_seen import Seen, topics_seen
from streams.topology import Batch, Fold, Pipeline, Role

_STOP_DEADLINE_S = 9.0
_LOOK_S = 0.02
_GROUND_S = 3.0
_GROUP_REMEDY = (
    "these are the offsets of other topics; `kafka-consumer-groups.sh --delete --group {}` lets it begin with this log"
)
_ASK_AGAIN_S, _ASK_AGAIN_MOST_S = 0.2, 5.0
#: Writers that one line names.
_SHOWN = 3
_BEATS_MISSED = 2
"""Heartbeats in a row without an answer: Kafka is away, or so busy that nobody is heard in time."""


@dataclass(frozen=True)
class Hooks:
    """What the composition root gives a worker beside settings."""

    lacks: Callable[[Policy], str | None] = lambda _: None
    """What is missing to work under a policy: the worker waits for it and is not ready."""


class RoleWorker:
    """Common to deciding roles and sinks: the App, who owns what, how it ends."""

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings, hooks: Hooks) -> None:
        self.pipeline, self.role, self.settings = pipeline, role, settings
        self.group = f"{settings.prefix}{role.name}"
        self.log = structlog.get_logger("netcenter").bind(role=role.name)
        self.policies = Policies(self.topic("policy"), self.reader, hooks.lacks)
        self.failure: BaseException | None = None
        self.assigned_once = False
        self.rebalancing = True
        self.term = 0
        """Counts revocations: what was opened for an assignment that is over must not stay open."""
        self.behind = False
        self.told_to_stop = False
        self.address = ""
        """host:port where this worker's health is told, as the broker sees the host; empty until Kafka has answered."""
        self.unreachable: str | None = None
        """That Kafka does not answer; None when it does."""
        self.missing: str | None = None
        """Topics that are not there; None when all are."""
        self._ids: dict[str, bytes] = {}
        self._port = 0
        self._beat = self._member = wall.monotonic()
        self._done = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.app: Any = None

    # --- names ------------------------------------------------------------------------------------------------

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        return self.settings.prefix + name

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self.pipeline.topic(topic).partitions or self.settings.partitions

    def reader(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A plain consumer without a group, read committed, for a `with`."""
        return reading(self.settings.kafka)

    # --- the run ------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Work until told to stop or something fails; the process's exit code."""
        raw_records.put_in_place()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        health = None
        try:
            health = HealthServer(self.settings.health_host, self.settings.health_port, self.live, self.ready)
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
        self.log.error("worker failed", why=f"{self.failure}", error=type(self.failure).__name__)
        return getattr(self.failure, "exit_code", ExitCode.FAILED)

    def _told_to_stop(self) -> None:
        self.told_to_stop = True
        self._done.set()

    async def _wait_for_kafka(self) -> None:
        delay, told, began = 0.2, False, wall.monotonic()
        while not self._done.is_set():
            try:
                async with self.reader() as reader:
                    self.address = address(await own_host(reader), self._port)
                    if told:
                        self.log.info("Kafka answers", after_s=round(wall.monotonic() - began))
                    self.unreachable, told = None, False
                    if await self._topics_there(reader):
                        return
            except (KafkaError, OSError) as error:
                self.unreachable = f"Kafka at {self.settings.kafka} does not answer ({type(error).__name__})"
                if not told:
                    self.log.warning("waiting for Kafka", kafka=self.settings.kafka, why=type(error).__name__)
                    told = True
            try:
                await asyncio.wait_for(self._done.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, 5.0)

    def _topics(self) -> dict[str, int]:
        """How many partitions each topic has by the settings, of all that the role reads and writes; by the broker's names."""
        dead = {topic.name for topic in self.pipeline.dead_topics()}
        names = {*self.reads(), *self.role.writes, *(dead & {f"{name}.dead" for name in self.reads()})}
        counts = {self.topic(name): self.partitions(name) for name in names}
        if self.role.decides:
            counts |= {self.topic(self.role.changelog): self.settings.partitions, self.policies.topic: 1}
        return counts

    def _fit(self, seen: Mapping[str, Seen]) -> None:
        """Tell what is missing. Raises Misconfigured where a topic is not as the settings say."""
        counts = self._topics()
        for name, found in sorted(seen.items()):
            if found.partitions != counts[name]:
                raise Misconfigured(
                    f"{name} has {found.partitions} partitions, the settings say {counts[name]}: counts are fixed for a "
                    "prefix (NETCENTER_PARTITIONS, NETCENTER_PREFIX)"
                )
        missing = ", ".join(sorted(counts.keys() - seen.keys()))
        if missing and missing not in (self.missing or ""):
            self.log.warning("waiting for topics", missing=missing, run="netcenter topics apply")
        self.missing = (
            f"waiting for topics that are not there: {missing}; run `netcenter topics apply`" if missing else None
        )

    async def _topics_there(self, reader: AIOKafkaConsumer) -> bool:
        self._fit(seen := await topics_seen(reader._client, self._topics().keys()))
        self._ids = {name: found.id for name, found in seen.items()}
        return self.missing is None

    async def _ground(self) -> None:
        """Whether the topics are still those that they were."""
        kept = {self.topic(name) for name in self.reads()}
        while True:
            await asyncio.sleep(_GROUND_S)
            try:
                seen = await self.app.consumer.topics_seen(self._topics().keys())
            except KafkaError as error:
                self.log.debug("topics not seen", why=type(error).__name__)  # whoever needs Kafka tells that it is away
                continue
            self._fit(seen)
            for name in kept & seen.keys():
                if seen[name].id != self._ids[name]:
                    raise Misconfigured(
                        f"{name} was deleted and made again while {self.role.name} read it: {self.claim.remedy}"
                    )
            changelog = self.topic(self.role.changelog)
            if self.role.decides and changelog in seen and seen[changelog].id != self._ids[changelog]:
                raise Misconfigured(f"{changelog} was deleted and made again while {self.role.name} ran. {RESTORE}")

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
        for name in self.reads():
            self._listen(name)
        await self.prepare()
        await self.app.maybe_start()
        self._tasks += [asyncio.create_task(self._guard(task)) for task in (self._hints, self._ground, *self.tasks())]
        self.log.info("worker started", group=self.group, health=f"http://{self.address}/ready")
        crashed = asyncio.create_task(self.app.wait_for_stopped(self._done))
        try:
            await crashed
        finally:
            await self._stop()
        if self.app.crash_reason is not None:
            self.fail(self.app.crash_reason)

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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(_STOP_DEADLINE_S):
                try:
                    await self.let_go()
                finally:
                    await self.app.stop()
        except (StreamError, KafkaError) as error:
            self.fail(error)
        except TimeoutError:
            self.log.warning("did not stop in time; what is not sealed will be done again by the next owner")

    def fail(self, error: BaseException) -> None:
        """Stop the worker because of this; the first reason counts."""
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

    def many_set_aside(self, limit: DeadLetterLimit, partition: str) -> None:
        """Tell how much of a partition is set aside, and once, loudly, when it has become much."""
        metrics.DEAD_SHARE.labels(self.role.name, partition).set(limit.share)
        if limit.many():
            self.log.error(
                "many records are set aside",
                partition=limit.name,
                share=round(limit.share, 2),
                of_the_last=limit.window,
                do="see `netcenter dead list`; mend their producer, then `netcenter dead replay`",
            )

    # --- health ------------------------------------------------------------------------------------------------

    def live(self) -> str | None:
        """The loop's heartbeat."""
        if (age := self.stuck()) > self.settings.stuck_s:
            return f"the event loop has been stuck for {age:.0f} s"
        return self._outside(2 * self.settings.stuck_s)

    def stuck(self) -> float:
        """Seconds since the loop took its last turn."""
        return wall.monotonic() - self._beat

    def _outside(self, seconds: float) -> str | None:
        """That it has been no member of its group for longer than this."""
        away = wall.monotonic() - self._member
        return f"no member of the group {self.group} for {away:.0f} s" if away > seconds else None

    def ready(self) -> str | None:
        """Assigned, recovered, and nothing awaited."""
        if self.unreachable:
            return self.unreachable
        if self.missing:
            return self.missing
        if (outside := self._outside(self.settings.session_s)) is not None:
            return outside
        if self.policies.waiting:
            return f"waiting for {self.policies.waiting}"
        if not self.assigned_once:
            return "not assigned yet"
        if self.rebalancing:
            return "rebalancing or recovering"
        return None

    async def _heart(self) -> None:
        while True:
            self._beat = wall.monotonic()
            self._look()
            metrics.READY.labels(self.role.name).set(0 if self.ready() else 1)
            await asyncio.sleep(1.0)

    def _look(self) -> None:
        """At the membership. Raises when nobody looks after it any more, and when it does not come back by itself."""
        standing = self.app.consumer.standing() if self.app is not None and self.app.started else None
        if standing is None or self._done.is_set():
            self._member = wall.monotonic()
            return
        if standing.failure is not None:
            raise translate(standing.failure, f"{self.group}: being a member of the group")
        # No heartbeats are sent while the group rebalances.
        patience = self.settings.session_s + (
            faust_batch.rebalance_s(self.settings.session_s) if self.rebalancing else 0.0
        )
        silent = standing.silent > patience
        if silent and self.unreachable is None:
            self.log.warning("Kafka does not answer", kafka=self.settings.kafka, for_s=round(standing.silent))
        elif self.unreachable is not None and not silent:
            self.log.info("Kafka answers")
        self.unreachable = f"Kafka has not answered for {standing.silent:.0f} s" if silent else None
        if standing.silent > _BEATS_MISSED * self.settings.heartbeat_s:
            self.deaf()
        if standing.member or silent or not standing.reachable:
            self._member = wall.monotonic()
        elif (outside := self._outside(2 * self.settings.stuck_s)) is not None:
            raise Unavailable(f"{outside}, though Kafka answers: starting over")

    def deaf(self) -> None:
        """Kafka brings nothing now: nobody's silence says anything about him."""

    async def _hints(self) -> None:
        told: dict[TP, Hint] = {}
        while True:
            await asyncio.sleep(self.settings.hint_s)
            hints = {tp: hint for tp, hint in self.hints().items() if told.get(tp) != hint}
            if not hints or self.rebalancing:
                continue
            try:
                await self.tell(hints)
                told.update(hints)
            except KafkaError as error:
                # A hint only: the checkpoints hold the truth, and the next hint says the same and more.
                self.log.debug("offsets not told", why=type(error).__name__)

    async def tell(self, hints: dict[TP, Hint]) -> None:
        """Tell the group, for people, `lag`, `doctor` and `ingest`: where it stands, and where to ask this worker."""
        await self.app.consumer.tell(
            {
                TP(self.topic(tp.topic), tp.partition): (hint.offset, metadata(hint, self.address))
                for tp, hint in hints.items()
            }
        )

    # --- what the shapes do ---------------------------------------------------------------------------------

    def reads(self) -> tuple[str, ...]:
        """Names of the topics read."""
        return self.role.reads

    async def prepare(self) -> None:
        """Before the first assignment."""

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Own these partitions; where each starts, None for the group's own offset or the beginning."""
        raise NotImplementedError

    async def revoked(self, partitions: set[TP]) -> None:
        """Seal and let go of these partitions."""
        raise NotImplementedError

    claim: Claim
    """What the role says of its positions."""

    async def placed(self, positions: dict[TP, int], claim: Claim) -> dict[TP, int]:
        """Where to go on from these positions of the broker's topics. Raises when they cannot be of this log."""
        if not positions:
            return {}
        wanted = {TopicPartition(tp.topic, tp.partition): at for tp, at in positions.items()}
        given = claim, self.settings.on_lost, lambda name: name.removeprefix(self.settings.prefix), self.log
        try:
            async with self.reader() as reader:
                found = await placed(reader, self.role.name, wanted, *given)
        except KafkaError as error:
            raise translate(error, f"{self.group}: looking where it stands") from error
        return {TP(tp.topic, tp.partition): at for tp, at in found.items()}

    async def settled(self, starts: dict[TP, int | None], told: dict[TP, int]) -> dict[TP, int]:
        """What is known by ourselves, else what the group was told, else the beginning."""
        known = await self.placed({tp: at for tp, at in starts.items() if at is not None}, self.claim)
        of_group = {tp: at for tp, at in told.items() if tp in starts and tp not in known}
        known |= await self.placed(
            of_group, Claim("(by its group's offset) has read", _GROUP_REMEDY.format(self.group))
        )
        left = [TopicPartition(tp.topic, tp.partition) for tp in starts.keys() - known.keys()]
        if not left:
            return known
        try:
            async with self.reader() as reader:
                firsts = await reader.beginning_offsets(left)
        except KafkaError as error:
            raise translate(error, f"{self.group}: looking for the beginning") from error
        return known | {TP(tp.topic, tp.partition): first for tp, first in firsts.items()}

    async def out_of_range(self, positions: dict[TP, int]) -> dict[TP, int]:
        """Where to go on; nothing, and the worker ends, where going on would pass over records in silence."""
        try:
            return await self.placed(positions, self.claim)
        except StreamError as error:
            self.fail(error)
            return {}

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """Background work while the worker runs."""
        return ()

    async def take(self, tp: TP, records: list[Any]) -> None:
        """A batch of raw records of one partition."""
        raise NotImplementedError

    def hints(self) -> dict[TP, Hint]:
        """Where it stands, by partition."""
        raise NotImplementedError

    async def let_go(self) -> None:
        """Seal everything before the end."""
        raise NotImplementedError

    def bare(self, tp: TP) -> TP:
        """A partition by our own topic name."""
        return TP(tp.topic.removeprefix(self.settings.prefix), tp.partition)


class DecidingWorker(RoleWorker):
    """A Batch or Fold."""

    claim = Claim(
        "has applied",
        "what it remembers is of an older topic of that name, or this one was cut. Restore it, or give this log a prefix of "
        "its own (NETCENTER_PREFIX, then `netcenter topics apply`)",
    )

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings, hooks: Hooks) -> None:
        super().__init__(pipeline, role, settings, hooks)
        self.owned: dict[int, Partition] = {}
        self._parked: dict[int, Partition] = {}
        self.unanswered: dict[str, str] = {}
        """Why nobody answers, by the partition that waits for it."""

    def _core(self, number: int) -> FoldCore | BatchCore:
        shape, given = self.role.shape, (self.pipeline, self.role, number, self.partitions, self.policies.get)
        if isinstance(shape, Fold):
            return FoldCore(*given, shape.decider())
        if isinstance(shape, Batch):
            return BatchCore(*given, shape.stage(number))
        raise TypeError(f"{self.role.name} decides nothing")

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Recover every partition that is newly ours; each starts after what is applied."""
        term, wanted = self.term, {tp.partition for tp in partitions}
        for number in self.owned.keys() - wanted:
            await self._drop(number)
        fresh = wanted - self.owned.keys()
        await asyncio.gather(*(self._own(number, term) for number in sorted(fresh)))
        if term != self.term:
            return {}
        self.rebalancing, self.assigned_once = False, True
        metrics.PARTITIONS.labels(self.role.name).set(len(self.owned))
        self.log.info("partitions owned", partitions=sorted(self.owned))
        return {
            tp: self.owned[tp.partition].core.applied + 1 if self.owned[tp.partition].core.applied >= 0 else None
            for tp in partitions
        }

    async def settled(self, starts: dict[TP, int | None], told: dict[TP, int]) -> dict[TP, int]:
        """Also: what the group was told was sealed, so a changelog without it has lost what the role remembers."""
        for tp, at in starts.items():
            if at is None and told.get(tp, 0) > 0:
                raise Misconfigured(
                    f"{self.role.name} has applied {self.bare(tp).topic}/{tp.partition} up to offset {told[tp]}, its group "
                    f"says, but {self.role.changelog}/{tp.partition} is empty: it was deleted, and going on would begin "
                    f"with an empty state. {RESTORE}"
                )
        return await super().settled(starts, told)

    def ready(self) -> str | None:
        """Also: who is asked answers, and time is known wherever something is to be decided."""
        waiting = [*self.unanswered.values(), *map(self._timeless, list(self.owned.values()))]
        return super().ready() or next(filter(None, waiting), None)

    def _timeless(self, partition: Partition) -> str | None:
        if not partition.core.waits:
            return None
        writers = [f"{role}/{number}" for role, number in partition.core.heard.unheard()]
        shown = ", ".join(writers[:_SHOWN]) + (f" and {len(writers) - _SHOWN} more" if len(writers) > _SHOWN else "")
        whose = f"{self.role.name}'" if self.role.name.endswith("s") else f"{self.role.name}'s"
        return f"time is not known yet in {whose} partition {partition.name}: no Tick of {shown} yet"

    async def asked(self, partition: str, question: Callable[[], Any]) -> Any:
        """What a question gives, asked in a thread, again and again for as long as nobody answers."""
        delay = _ASK_AGAIN_S
        try:
            while True:
                try:
                    answers = await apart(question, f"{self.role.name}: asking")
                except Unanswered as error:
                    if not self.unanswered:
                        self.log.warning("not answered, asking on", partition=partition, why=str(error))
                    self.unanswered[partition] = str(error)
                    await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                    delay = min(delay * 2, _ASK_AGAIN_MOST_S)
                else:
                    if self.unanswered.pop(partition, None) is not None and not self.unanswered:
                        self.log.info("answered again", partition=partition)
                    return answers
        finally:
            self.unanswered.pop(partition, None)

    async def _own(self, number: int, term: int) -> None:
        partition = self._parked.pop(number, None)
        if partition is None:
            partition = Partition(lambda: self._core(number), self)
        try:
            await partition.own()
        except asyncio.CancelledError:
            await partition.release(seal=False)
            raise
        if term == self.term:
            self.owned[number] = partition
        else:
            await partition.release(seal=False)

    async def revoked(self, partitions: set[TP]) -> None:
        """Seal and let go; memory is kept in case it comes back unchanged."""
        self.rebalancing = True
        self.term += 1
        await asyncio.gather(*(self._drop(tp.partition) for tp in partitions))

    async def _drop(self, number: int) -> None:
        partition = self.owned.pop(number, None)
        if partition is not None and await partition.release(seal=self.failure is None):
            self._parked[number] = partition

    async def take(self, tp: TP, records: list[Any]) -> None:
        """A batch of the input topic."""
        partition = self.owned.get(tp.partition)
        if partition is not None:
            await partition.offer(records)

    def hints(self) -> dict[TP, Hint]:
        """What is sealed."""
        for number, partition in self.owned.items():
            metrics.APPLIED.labels(self.role.name, str(number)).set(partition.sealed)
            metrics.PARTITION_TIME.labels(self.role.name, str(number)).set(partition.sealed_time / 1000)
        return {
            TP(self.role.input_topic, n): Hint(p.sealed + 1, p.sealed_time, p.sealed_due)
            for n, p in self.owned.items()
            if p.sealed >= 0
        }

    def deaf(self) -> None:
        """Each writer has its whole time again once Kafka answers."""
        for partition in self.owned.values():
            partition.heard.clear()

    async def let_go(self) -> None:
        """Seal everything before the end."""
        await asyncio.gather(*(self._drop(number) for number in list(self.owned)))

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """Sealing, and on the wall clock ticking or excusing."""
        return (self._sealer, self._ticker if isinstance(self.role.shape, Batch) else self._excuser)

    async def _sealer(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            now = wall.monotonic()
            ripe = [p for p in self.owned.values() if p.due(now, self.settings.checkpoint_s, self.settings.idle_s)]
            await asyncio.gather(*(p.seal() for p in ripe))
            for partition in list(self.owned.values()):
                await partition.send_small(now)

    async def _ticker(self) -> None:
        """On the wall clock the owner of a mentions partition ticks it; the broker's stamp is what counts."""
        while True:
            await asyncio.sleep(self.settings.tick_s)
            for number, partition in list(self.owned.items()):
                if partition.core.heard.kind == "wall":
                    tick = Tick(
                        clock="wall", time=int(wall.time() * 1000), role=self.pipeline.clock_role, partition=number
                    )
                    await self._append(partition, tick)

    async def _excuser(self) -> None:
        """On the wall clock a writer that has been silent for long is left behind."""
        while True:
            await asyncio.sleep(1.0)
            for partition in list(self.owned.values()):
                # Where facts wait for time the log has been heard further than it was taken.
                if partition.core.heard.kind != "wall":
                    continue
                now = wall.monotonic()
                for writer in partition.core.heard.awaited():
                    silent = partition.silence(writer, now)
                    if silent >= self.settings.silence_s:
                        role, number = writer
                        excused = WriterExcused(role=role, partition=number, silent_for=int(silent * 1000))
                        self.log.warning(
                            "writer excused",
                            partition=partition.name,
                            writer=f"{role}/{number}",
                            silent_s=round(silent),
                        )
                        await self._append(partition, excused)

    async def _append(self, partition: Partition, record: Any) -> None:
        try:
            await partition.append(record)
        except Fenced:
            if partition in self.owned.values():
                raise


def run_worker(worker: RoleWorker) -> int:
    """Run a worker to its end; the process's exit code."""
    import uvloop

    gc.freeze()
    with rarely_collected():
        return uvloop.run(worker.run())


__all__ = ["DecidingWorker", "Hooks", "RoleWorker", "Stop", "Unavailable", "WorkerSettings", "run_worker"]
