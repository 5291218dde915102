"""Fold: runs a pure Decider over one input partition, with timers; the same object over Kafka and in a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from agents.decider import At, Carried, Decider, State, Timer, Unusable, stepper
from agents.policy import Policy
from schemas import codec, ids
from schemas.keys import KEYLESS
from schemas.records import ClassifiedMention, PolicyChanged, Record, SourceIdle, Tick
from schemas.times import rfc3339
from streams.core import Core, DeadLetter, Fact, Result, Taken, where, why
from streams.timers import Timers
from streams.topology import Pipeline, Role
from streams.watermark import WrongTick

#: The most timers that one `take` fires, so that a Tick that jumps over months has a checkpoint every few seconds.
FIRED_AT_ONCE = 5_000
#: A record that sets a timer for the same moment more often than this would never stop.
_MOST_FIRINGS = 1_000


_Step = tuple[Fact, Record | Timer, int]
"""(a fact of the input topic, its record or a timer that it fires, the time at which that happens in ms)."""


class FoldCore(Core):
    """State, timers and outputs of one partition."""

    def __init__(
        self,
        pipeline: Pipeline,
        role: Role,
        number: int,
        partitions: int,
        policies: Callable[[int, str], Policy],
        decider: Decider,
        *,
        encodes: bool = True,
        form: int | None = None,
    ) -> None:
        super().__init__(pipeline, role, number, partitions, policies, encodes=encodes, form=form)
        self.decider = decider
        self._pack, self._unpack = codec.state_codec(decider.record_types)
        self.state: State[Any] = decider.initial()
        self.state.decode_with(self._unpack)
        self.touched: dict[str, None] = {}
        """Keys changed since the last checkpoint, in the order of their first change."""
        self._timers = Timers()
        self._step = stepper(decider, self.state)

    def restore(self, key: str, packed: bytes) -> None:
        """Restores a record of the changelog, of any form that this release reads. Raises FormError for another form."""
        packed = self.forms.current(key, packed)
        record = self._unpack(packed)
        self.state.restore(key, record, packed)
        self._timers.set(key, self.decider.due(record))

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """(key, packed record) of the records changed since the last checkpoint, for the changelog; None: removed."""
        write = self._write
        for key in self.touched:
            record = self.state.get(key)
            # The bytes are copied, because the state keeps them and the encoder's buffer is half as large again.
            value = None if record is None else bytes(memoryview(self._pack(record)))
            self.state.keep(key, value)
            yield key, value if write is None or value is None else write(key, value)

    def carried(self, carry: Callable[[str, Any], Carried]) -> Iterator[tuple[str, bytes, bytes]]:
        """(key, Kafka key in the input topic, value for the changelog) of every record, as another log takes it over.
        carry: as `Fold.carried`; raises Unusable.
        """
        write = self._write
        for key in self.state:
            by, record = carry(key, self.state[key])
            value = bytes(memoryview(self._pack(record)))
            yield key, by, value if write is None else write(key, value)
            self.state.cool()

    def committed(self) -> None:
        """Clears the list of changes, because the changelog now holds everything that `packed` returned."""
        self.touched.clear()
        self.state.cool()

    def due(self) -> int | None:
        """ms; when the next timer fires, or the start of the minute in which it fires."""
        return self._timers.next()

    def timers(self) -> int:
        """How many records have a timer."""
        return len(self._timers)

    def _take(self, facts: list[Fact]) -> Taken:
        """Takes all facts; where a Tick fires too many timers, this Tick and the facts after it are left."""
        results: list[Result] = []
        run: list[Fact] = []
        for n, fact in enumerate(facts):
            if type(fact.record) in KEYLESS:
                self._facts(run, results)
                run = []
                if not self._control(fact.record, fact, results):
                    return Taken(results, facts[n:])
                self.position = fact.offset + 1
            else:
                run.append(fact)
        self._facts(run, results)
        return Taken(results)

    def _facts(self, facts: list[Fact], results: list[Result]) -> None:
        if facts:
            time = self.watermark.time
            self._steps(((fact, fact.record, time) for fact in facts), results)
            self.position = facts[-1].offset + 1

    def _control(self, record: Record, fact: Fact, results: list[Result]) -> bool:
        """Takes a control record. False: some timers have not fired yet; the same Tick fires them when it is taken
        again.
        """
        if isinstance(record, Tick):
            try:
                self.watermark.tick(self.tick_of(fact, record, self.watermark))
            except WrongTick as error:
                results.append(DeadLetter(fact, "clock", type(error).__name__, why(error)))
                return True
            return self._fire(fact, results)
        elif isinstance(record, PolicyChanged):
            if self.in_force(record):
                results += self.handed_on(record, fact)
        elif isinstance(record, SourceIdle):
            self.watermark.source_idle(record)
            return self._fire(fact, results)
        else:
            raise TypeError(f"{type(record).__name__} is no control record")
        return True

    def _first_policy(self, fact: Fact) -> list[Result]:
        results: list[Result] = []
        self._control(fact.record, fact, results)
        return results

    def _fire(self, fact: Fact, results: list[Result]) -> bool:
        """Fires the timers that are due, in order, each at its own time. False: some may be left."""
        if fact.offset < self.known_from:
            return True
        return self._steps(self._dues(fact, results), results) < FIRED_AT_ONCE

    def _dues(self, fact: Fact, results: list[Result]) -> Iterator[_Step]:
        fired: dict[tuple[int, str], int] = {}
        pop, now, left = self._timers.pop, self.watermark.time, FIRED_AT_ONCE
        while left and (timer := pop(now)) is not None:
            at, key = timer
            times = fired[timer] = fired.get(timer, 0) + 1
            if times > _MOST_FIRINGS:
                what = f"{_named(Timer(key, at))} is asked for again and again"
                results.append(DeadLetter(fact, "decide", "EndlessTimer", what))
            else:
                left -= 1
                yield fact, Timer(key, at), at

    def _steps(self, steps: Iterable[_Step], results: list[Result]) -> int:
        """Takes steps in order and appends the events of each step. Returns how many steps there were."""
        policy, now, partial, number = self.policy, self.watermark.time, bool(self.watermark.idle), 0
        step, touched, route, timers = self._step, self.touched, self.route, self._timers
        for fact, record, time in steps:
            number += 1
            cause = record.mention.id if type(record) is ClassifiedMention else getattr(record, "id", "")
            # Positional arguments (time, seen, policy, cause, partial) cost half as much as named arguments.
            seen = time if time > now else now
            at = At(time, seen, policy, cause or ids.timer("fact", fact.offset), partial)  # type: ignore[arg-type]  # no fact comes before a policy
            written = len(results)
            try:
                wakes = step(record, at, route, fact, results)
            except Exception as error:  # noqa: BLE001 - whatever a decision raises: the step is undone and the fact becomes a dead letter
                # A timer whose step fails is not set again, because it would fire and fail without end.
                results[written:] = [DeadLetter(fact, "decide", type(error).__name__, _told(record, error))]
                continue
            for key, moment in wakes:
                touched[key] = None
                if moment != timers.get(key):
                    timers.set(key, moment)
        return number


def _named(timer: Timer) -> str:
    """The log names a timer by its id, which events carry as their cause, because its key would name a customer."""
    return f"timer {timer.id}, due {rfc3339(max(0, timer.at))},"


def _told(record: Record | Timer, error: Exception) -> str:
    what = _named(record) if isinstance(record, Timer) else type(record).__name__
    return f"{what}: {why(error) if isinstance(error, Unusable) else where(error)}"
