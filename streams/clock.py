"""A partition's time: the least of its writers' last Ticks; it never falls."""

from __future__ import annotations

from schemas.records import Tick, WriterExcused

Writer = tuple[str, int]


class WrongTick(ValueError):
    """A Tick that this partition must not follow."""


class PartitionClock:
    """Follows the Ticks of an inbox partition."""

    def __init__(self, expected: frozenset[Writer], *, kind: str | None = None, time: int = 0) -> None:
        self.expected = expected
        self.kind = kind
        """`wall` or `event`, from the first Tick; None before it."""
        self.time = time
        """ms; 0 before every writer was heard."""
        self.last: dict[Writer, int] = {}
        self.excused: set[Writer] = set()

    def tick(self, tick: Tick) -> None:
        """Take a Tick; one below its writer's last changes nothing. Raises WrongTick."""
        writer = (tick.role, tick.partition)
        if self.kind is None:
            self.kind = tick.clock
        if tick.clock != self.kind:
            raise WrongTick(f"a {tick.clock} Tick of {tick.role}/{tick.partition} in a log that follows {self.kind}")
        if writer not in self.expected:
            raise WrongTick(f"a Tick of {tick.role}/{tick.partition}, which writes no time here")
        self.excused.discard(writer)
        if tick.time > self.last.get(writer, -1):
            self.last[writer] = tick.time
        self._advance()

    def excuse(self, excused: WriterExcused) -> None:
        """From here on the least is taken without this writer, until its next Tick."""
        writer = (excused.role, excused.partition)
        if writer in self.expected:
            self.excused.add(writer)
            self._advance()

    def _advance(self) -> None:
        times = [self.last.get(writer, 0) for writer in self.expected - self.excused]
        if times:
            self.time = max(self.time, min(times))

    def awaited(self) -> list[Writer]:
        """The writers that hold time back, when they are not the only ones left."""
        heard = self.expected - self.excused
        return sorted(w for w in heard if self.last.get(w, 0) <= self.time) if len(heard) > 1 else []
