"""The worker of a deciding role: owns partitions, commits their checkpoints, and gets the answers to the stages'
questions.
"""

from __future__ import annotations

import asyncio
import random
import time as wall
from collections.abc import Callable
from functools import partial
from typing import Any

from faust.types import TP

from agents.decider import Unanswered
from streams import metrics
from streams.batch import BatchCore
from streams.committed_offsets import CommittedOffset
from streams.core import STAGES
from streams.cores import new_core, written_forms
from streams.errors import Misconfigured
from streams.fold import FoldCore
from streams.merged_clock import MergedClock
from streams.partition import Partition
from streams.position_check import Claim
from streams.quiet_log import QuietLog, rest_s
from streams.recovery import restore
from streams.settings import WorkerSettings
from streams.threads import in_thread
from streams.tick_writer import TickWriter
from streams.topology import Batch, Pipeline, Role
from streams.wall_clock import WallClock
from streams.worker import RoleWorker

_LOOK_S = 0.02
_ASK_AGAIN_S, _ASK_AGAIN_MOST_S = 0.2, 5.0
#: The most writers that a log line names.
_SHOWN = 3


class DecidingWorker(RoleWorker):
    """The worker of a Batch or a Fold."""

    claim = Claim(
        "has read",
        "what it remembers is of an older topic of that name, or this one was cut. Restore it, or give this log a prefix of "
        "its own (NETCENTER_PREFIX, then `netcenter topics apply`)",
    )

    stages = STAGES

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings) -> None:
        super().__init__(pipeline, role, settings)
        self.owned: dict[int, Partition] = {}
        self._parked: dict[int, Partition] = {}
        """Partitions that were handed over properly: their state in memory is still valid if nobody else has written
        meanwhile.
        """
        self._ticks = TickWriter(settings.kafka, self.log)
        groups = [self.topic(other.name) for other in pipeline.roles if other.decides]
        self._quiet_log = QuietLog(groups, self.reader, self.log)
        self._wall_clock = WallClock(self.owned, self._quiet_log, self._ticks)
        sources, given = pipeline.sources(role, settings.partitions), (self.owned, self.reader, self._ticks, self.log)
        self.merged_clock = (
            MergedClock(self.topic(pipeline.watermarks), role.name, sources, *given) if sources else None
        )
        """The time of the role's input topic, where the records of several partitions come together in it."""
        self.unanswered: dict[str, str] = {}
        """Why a question is not answered, by the partition that waits for it."""
        self._form, self.progress_form = written_forms(role, settings.upgrade_from)

    def make_core(self, number: int) -> FoldCore | BatchCore:
        """A new core of an input partition."""
        return new_core(self.pipeline, self.role, number, self.settings.partitions, self.policies.get, form=self._form)

    # --- owning -------------------------------------------------------------------------------------------------

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Recovers every partition that is new here. Returns the position of each, None where nothing was committed."""
        term, wanted = self.term, {tp.partition for tp in partitions}
        for number in self.owned.keys() - wanted:
            await self._release(number)
        fresh = wanted - self.owned.keys()
        await asyncio.gather(*(self._own(number, term) for number in sorted(fresh)))
        if term != self.term:
            return {}
        self.begins(len(self.owned))
        self.log.info("partitions owned", partitions=sorted(self.owned))
        return {tp: self.owned[tp.partition].core.position or None for tp in partitions}

    async def start_positions(self, own: dict[TP, int | None], committed: dict[TP, int]) -> dict[TP, int]:
        """The positions as for every role. Also raises Misconfigured for an empty changelog: the group's offset says
        that a checkpoint was committed.
        """
        for tp, at in own.items():
            if at is None and committed.get(tp, 0) > 0:
                raise Misconfigured(
                    f"{self.role.name} has read {self.own_name(tp).topic}/{tp.partition} up to offset {committed[tp]}, its group "
                    f"says, but {self.role.changelog}/{tp.partition} is empty: it was deleted, and going on would begin "
                    f"with an empty state. {restore(self.role.name)}"
                )
        return await super().start_positions(own, committed)

    async def _own(self, number: int, term: int) -> None:
        partition = self._parked.pop(number, None)
        if partition is None:
            partition = Partition(lambda: self.make_core(number), self)
        try:
            await partition.own()
        except asyncio.CancelledError:
            await partition.release(commit=False)
            raise
        if term == self.term:
            self.owned[number] = partition
        else:
            await partition.release(commit=False)

    async def revoked(self, partitions: set[TP]) -> None:
        """Commits these partitions and hands them over."""
        self.rebalancing = True
        self.rebalance.moved()
        self.term += 1
        await asyncio.gather(*(self._release(tp.partition) for tp in partitions))

    async def _release(self, number: int) -> None:
        partition = self.owned.pop(number, None)
        if partition is None:
            return
        if await partition.release(commit=self.failure is None):
            self._parked[number] = partition
        metrics.forget(self.role.name, self.role.input_topic, number, str(number))

    async def hand_over(self) -> None:
        """Commits everything and gives up all partitions, before the worker ends."""
        await asyncio.gather(*(self._release(number) for number in list(self.owned)))

    # --- the work -----------------------------------------------------------------------------------------------

    async def take(self, tp: TP, records: list[Any]) -> None:
        """Queues a batch of the input topic."""
        partition = self.owned.get(tp.partition)
        if partition is not None:
            await partition.offer(records)

    async def answer(self, partition: str, question: Callable[[], Any]) -> Any:
        """The answer to a stage's question. It is asked in a thread, repeatedly until there is an answer."""
        delay = _ASK_AGAIN_S
        try:
            while True:
                try:
                    answers = await in_thread(question, f"{self.role.name}: asking")
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

    def tasks(self) -> tuple[Callable[[], Any], ...]:
        """Commits checkpoints, and writes the Ticks of the input topic: of the wall clock, or those that merge the time of its
        sources.
        """
        if isinstance(self.role.shape, Batch):
            watch = partial(self._quiet_log.watch, self._wall_clock.quiet_s, self.settings.tick_s)
            return self._commit_checkpoints, self._tick_by_the_wall, watch
        if self.merged_clock is None:
            return (self._commit_checkpoints,)
        return self._commit_checkpoints, self.merged_clock.follow, partial(self._merge_time, self.merged_clock)

    async def _tick_by_the_wall(self) -> None:
        async with self._ticks:
            await self._wall_clock.tick(self.pipeline.clock_role, self.settings.tick_s, rest_s(self.settings))

    async def _merge_time(self, clock: MergedClock) -> None:
        async with self._ticks:
            await clock.append(self.settings.tick_s, self.settings.source_idle_s)

    async def _commit_checkpoints(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            now = wall.monotonic()
            await asyncio.gather(*(p.commit() for p in self.owned.values() if p.commit_due(now)))
            for partition in list(self.owned.values()):
                await partition.send_small(now)

    def kafka_silent(self) -> None:
        """Starts every source's time of silence again when Kafka answers again."""
        if self.merged_clock is not None:
            self.merged_clock.start_over()

    # --- what it says --------------------------------------------------------------------------------------------

    def committed_offsets(self) -> dict[TP, CommittedOffset]:
        """The position and event time in the last checkpoint of each partition."""
        found = {}
        for number, partition in self.owned.items():
            committed = partition.checkpoints.committed
            metrics.COMMITTED_OFFSET.labels(self.role.name, self.role.input_topic, str(number)).set(committed.offset)
            metrics.WATERMARK_SECONDS.labels(self.role.name, str(number)).set(committed.time / 1000)
            if committed.offset:
                found[TP(self.role.input_topic, number)] = committed
        return found

    def waits(self) -> bool:
        """As for every role; also where a stage's question has no answer."""
        return super().waits() or bool(self.unanswered)

    def ready(self) -> str | None:
        """The checks of every role; a deciding role must also have answers to its questions, the Ticks of its sources, a
        watermark wherever facts wait, and a policy.
        """
        owned, unread = list(self.owned.values()), None if self.merged_clock is None else self.merged_clock.unread
        waiting = [*self.unanswered.values(), unread, *map(self._timeless, owned), *map(self._without_policy, owned)]
        return super().ready() or next(filter(None, waiting), None)

    def _without_policy(self, partition: Partition) -> str | None:
        if partition.core.policy is not None:
            return None
        before = [role.name for role in self.pipeline.roles if self.role.input_topic in role.writes]
        remedy = f"it comes from {', '.join(before)}" if before else "run `netcenter topics apply`"
        return f"waiting for the first policy: {partition.name} holds none yet; {remedy}"

    def _timeless(self, partition: Partition) -> str | None:
        if not partition.core.waits_to_begin or partition.core.watermark.time:
            return None
        unheard = partition.core.heard.unheard() if self.merged_clock is None else self.merged_clock.unheard()
        writers = [f"{role}/{number}" for role, number in unheard or partition.core.heard.unheard()]
        shown = ", ".join(writers[:_SHOWN]) + (f" and {len(writers) - _SHOWN} more" if len(writers) > _SHOWN else "")
        whose = f"{self.role.name}'" if self.role.name.endswith("s") else f"{self.role.name}'s"
        return f"time is not known yet in {whose} partition {partition.name}: no Tick of {shown} yet"
