"""Batch: runs a Stage over one input partition; its output partition mirrors the input partition's time and order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agents.decider import At
from agents.policy import Policy
from schemas import codec
from schemas.records import ClassifiedMention, Mention, PolicyChanged, Record, Tick
from streams.core import Core, DeadLetter, Fact, Output, Result, Taken, why
from streams.topology import Batch, Pipeline, Role, Stage
from streams.watermark import Watermark, WrongTick, sound, stamped


class BatchCore(Core):
    """One partition of a Batch. On the wall clock, the time of a Tick is the broker's timestamp."""

    def __init__(
        self,
        pipeline: Pipeline,
        role: Role,
        number: int,
        partitions: int,
        policies: Callable[[int, str], Policy],
        stage: Stage,
        *,
        encodes: bool = True,
        form: int | None = None,
    ) -> None:
        super().__init__(pipeline, role, number, partitions, policies, encodes=encodes, form=form)
        if not isinstance(role.shape, Batch):
            raise TypeError(f"{role.name} is no Batch")
        self.output_topic = role.shape.output_topic
        self.stage = stage

    def restore(self, key: str, packed: bytes) -> None:
        """Restores a record of the changelog, of any form that this release reads. Raises FormError for another form."""
        self.stage.restore(key, self.forms.current(key, packed))

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """(key, packed record) of each record that has changed since the last checkpoint, for the changelog; None:
        removed.
        """
        write = self._write
        for key, value in self.stage.packed():
            yield key, value if write is None or value is None else write(key, value)

    def recall(self, record: Record, offset: int, time: int) -> None:
        """Restores a record of the output topic's tail, as `Stage.recall` does."""
        self.stage.recall(record, offset, time)

    def due(self) -> int | None:
        """ms; when the stage next has something to write."""
        return self.stage.due()

    def pass_over(self, time: int) -> None:
        """Advances the stage too. Raises RuntimeError where the stage has something to write up to that time."""
        super().pass_over(time)
        if self.stage.tick(time):
            raise RuntimeError(f"{self.role.name}/{self.number} had something to tell up to {time} ms")

    def question(self, facts: list[Fact]) -> Callable[[], Any] | None:
        """The question that must be answered before `take` may have these facts, as `Stage.question`.

        Only the first of the facts may be a policy change.
        """
        policy, first = self.policy, facts[0].record if facts else None
        if isinstance(first, PolicyChanged) and (policy is None or first.version > policy.version):
            policy = self.policies(first.version, first.hash)
        if policy is None or not self.watermark.time:
            return None
        return self.stage.question((fact.record for fact in facts), policy)

    def _take(self, facts: list[Fact]) -> Taken:
        """Takes all facts, in order."""
        results: list[Result] = []
        run: list[Fact] = []
        for fact in facts:
            if type(fact.record) in (Tick, PolicyChanged):
                results += self._run(run)
                run = []
                results += self._control(fact)
                self.position = fact.offset + 1
            else:
                run.append(fact)
        return Taken(results + self._run(run))

    def _control(self, fact: Fact) -> list[Result]:
        record = fact.record
        if isinstance(record, PolicyChanged):
            if not self.in_force(record):
                return []
            return [self._in_place(record, fact), *self.handed_on(record, fact)]
        if not isinstance(record, Tick):
            raise TypeError(f"{type(record).__name__} is no control record")
        before = self.watermark.time
        try:
            self.watermark.tick(self.tick_of(fact, record, self.watermark))
        except WrongTick as error:
            return [DeadLetter(fact, "clock", type(error).__name__, why(error))]
        return self._new_time(fact) if self.watermark.time > before else []

    def _first_policy(self, fact: Fact) -> list[Result]:
        return self._control(fact)

    def tick_of(self, fact: Fact, tick: Tick, watermark: Watermark) -> Tick:
        """The Tick; on the wall clock its time is the broker's timestamp. Raises WrongTick."""
        if tick.clock == "wall" and watermark.kind != "event":
            tick = stamped(tick, fact.stamp, watermark.last.get((tick.role, tick.partition), 0))
        return sound(tick)

    def _new_time(self, fact: Fact) -> list[Result]:
        """The Volumes of the minutes that the new watermark ends, and its Tick; both come before the facts that waited
        for it.
        """
        results: list[Result] = []
        for closed in self.stage.tick(self.watermark.time):
            self.route(closed, fact, results)
        mine = Tick(clock=self.watermark.kind, time=self.watermark.time, role=self.role.name, partition=self.number)  # type: ignore[arg-type]
        return [*results, self._in_place(mine, fact)]

    def _in_place(self, record: Record, fact: Fact) -> Output:
        value = codec.encode(record) if self.encodes else None
        return Output(self.output_topic, None, value, record, fact, self.number)

    def _run(self, facts: list[Fact]) -> list[Result]:
        if not facts:
            return []
        now, policy = self.watermark.time, self.policy
        at = At(time=now, seen=now, policy=policy, cause="")  # type: ignore[arg-type]  # no fact comes before a policy
        results: list[Result] = []
        outcomes = self.stage.run([(f.record, f.offset) for f in facts], at)
        for fact, outcome in zip(facts, outcomes, strict=True):
            if isinstance(outcome, Exception):
                results.append(DeadLetter(fact, "decide", type(outcome).__name__, why(outcome)))
            elif outcome is not None:
                results.append(self._outcome(outcome, fact))
        self.position = facts[-1].offset + 1
        return results

    def _outcome(self, outcome: Record, fact: Fact) -> Output:
        """The result as a record for the mirrored partition; it reuses the fact's bytes where nothing has changed."""
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
