"""The watermark of a partition: the smallest of its writers' last Ticks, in ms of event time; it never decreases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from schemas.records import SourceIdle, Tick
from schemas.times import EARLIEST, LATEST

Writer = tuple[str, int]
"""(role, its input partition) of a writer of Ticks into a partition."""
#: ms; how far the broker's clock and the clock of a Tick's writer may differ before a Tick is refused.
MOST_APART = 300_000


class WrongTick(ValueError):
    """A Tick that must not change this partition's watermark."""


class ClockStep(WrongTick):
    """A Tick of the wall clock whose broker timestamp cannot be right."""


def sound(tick: Tick) -> Tick:
    """Returns the Tick; a time of 0 only says which clock the log follows. Raises WrongTick for a time before 2000 or after 9999."""
    if tick.time and not EARLIEST <= tick.time <= LATEST:
        raise WrongTick(f"a Tick of {tick.role}/{tick.partition} at {tick.time} ms: times are from 2000 to 9999")
    return tick


def stamped(tick: Tick, stamp: int, last: int) -> Tick:
    """Returns a Tick of the wall clock with the broker's timestamp (ms) as its time. `last` is the last time of its
    writer (ms).

    Raises ClockStep where the broker's clock has jumped: the timestamp is then far from the last time and also from the
    Tick's time, which is the writer's own clock. After an outage the timestamp is far from the last time only.
    """
    if tick.time and stamp - max(last, tick.time) > MOST_APART:
        raise ClockStep(
            f"the broker's clock is {(stamp - max(last, tick.time)) // 1000} s ahead of that of {tick.role}/{tick.partition} "
            "and of the last Tick: mend the clock that is wrong; time goes on with the next Tick that agrees"
        )
    if last - stamp > MOST_APART:
        raise ClockStep(
            f"the broker's clock is {(last - stamp) // 1000} s behind the last Tick of {tick.role}/{tick.partition}: mend it, "
            "time stands still until it is past that Tick"
        )
    return Tick(clock="wall", time=stamp, role=tick.role, partition=tick.partition)


class Watermark:
    """Follows the Ticks of an input partition."""

    def __init__(
        self,
        expected: frozenset[Writer],
        sources: frozenset[Writer] = frozenset(),
        *,
        kind: str | None = None,
        time: int = 0,
        last: Mapping[Writer, int] | None = None,
        idle: Iterable[Writer] = (),
    ) -> None:
        self.expected = expected
        """The writers of Ticks that the watermark waits for."""
        self.sources = sources
        """The writers whose Ticks are merged into those of the one expected writer. In the log their own names stand only
        where one of them became idle (SourceIdle) and where it came back (its Tick).
        """
        self.kind = kind
        """`wall` or `event`, from the first Tick; None before it."""
        self.time = time
        """ms; 0 until every writer has sent a Tick: nothing may be decided before."""
        self.last = {writer: at for writer, at in (last or {}).items() if writer in expected}
        """ms; the last Tick of each expected writer."""
        self.idle = set(idle)
        """Writers and sources that the watermark does not wait for until their next Tick."""
        self._behind = {w for w in expected - self.idle if self.last.get(w, 0) <= time}
        """Writers that delay the watermark. All writers are compared only when the last of these writers has
        advanced.
        """

    def tick(self, tick: Tick) -> None:
        """Takes a Tick. A Tick below its writer's last Tick changes nothing, and that of a source only says that it is not
        idle. Raises WrongTick.
        """
        writer = (tick.role, tick.partition)
        if writer in self.sources:
            self.idle.discard(writer)
            return
        if writer not in self.expected:
            raise WrongTick(f"a Tick of {tick.role}/{tick.partition}, which writes no time here")
        if self.kind is None:
            self.kind = tick.clock
        if tick.clock != self.kind:
            raise WrongTick(
                f"a Tick of the {tick.clock} clock, of {tick.role}/{tick.partition} in a log that follows {self.kind}"
            )
        if tick.time > self.last.get(writer, -1):
            self.last[writer] = tick.time
        if writer in self.idle:
            self.idle.discard(writer)
            self._behind.add(writer)
        if self.last.get(writer, 0) > self.time:
            self._behind.discard(writer)
            if not self._behind:
                self._advance()

    def pass_over(self, time: int) -> None:
        """Advances to this time (ms, of the event clock), as if every writer had sent a Tick of this time."""
        if time > self.time:
            self.kind = "event"
            self.time, self.last = time, dict.fromkeys(self.expected, time)
            self.idle.clear()
            self._behind = set(self.expected)

    def source_idle(self, source: SourceIdle) -> None:
        """Ignores this writer or source until its next Tick."""
        writer = (source.role, source.partition)
        if writer in self.sources:
            self.idle.add(writer)
        if writer in self.expected:
            self.idle.add(writer)
            self._behind.discard(writer)
            if not self._behind:
                self._advance()

    def _advance(self) -> None:
        times = {writer: self.last.get(writer, 0) for writer in self.expected - self.idle}
        if times:
            self.time = max(self.time, min(times.values()))
            self._behind = {writer for writer, time in times.items() if time <= self.time}

    def unheard(self) -> list[Writer]:
        """The writers whose first Tick is missing, so that the watermark is not known."""
        return sorted(writer for writer in self.expected - self.idle if not self.last.get(writer))

    def copy(self) -> Self:
        """A copy of the watermark, which advances independently."""
        return type(self)(self.expected, self.sources, kind=self.kind, time=self.time, last=self.last, idle=self.idle)

    def holding_back(self) -> list[Writer]:
        """The writers that delay the watermark; none where only one writer is not idle."""
        return sorted(self._behind) if len(self.expected - self.idle) > 1 else []
