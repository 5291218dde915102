"""Fold: runs a pure Decider over one input topic partition, with timers; the same object over Kafka and in a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from agents.decider import At, Decider, State, Timer, Unusable, stepper
from agents.policy import Policy
from schemas import codec, ids
from schemas.keys import KEYLESS
from schemas.records import ClassifiedMention, PolicyChanged, Record, Tick, WriterExcused
from schemas.times import rfc3339
from streams.clock import WrongTick
from streams.core import Core, Fact, Result, SetAside, where, why
from streams.timers import Timers
from streams.topology import Pipeline, Role

#: Timers that one `take` fires, and no more: a jump of months wakes everybody, and is a checkpoint every few seconds.
FIRED_AT_ONCE = 5_000
#: A record that asks to be woken at one moment more often than this would do so for ever.
_MOST_FIRINGS = 1_000


_Step = tuple[Fact, Record | Timer, int]
"""A fact of the input topic; it, or a timer that it fires; and the time at which that happens (ms)."""


class FoldCore(Core):
    """State, timers and outputs of one partition."""

    def __init__(
        self,
        pipeline: Pipeline,
        role: Role,
        number: int,
        partitions: Callable[[str], int],
        policies: Callable[[int, str], Policy],
        decider: Decider,
        *,
        encodes: bool = True,
    ) -> None:
        super().__init__(pipeline, role, number, partitions, policies, encodes=encodes)
        self.decider = decider
        self._pack, self._unpack = codec.state_codec(decider.record_types)
        self.state: State[Any] = decider.initial()
        self.state.decode_with(self._unpack)
        self.touched: dict[str, None] = {}
        """Keys changed since the last checkpoint, in the order of their first change."""
        self._timers = Timers()
        self._step = stepper(decider, self.state)

    def restore(self, key: str, packed: bytes) -> None:
        """Put back a record from the changelog."""
        record = self._unpack(packed)
        self.state.restore(key, record, packed)
        self._timers.set(key, self.decider.due(record))

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """What the changelog must hold of the records touched since the last checkpoint, by key; None: removed."""
        for key in self.touched:
            record = self.state.get(key)
            # Copied, for the encoder leaves half as much again behind the bytes, and they stay.
            value = None if record is None else bytes(memoryview(self._pack(record)))
            self.state.keep(key, value)
            yield key, value

    def sealed(self) -> None:
        """The changelog holds all that `packed` gave."""
        self.touched.clear()
        self.state.cool()

    def due(self) -> int | None:
        """ms; when the next timer fires, or the minute in which it does."""
        return self._timers.next()

    def timers(self) -> int:
        """How many records wait to be woken."""
        return len(self._timers)

    def _take(self, facts: list[Fact]) -> list[Result]:
        """Everything that follows from facts, in order; where a Tick fires too many timers, up to one of these."""
        results: list[Result] = []
        run: list[Fact] = []
        for n, fact in enumerate(facts):
            if type(fact.record) in KEYLESS:
                self._facts(run, results)
                run = []
                if not self._control(fact.record, fact, results):
                    self.left = facts[n:]
                    return results
                self.applied = fact.offset
            else:
                run.append(fact)
        self._facts(run, results)
        return results

    def _facts(self, facts: list[Fact], results: list[Result]) -> None:
        if facts:
            time = self.clock.time
            self._steps(((fact, fact.record, time) for fact in facts), results)
            self.applied = facts[-1].offset

    def _control(self, record: Record, fact: Fact, results: list[Result]) -> bool:
        """False: there is more to it. Taken again, a Tick goes on with the timers that are left, also after a restart."""
        if isinstance(record, Tick):
            try:
                self.clock.tick(self.tick_of(fact, record, self.clock))
            except WrongTick as error:
                results.append(SetAside(fact, "clock", type(error).__name__, why(error)))
                return True
            return self._fire(fact, results)
        elif isinstance(record, PolicyChanged):
            if self.in_force(record):
                results += self.handed_on(record, fact)
        elif isinstance(record, WriterExcused):
            self.clock.excuse(record)
            return self._fire(fact, results)
        else:
            raise TypeError(f"{type(record).__name__} is no control record")
        return True

    def _fire(self, fact: Fact, results: list[Result]) -> bool:
        """Step through the jump: each due in order, at its own time. False: some may be left."""
        if fact.offset < self.known_from:
            return True
        return self._steps(self._dues(fact, results), results) < FIRED_AT_ONCE

    def _dues(self, fact: Fact, results: list[Result]) -> Iterator[_Step]:
        fired: dict[tuple[int, str], int] = {}
        pop, now, left = self._timers.pop, self.clock.time, FIRED_AT_ONCE
        while left and (timer := pop(now)) is not None:
            at, key = timer
            times = fired[timer] = fired.get(timer, 0) + 1
            if times > _MOST_FIRINGS:
                what = f"{_named(Timer(key, at))} is asked for again and again"
                results.append(SetAside(fact, "decide", "EndlessTimer", what))
            else:
                left -= 1
                yield fact, Timer(key, at), at

    def _steps(self, steps: Iterable[_Step], results: list[Result]) -> int:
        """Append what follows from each step, and say how many there were."""
        policy, now, partial, number = self.policy, self.clock.time, bool(self.clock.excused), 0
        touched, route, timers = self.touched, self.route, self._timers
        step = self._step
        for fact, record, time in steps:
            number += 1
            cause = record.mention.id if type(record) is ClassifiedMention else getattr(record, "id", "")
            # By position, which costs half: time, seen, policy, cause, partial.
            seen = time if time > now else now
            at = At(time, seen, policy, cause or ids.timer("fact", fact.offset), partial)  # type: ignore[arg-type]  # no fact comes before a policy
            written = len(results)
            try:
                wakes = step(record, at, route, fact, results)
            except Exception as error:  # noqa: BLE001 - whatever a decision raises: the step is undone and the fact set aside
                # A timer that has fired stays so: it would fire and fail again and again.
                results[written:] = [SetAside(fact, "decide", type(error).__name__, _told(record, error))]
                continue
            for key, moment in wakes:
                touched[key] = None
                if moment != timers.get(key):
                    timers.set(key, moment)
        return number


def _named(timer: Timer) -> str:
    """By its id, which events have as their cause: its key names a customer."""
    return f"timer {timer.id}, due {rfc3339(max(0, timer.at))},"


def _told(record: Record | Timer, error: Exception) -> str:
    what = _named(record) if isinstance(record, Timer) else type(record).__name__
    return f"{what}: {why(error) if isinstance(error, Unusable) else where(error)}"
