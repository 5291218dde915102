"""Batch: runs a Stage over one input topic partition; time and order are handed on in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agents.decider import At
from agents.policy import Policy
from schemas import codec
from schemas.records import ClassifiedMention, Mention, PolicyChanged, Record, Tick
from streams.clock import PartitionClock, WrongTick, sound, stamped
from streams.core import Core, Fact, Output, Result, SetAside, why
from streams.topology import Batch, Pipeline, Role, Stage


class BatchCore(Core):
    """One partition of a Batch. A wall clock's time is the broker's stamp of the Tick."""

    def __init__(
        self,
        pipeline: Pipeline,
        role: Role,
        number: int,
        partitions: Callable[[str], int],
        policies: Callable[[int, str], Policy],
        stage: Stage,
        *,
        encodes: bool = True,
    ) -> None:
        super().__init__(pipeline, role, number, partitions, policies, encodes=encodes)
        if not isinstance(role.shape, Batch):
            raise TypeError(f"{role.name} is no Batch")
        self.output_topic = role.shape.output_topic
        self.stage = stage

    def restore(self, key: str, packed: bytes) -> None:
        """Put back a record from the changelog."""
        self.stage.restore(key, packed)

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """What the changelog must hold of what has changed since the last checkpoint, by key; None: removed."""
        return self.stage.packed()

    def recall(self, record: Record, offset: int, time: int) -> None:
        """Take back a record of the output topic's tail."""
        self.stage.recall(record, offset, time)

    def due(self) -> int | None:
        """ms; when the stage has something to tell."""
        return self.stage.due()

    def pass_over(self, time: int) -> None:
        """Its stage too goes on."""
        super().pass_over(time)
        if self.stage.tick(time):
            raise RuntimeError(f"{self.role.name}/{self.number} had something to tell up to {time} ms")

    def question(self, facts: list[Fact]) -> Callable[[], Any] | None:
        """What must be asked before `take` may have these, as the stage says; of policy changes only the first may be one."""
        policy, first = self.policy, facts[0].record if facts else None
        if isinstance(first, PolicyChanged) and (policy is None or first.version > policy.version):
            policy = self.policies(first.version, first.hash)
        if policy is None or not self.clock.time:
            return None
        return self.stage.question((fact.record for fact in facts), policy)

    def _take(self, facts: list[Fact]) -> list[Result]:
        """Everything that follows from facts, in order."""
        results: list[Result] = []
        run: list[Fact] = []
        for fact in facts:
            if type(fact.record) in (Tick, PolicyChanged):
                results += self._run(run)
                run = []
                results += self._control(fact)
                self.applied = fact.offset
            else:
                run.append(fact)
        return results + self._run(run)

    def _control(self, fact: Fact) -> list[Result]:
        record = fact.record
        if isinstance(record, PolicyChanged):
            if not self.in_force(record):
                return []
            return [self._in_place(record, fact), *self.handed_on(record, fact)]
        if not isinstance(record, Tick):
            raise TypeError(f"{type(record).__name__} is no control record")
        before = self.clock.time
        try:
            self.clock.tick(self.tick_of(fact, record, self.clock))
        except WrongTick as error:
            return [SetAside(fact, "clock", type(error).__name__, why(error))]
        return self._began(fact) if self.clock.time > before else []

    def tick_of(self, fact: Fact, tick: Tick, clock: PartitionClock) -> Tick:
        """On the wall clock the broker's stamp counts."""
        if tick.clock == "wall" and clock.kind != "event":
            tick = stamped(tick, fact.stamp, clock.last.get((tick.role, tick.partition), 0))
        return sound(tick)

    def _began(self, fact: Fact) -> list[Result]:
        """A new time: the minutes that it ends, and its Tick; both stand before the facts that waited for it."""
        results: list[Result] = []
        for closed in self.stage.tick(self.clock.time):
            self.route(closed, fact, results)
        mine = Tick(clock=self.clock.kind, time=self.clock.time, role=self.role.name, partition=self.number)  # type: ignore[arg-type]
        return [*results, self._in_place(mine, fact)]

    def _in_place(self, record: Record, fact: Fact) -> Output:
        value = codec.encode(record) if self.encodes else None
        return Output(self.output_topic, None, value, record, fact, self.number)

    def _run(self, facts: list[Fact]) -> list[Result]:
        if not facts:
            return []
        now, policy = self.clock.time, self.policy
        at = At(time=now, seen=now, policy=policy, cause="")  # type: ignore[arg-type]  # no fact comes before a policy
        results: list[Result] = []
        outcomes = self.stage.run([(f.record, f.offset) for f in facts], at)
        for fact, outcome in zip(facts, outcomes, strict=True):
            if isinstance(outcome, Exception):
                results.append(SetAside(fact, "decide", type(outcome).__name__, why(outcome)))
            elif outcome is not None:
                results.append(self._outcome(outcome, fact))
            self.applied = fact.offset
        return results

    def _outcome(self, outcome: Record, fact: Fact) -> Output:
        """On the mirrored partition; where they can, the bytes pass as they came."""
        key = self.routes[type(outcome)][0][1](outcome)
        value = self._bytes(outcome, fact) if self.encodes else None
        return Output(self.output_topic, key, value, outcome, fact, self.number)

    def _bytes(self, outcome: Record, fact: Fact) -> bytes:
        if outcome is fact.record and fact.value is not None and codec.verbatim(fact.value, type(outcome)) is not None:
            return fact.value
        if isinstance(outcome, ClassifiedMention):
            mention = codec.verbatim(fact.value, Mention)
            if mention is not None:
                return codec.encode_classified(outcome, mention)
        return codec.encode(outcome)
