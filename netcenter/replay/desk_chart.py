"""The desks of two replays as an SVG: how much waits over time, how long it waits, and how busy each operator is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

from netcenter.charts.svg import COLOURS, Panel, document, nice, when
from netcenter.replay.comparison_chart import HOP_HOURS, MINUTES_MARKED, legend
from netcenter.replay.desk_figures import DeskVerdicts
from netcenter.replay.verdicts import HOUR, LONGEST, MINUTE

_HEIGHT = 1000
#: The most points of a curve over time.
_POINTS = 480


def desk_chart(names: Sequence[str], desks: Sequence[DeskVerdicts]) -> str:
    """The text of the SVG; the same records give the same bytes."""
    times = [found.queue_times() for found in desks]
    parts = [*legend(names), *_queued(times).parts, *_waited(times).parts, *_busy(desks).parts]
    return document(_HEIGHT, f"The desks under {names[0]} and {names[1]}", parts)


def _queued(times: Sequence[Sequence[tuple[int, int]]]) -> Panel:
    moments = [moment for found in times for stretch in found for moment in stretch] or [0, HOUR]
    first, last = min(moments) // MINUTE * MINUTE, max(moments) + MINUTE
    step = max(1, -(-(last - first) // (_POINTS * MINUTE))) * MINUTE
    curves = [_lengths(found, first, last, step) for found in times]
    most = max((count for curve in curves for _, count in curve), default=1) or 1
    mark = nice(most / 4)
    high = -(-most // mark) * mark
    panel = Panel(120, 330, "Cases that wait for an operator", (first, last), high)
    hop = next((h for h in HOP_HOURS if (last - first) / (h * HOUR) <= 12), HOP_HOURS[-1]) * HOUR
    marks = [(t, when(t)) for t in range(-(-first // hop) * hop, last + 1, hop)] if any(times) else []
    panel.grid(marks, [(n, f"{n:,}") for n in range(0, high + 1, mark)], "time, UTC")
    for number, (curve, colour) in enumerate(zip(curves, COLOURS, strict=True)):
        panel.curve(curve, colour, 3 - 1.2 * number, dashed=number == 1)
    return panel


def _lengths(times: Sequence[tuple[int, int]], first: int, last: int, step: int) -> list[tuple[int, int]]:
    """(ms, how many wait) at each step."""
    changes = [0] * ((last - first) // step + 2)
    for since, until in times:
        changes[-(-(since - first) // step)] += 1
        changes[-(-(until - first) // step)] -= 1
    return [(first + n * step, count) for n, count in enumerate(accumulate(changes[:-1]))]


def _waited(times: Sequence[Sequence[tuple[int, int]]]) -> Panel:
    scale: Callable[[float], float] = lambda minutes: math.log(max(0.5, minutes))  # noqa: E731 - one expression
    low = scale(0.5)
    panel = Panel(430, 640, "Share of the cases that no longer wait in the queue by then", (low, scale(LONGEST)), 1.0)
    marks = [(scale(m), f"{m} min" if m < 60 else f"{m // 60} h") for m in MINUTES_MARKED]
    panel.grid(marks, [(n / 4, f"{n * 25} %") for n in range(5)], "time in the queue")
    for number, (found, colour) in enumerate(zip(times, COLOURS, strict=True)):
        waited = sorted(until - since for since, until in found)
        count = max(1, len(waited))
        minutes = [0.5 * 1.12**n for n in range(80) if 0.5 * 1.12**n <= LONGEST]
        points, done = [], 0
        for minute in minutes:
            while done < len(waited) and waited[done] <= minute * MINUTE:
                done += 1
            points.append((scale(minute), done / count))
        panel.curve(points, colour, 3 - 1.2 * number, dashed=number == 1)
    return panel


def _busy(desks: Sequence[DeskVerdicts]) -> Panel:
    shares: list[list[float]] = []
    for desk in desks:
        loads = desk.figures().operators.values()
        shares.append(sorted((load.occupancy for load in loads if load.occupancy is not None), reverse=True))
    most = max((len(found) for found in shares), default=0) or 1
    panel = Panel(740, 930, "Occupancy of each operator, the busiest first", (0, most), 1.0)
    step = nice(most / 12)
    marks = [(n, f"{n}") for n in range(0, most + 1, step)]
    panel.grid(marks, [(n / 4, f"{n * 25} %") for n in range(5)], "operators")
    for number, (found, colour) in enumerate(zip(shares, COLOURS, strict=True)):
        edges = [(x, share) for n, share in enumerate(found) for x in (n, n + 1)]
        panel.curve(edges or [(0, 0.0)], colour, 3 - 1.2 * number, dashed=number == 1)
    return panel
