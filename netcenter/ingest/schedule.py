"""The order of play that ingest, replay and demo share: lines by time, and the Ticks between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netcenter.files.line import Line

TICK = 60_000
"""ms of event time between two Ticks of a played file."""


Due = Callable[[], int | None]
"""Returns the time (ms) of the next due timer after everything that was played so far; None: no timer waits."""


def in_order_of_play(
    lines: Iterable[Line], *, interval: int = TICK, run_on: int = 6 * 3_600_000, due: Due | None = None
) -> Iterator[Line | int]:
    """The lines by time, and Ticks among them as `with_ticks` adds them."""
    return with_ticks(by_time(lines), interval=interval, run_on=run_on, due=due)


def by_time(lines: Iterable[Line]) -> list[Line]:
    """The lines in order of (at, number). All of them are held in memory: for files see `netcenter.files.file_order`."""
    return sorted(lines, key=lambda line: (line.at, line.number))


def with_ticks(
    lines: Iterable[Line], *, interval: int = TICK, run_on: int = 6 * 3_600_000, due: Due | None = None
) -> Iterator[Line | int]:
    """Lines that are in order of play, and Ticks among them. A Tick is an int: its time in ms.

    1. The first Tick is at the last multiple of `interval` (ms) at or before the first line.
    2. A Tick is at every further multiple, and comes before the first line at or after this time.
    3. After the last line, Ticks go on until one is at or past that line's time plus `run_on` (ms).

    Without lines there are no Ticks. due: called after a Tick that no line follows. Ticks without a due timer and
    without a line after them are then left out, except for the last Tick before a timer or a line: so every decision
    has the same time as if every Tick had been played. Raises ValueError for an interval below 1.
    """
    if interval <= 0:
        raise ValueError(f"interval: {interval} ms is no interval between Ticks; use 1 or more")
    tick = end = None
    for line in lines:
        if tick is None:
            tick = line.at // interval * interval
        yield from (ticks := _Ticks(tick, line.at // interval * interval, interval, due))
        tick = ticks.next
        end = line.at + run_on
        yield line
    if tick is not None and end is not None:
        yield from _Ticks(tick, -(-end // interval) * interval, interval, due)


class _Ticks:
    """The Ticks from `next` to `last`, both included; where `due` is given, only the Ticks that change something."""

    def __init__(self, next: int, last: int, interval: int, due: Due | None) -> None:
        self.next, self.last, self.interval, self.due = next, last, interval, due

    def __iter__(self) -> Iterator[int]:
        while self.next <= self.last:
            yield self.next
            self.next += self.interval
            if self.due is not None and self.next < self.last:
                self._skip_to(self.due())

    def _skip_to(self, due: int | None) -> None:
        """Jumps to the last Tick before the next timer, or to `last`."""
        before = self.last if due is None else -(-due // self.interval) * self.interval - self.interval
        self.next = max(self.next, min(self.last, before))
