"""A partition's time: the least of its writers' last Ticks; it never falls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from schemas.records import Tick, WriterExcused
from schemas.times import EARLIEST, LATEST

Writer = tuple[str, int]
#: ms; how far the broker's clock and that of a Tick's writer may disagree before a jump is no longer believed.
MOST_APART = 300_000


class WrongTick(ValueError):
    """A Tick that this partition must not follow."""


class ClockStep(WrongTick):
    """A Tick of the wall clock whose stamp cannot be the time."""


def sound(tick: Tick) -> Tick:
    """The Tick; 0 only says which clock the log follows. Raises WrongTick for a time that nobody can mean."""
    if tick.time and not EARLIEST <= tick.time <= LATEST:
        raise WrongTick(f"a Tick of {tick.role}/{tick.partition} at {tick.time} ms: times are from 2000 to 9999")
    return tick


def stamped(tick: Tick, stamp: int, last: int) -> Tick:
    """A Tick of the wall clock as it counts: at the broker's stamp (ms). `last` is the last time of its writer (ms).

    Raises WrongTick where the broker's clock has stepped: the stamp is then far from both the last one and the
    writer's own clock, which is the Tick's time. After an outage the stamp is far from the last one alone.
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


class PartitionClock:
    """Follows the Ticks of an input topic partition."""

    def __init__(
        self,
        expected: frozenset[Writer],
        *,
        kind: str | None = None,
        time: int = 0,
        last: Mapping[Writer, int] | None = None,
        excused: Iterable[Writer] = (),
    ) -> None:
        self.expected = expected
        self.kind = kind
        """`wall` or `event`, from the first Tick; None before it."""
        self.time = time
        """ms; 0 before every writer was heard: time is not known yet, and nothing may be decided."""
        self.last = dict(last or {})
        """ms; the last Tick of each writer."""
        self.excused = set(excused)
        self._behind = {w for w in expected - self.excused if self.last.get(w, 0) <= time}
        """Those who hold time back: it goes on when the last of them has said more, and only then are all compared."""

    def tick(self, tick: Tick) -> None:
        """Take a Tick; one below its writer's last changes nothing. Raises WrongTick."""
        writer = (tick.role, tick.partition)
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
        if writer in self.excused:
            self.excused.discard(writer)
            self._behind.add(writer)
        if self.last.get(writer, 0) > self.time:
            self._behind.discard(writer)
            if not self._behind:
                self._advance()

    def pass_over(self, time: int) -> None:
        """As if every writer had told this time (ms), of the event clock."""
        if time > self.time:
            self.kind = "event"
            self.time, self.last = time, dict.fromkeys(self.expected, time)
            self.excused.clear()
            self._behind = set(self.expected)

    def excuse(self, excused: WriterExcused) -> None:
        """From here on the least is taken without this writer, until its next Tick."""
        writer = (excused.role, excused.partition)
        if writer in self.expected:
            self.excused.add(writer)
            self._behind.discard(writer)
            if not self._behind:
                self._advance()

    def _advance(self) -> None:
        times = {writer: self.last.get(writer, 0) for writer in self.expected - self.excused}
        if times:
            self.time = max(self.time, min(times.values()))
            self._behind = {writer for writer, time in times.items() if time <= self.time}

    def unheard(self) -> list[Writer]:
        """The writers without whose first Tick time is not known."""
        return sorted(writer for writer in self.expected - self.excused if not self.last.get(writer))

    def copy(self) -> Self:
        """The same time, to be followed further on its own."""
        return type(self)(self.expected, kind=self.kind, time=self.time, last=self.last, excused=self.excused)

    def awaited(self) -> list[Writer]:
        """The writers that hold time back, when they are not the only ones left."""
        return sorted(self._behind) if len(self.expected - self.excused) > 1 else []
