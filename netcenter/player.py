"""The order of play that ingest, replay and demo share: a file's lines and the Ticks between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.files import Line

TICK = 60_000
"""ms of event time between two Ticks of a played file."""


def play(lines: Iterable[Line], *, interval: int = TICK, until: int = 6 * 3_600_000) -> Iterator[Line | int]:
    """The lines in order of (at, number), and Ticks among them, each an int: its time in ms.

    The first Tick is the whole interval at or before the first line; then one stands on every whole interval before the
    first line at or after it; after the last line Ticks go on until one is at or past its time plus `until` (ms). No
    lines, no Ticks. Holds all lines in memory, for sorting. A gap in the file is walked Tick by Tick, one a minute:
    ten thousand a week, which a replay passes in well under a second.
    """
    if interval <= 0:
        raise ValueError(f"interval: {interval} ms is no interval between Ticks; use 1 or more")
    ordered = sorted(lines, key=lambda line: (line.at, line.number))
    if not ordered:
        return
    tick = ordered[0].at // interval * interval
    for line in ordered:
        while tick <= line.at:
            yield tick
            tick += interval
        yield line
    end = ordered[-1].at + until
    while tick - interval < end:
        yield tick
        tick += interval
