"""The order of play that ingest, replay and demo share: the lines of files and the Ticks between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.files import Line

TICK = 60_000
"""ms of event time between two Ticks of a played file."""


def play(lines: Iterable[Line], *, interval: int = TICK, until: int = 6 * 3_600_000) -> Iterator[Line | int]:
    """The lines in order of (at, number), and Ticks among them; holds all lines in memory, for sorting."""
    return with_ticks(sorted(lines, key=lambda line: (line.at, line.number)), interval=interval, until=until)


def with_ticks(lines: Iterable[Line], *, interval: int = TICK, until: int = 6 * 3_600_000) -> Iterator[Line | int]:
    """Lines that are in the order of play, and Ticks among them, each an int: its time in ms.

    The first Tick is the whole interval at or before the first line; then one stands on every whole interval before the
    first line at or after it; after the last line Ticks go on until one is at or past its time plus `until` (ms). No
    lines, no Ticks. A gap in the file is walked Tick by Tick, one a minute: ten thousand a week.
    """
    if interval <= 0:
        raise ValueError(f"interval: {interval} ms is no interval between Ticks; use 1 or more")
    tick = end = None
    for line in lines:
        if tick is None:
            tick = line.at // interval * interval
        while tick <= line.at:
            yield tick
            tick += interval
        end = line.at + until
        yield line
    while tick is not None and end is not None and tick - interval < end:
        yield tick
        tick += interval
