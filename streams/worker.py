"""The process of one role: a Faust App, the partitions it owns, its checkpoints, its health."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import time as wall
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.types import TP

from agents.decider import Unanswered
from agents.policy import Policy
from schemas.records import Tick, WriterExcused
from streams import faust_batch, metrics, raw_records
from streams.batch import BatchCore
from streams.beside import beside
from streams.deadletters import DeadLetterLimit
from streams.errors import Fenced, Stop, StreamError, Unavailable
from streams.fold import FoldCore
from streams.garbage import rarely_collected
from streams.health import HealthServer
from streams.partition import Partition, translate
from streams.policies import Policies
from streams.reader import reading
from streams.settings import WorkerSettings
from streams.shapes import Batch, Fold, Pipeline, Role

_HEARTBEAT_S = 30.0
_STOP_DEADLINE_S = 9.0
_LOOK_S = 0.02
_ASK_AGAIN_S, _ASK_AGAIN_MOST_S = 0.2, 5.0
#: Writers that one line names.
_SHOWN = 3


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
        self.behind = False
        self.told_to_stop = False
        self._beat = wall.monotonic()
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
            if self.settings.health_port is not None:
                health = HealthServer(self.settings.health_host, self.settings.health_port, self.live, self.ready)
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
            return 0
        self.log.error("worker failed", why=f"{self.failure}", error=type(self.failure).__name__)
        return getattr(self.failure, "exit_code", 1)

    def _told_to_stop(self) -> None:
        self.told_to_stop = True
        self._done.set()

    async def _wait_for_kafka(self) -> None:
        delay, told = 0.2, False
        while not self._done.is_set():
            try:
                async with self.reader():
                    return
            except (KafkaError, OSError) as error:
                if not told:
                    self.log.warning("waiting for Kafka", kafka=self.settings.kafka, why=type(error).__name__)
                    told = True
            try:
                await asyncio.wait_for(self._done.wait(), delay)
            except TimeoutError:
                delay = min(delay * 2, 5.0)

    async def _work(self) -> None:
        self.app = faust_batch.make_app(
            self.group,
            self.settings.kafka,
            self,
            session_s=self.settings.session_s,
            heartbeat_s=self.settings.heartbeat_s,
        )
        self.app.finalize()
        for name in self.reads():
            self._listen(name)
        await self.prepare()
        await self.app.maybe_start()
        self._tasks += [asyncio.create_task(self._guard(task)) for task in (self._hints, *self.tasks())]
        self.log.info("worker started", group=self.group)
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
                await self.let_go()
                await self.app.stop()
        except TimeoutError:
            self.log.warning("did not stop in time; what is not sealed will be done again by the next owner")

    def fail(self, error: BaseException) -> None:
        """Stop the worker because of this; the first reason counts."""
        if self.failure is None:
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
        age = wall.monotonic() - self._beat
        return f"the event loop has been stuck for {age:.0f} s" if age > _HEARTBEAT_S else None

    def ready(self) -> str | None:
        """Assigned, recovered, and nothing awaited."""
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
            metrics.READY.labels(self.role.name).set(0 if self.ready() else 1)
            await asyncio.sleep(1.0)

    async def _hints(self) -> None:
        told: dict[TP, tuple[int, str]] = {}
        while True:
            await asyncio.sleep(self.settings.hint_s)
            hints = {tp: hint for tp, hint in self.hints().items() if told.get(tp) != hint}
            if not hints or self.rebalancing:
                continue
            try:
                await self.app.consumer.tell(
                    {TP(self.topic(tp.topic), tp.partition): hint for tp, hint in hints.items()}
                )
                told.update(hints)
            except KafkaError as error:
                # A hint only: the checkpoints hold the truth, and the next hint says the same and more.
                self.log.debug("offsets not told", why=type(error).__name__)

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

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """Background work while the worker runs."""
        return ()

    async def take(self, tp: TP, records: list[Any]) -> None:
        """A batch of raw records of one partition."""
        raise NotImplementedError

    def hints(self) -> dict[TP, tuple[int, str]]:
        """(next offset, event time in ms as text) by partition."""
        raise NotImplementedError

    async def let_go(self) -> None:
        """Seal everything before the end."""
        raise NotImplementedError

    def bare(self, tp: TP) -> TP:
        """A partition by our own topic name."""
        return TP(tp.topic.removeprefix(self.settings.prefix), tp.partition)


class DecidingWorker(RoleWorker):
    """A Batch or Fold."""

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
        wanted = {tp.partition for tp in partitions}
        for number in self.owned.keys() - wanted:
            await self._drop(number)
        fresh = wanted - self.owned.keys()
        await asyncio.gather(*(self._own(number) for number in sorted(fresh)))
        self.rebalancing, self.assigned_once = False, True
        metrics.PARTITIONS.labels(self.role.name).set(len(self.owned))
        self.log.info("partitions owned", partitions=sorted(self.owned))
        return {
            tp: self.owned[tp.partition].core.applied + 1 if self.owned[tp.partition].core.applied >= 0 else None
            for tp in partitions
        }

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
                    answers = await beside(question)
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

    async def _own(self, number: int) -> None:
        partition = self._parked.pop(number, None)
        if partition is None:
            partition = Partition(lambda: self._core(number), self)
        await partition.own()
        self.owned[number] = partition

    async def revoked(self, partitions: set[TP]) -> None:
        """Seal and let go; memory is kept in case it comes back unchanged."""
        self.rebalancing = True
        await asyncio.gather(*(self._drop(tp.partition) for tp in partitions if tp.partition in self.owned))

    async def _drop(self, number: int) -> None:
        partition = self.owned.pop(number)
        if await partition.release(seal=self.failure is None):
            self._parked[number] = partition

    async def take(self, tp: TP, records: list[Any]) -> None:
        """A batch of the inbox."""
        partition = self.owned.get(tp.partition)
        if partition is not None:
            await partition.offer(records)

    def hints(self) -> dict[TP, tuple[int, str]]:
        """What is sealed."""
        for number, partition in self.owned.items():
            metrics.APPLIED.labels(self.role.name, str(number)).set(partition.sealed)
            metrics.PARTITION_TIME.labels(self.role.name, str(number)).set(partition.sealed_time / 1000)
        return {
            TP(self.role.inbox, n): (p.sealed + 1, str(p.sealed_time)) for n, p in self.owned.items() if p.sealed >= 0
        }

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
