"""The comparison of two policies as an SVG: when clocks became late, and response times compared with the targets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from netcenter.charts.svg import COLOURS, LEFT, Panel, document, line, nice, text, when
from netcenter.replay.verdicts import HOUR, LONGEST, MINUTE, Verdicts

_HEIGHT = 720
#: Possible widths of a bar in hours; the first width with which the chart has at most _MOST bars is used.
_BARS, _MOST = (1, 2, 3, 6, 12, 24, 24 * 7), 240
#: Possible distances in hours between two marks of time.
HOP_HOURS = (1, 2, 3, 6, 12, 24, 48, 24 * 7, 24 * 28)
#: Marks of a scale of minutes.
MINUTES_MARKED = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, LONGEST)


def chart(names: Sequence[str], verdicts: Sequence[Verdicts]) -> str:
    """The text of the SVG; the same verdicts give the same bytes."""
    parts = [
        *legend(names),
        *_late([found.breaches() for found in verdicts]).parts,
        *_answered([found.answered() for found in verdicts], [found.targets() for found in verdicts]).parts,
    ]
    return document(_HEIGHT, f"First responses under {names[0]} and {names[1]}", parts)


def _late(breaches: Sequence[Counter[int]]) -> Panel:
    hours = [hour for found in breaches for hour in found] or [0]
    first, last = min(hours), max(hours) + HOUR
    width = next((w for w in _BARS if (last - first) / (w * HOUR) <= _MOST), _BARS[-1]) * HOUR
    first, last = first // width * width, -(-last // width) * width
    bars = [Counter[int]() for _ in breaches]
    for bar, found in zip(bars, breaches, strict=True):
        for hour, count in found.items():
            bar[hour // width * width] += count
    most = max((count for bar in bars for count in bar.values()), default=1)
    step = nice(most / 4)
    per = "hour" if width == HOUR else f"{width // HOUR} hours"
    high = -(-most // step) * step
    panel = Panel(120, 330, f"Clocks that became late, per {per}", (first, last), high)
    hop = next((h for h in HOP_HOURS if (last - first) / (h * HOUR) <= 12), HOP_HOURS[-1]) * HOUR
    times = range(-(-first // hop) * hop, last + 1, hop) if hours != [0] else ()
    panel.grid([(t, when(t)) for t in times], [(n, f"{n:,}") for n in range(0, high + 1, step)], "time, UTC")
    for bar, colour in zip(bars, COLOURS, strict=True):
        edges = [(x, float(bar[t])) for t in range(first, last, width) for x in (t, t + width)]
        panel.curve([(first, 0.0), *edges, (last, 0.0)], colour, 1.8, fill=True)
    return panel


def _answered(shares: Sequence[Sequence[float]], targets: Sequence[Sequence[int]]) -> Panel:
    scale: Callable[[float], float] = lambda minutes: math.log(max(1.0, minutes))  # noqa: E731 - one expression
    title = "Share of the clocks answered by then; dotted: the policies' targets"
    panel = Panel(430, 650, title, (0.0, scale(LONGEST)), 1.0)
    marks = [(scale(m), f"{m} min" if m < 60 else f"{m // 60} h") for m in MINUTES_MARKED]
    panel.grid(marks, [(n / 4, f"{n * 25} %") for n in range(5)], "time since the post")
    # The second curve covers the first where both policies time the same posts, so the second is thinner and dashed.
    for number, (found, colour) in enumerate(zip(shares, COLOURS, strict=True)):
        points = [(scale(minute), share) for minute, share in enumerate(found) if minute]
        panel.curve(points, colour, 4 - 1.8 * number, dashed=number == 1)
    for number, (found_targets, colour) in enumerate(zip(targets, COLOURS, strict=True)):
        for target in found_targets:
            x = panel.x(scale(min(target / MINUTE, LONGEST))) + 2 * number
            panel.parts.append(line(x, panel.top, x, panel.bottom, colour, dash="2 3"))
            word = f"{target // MINUTE:g} min"
            panel.parts.append(text(x + 5, panel.bottom - 26 + 16 * number, word, colour=colour, size=11))
    return panel


def legend(names: Sequence[str]) -> list[str]:
    """A line of each colour with its name."""
    parts, x = [], float(LEFT)
    for number, (name, colour) in enumerate(zip(names, COLOURS, strict=True)):
        dash = "7 4" if number else ""
        parts += [line(x, 64, x + 34, 64, colour, dash=dash, width=4 - 1.8 * number), text(x + 42, 69, name, size=14)]
        x += 42 + 9 * len(name) + 34
    return parts
