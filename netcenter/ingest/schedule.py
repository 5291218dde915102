"""The order of play that ingest, replay and demo share: the lines of files and the Ticks between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netcenter.files.line import Line

TICK = 60_000
"""ms of event time between two Ticks of a played file."""


Due = Callable[[], int | None]
"""ms; when something that waits for time falls due, among all that was played up to the last Tick. None: nothing does."""


def play(
    lines: Iterable[Line], *, interval: int = TICK, until: int = 6 * 3_600_000, due: Due | None = None
) -> Iterator[Line | int]:
    """The lines in order of (at, number), and Ticks among them; holds all lines in memory, for sorting."""
    return with_ticks(sorted(lines, key=lambda line: (line.at, line.number)), interval=interval, until=until, due=due)


def with_ticks(
    lines: Iterable[Line], *, interval: int = TICK, until: int = 6 * 3_600_000, due: Due | None = None
) -> Iterator[Line | int]:
    """Lines that are in the order of play, and Ticks among them, each an int: its time in ms.

    The first Tick is the whole interval at or before the first line; then one stands on every whole interval before the
    first line at or after it; after the last line Ticks go on until one is at or past its time plus `until` (ms). No
    lines, no Ticks.

    due: asked after a Tick that no line follows; Ticks at which nothing is due and behind which nothing happens are
    left out. The one before something falls due stays, and so does the one before a line: what is decided then is
    decided at the same time as if every Tick had been played.
    """
    if interval <= 0:
        raise ValueError(f"interval: {interval} ms is no interval between Ticks; use 1 or more")
    tick = end = None
    for line in lines:
        if tick is None:
            tick = line.at // interval * interval
        yield from (ticks := _Ticks(tick, line.at // interval * interval, interval, due))
        tick = ticks.next
        end = line.at + until
        yield line
    if tick is not None and end is not None:
        yield from _Ticks(tick, -(-end // interval) * interval, interval, due)


class _Ticks:
    """Those from `next` to `last`, both inclusive: all of them, or those that matter."""

    def __init__(self, next: int, last: int, interval: int, due: Due | None) -> None:
        self.next, self.last, self.interval, self.due = next, last, interval, due

    def __iter__(self) -> Iterator[int]:
        while self.next <= self.last:
            yield self.next
            self.next += self.interval
            if self.due is not None and self.next < self.last:
                self._leave_out(self.due())

    def _leave_out(self, due: int | None) -> None:
        """Go on to the last before something is due."""
        before = self.last if due is None else -(-due // self.interval) * self.interval - self.interval
        self.next = max(self.next, min(self.last, before))
