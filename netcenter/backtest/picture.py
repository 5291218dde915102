"""A chart of one series as SVG: its volume and usual level, its score, the labelled windows and the alerts."""

from __future__ import annotations

import math
from collections.abc import Iterable

from netcenter.backtest.judge import JudgedSeries
from netcenter.backtest.nab import Labels
from netcenter.charts.svg import COLOURS, LEFT, RIGHT, Panel, document, line, nice, text, when

_HEIGHT = 560
_DAY = 86_400_000
#: The most points of a curve: further points would use the same pixels.
_POINTS = 1_400
_WINDOW = "#f59e0b"
_SCORE = 3.0


def picture(judged: JudgedSeries, labels: Labels | None = None) -> str:
    """Return the SVG's text."""
    times, values = judged.series.times, judged.series.values
    span = (times[0], times[-1])
    scale = math.log1p
    top = max(values)
    volume = Panel(
        120,
        340,
        f"Posts in {judged.series.bin // 60_000} minutes (logarithmic), and the usual level",
        span,
        scale(max(top, 9)),
    )
    marks = [0, *(10**n for n in range(int(math.log10(max(top, 9))) + 1))]
    volume.grid([], [(scale(n), f"{n:,}") for n in marks], "")
    score = Panel(400, 490, "Score; 1 opens a burst", span, _SCORE)
    days = max(1, nice((span[1] - span[0]) / _DAY / 10)) * _DAY
    ticks = range(-(-span[0] // days) * days, span[1] + 1, days)
    score.grid([(t, when(t)) for t in ticks], [(n, f"{n}") for n in range(int(_SCORE) + 1)], "time, UTC")
    for panel in (volume, score):
        for a, b in labels.windows if labels is not None else ():
            panel.parts.append(_band(panel, max(a, span[0]), min(b, span[1]), _WINDOW, 0.18))
        for start, end in judged.bursts:
            until = times[min(end, len(times) - 1)]
            panel.parts.append(_band(panel, times[start], until, COLOURS[1], 0.15))
            x = panel.x(times[start])
            panel.parts.append(line(x, panel.top, x, panel.bottom, COLOURS[1], width=1.4))
    volume.curve(_thin([(t, scale(v)) for t, v in zip(times, values, strict=True)]), COLOURS[0], 1)
    volume.curve(_thin([(t, scale(v)) for t, v in zip(times, judged.usual, strict=True)]), "#111827", 1.6, dashed=True)
    score.curve(_thin([(t, min(v, _SCORE)) for t, v in zip(times, judged.scores, strict=True)]), COLOURS[0], 1)
    score.parts.append(line(LEFT, score.y(1), RIGHT, score.y(1), COLOURS[1], dash="4 3"))
    count = len(judged.bursts)
    said = f"{count} {'alert' if count == 1 else 'alerts'} (lines, and how long each burst lasted)"
    said += "; shaded wide: labelled windows" if labels is not None else ""
    head = text(LEFT, 66, said, size=14)
    return document(_HEIGHT, judged.series.name, [head, *volume.parts, *score.parts])


def _band(panel: Panel, start: float, end: float, colour: str, opacity: float) -> str:
    x, width = panel.x(start), max(1.0, panel.x(end) - panel.x(start))
    return (
        f'<rect x="{x:.1f}" y="{panel.top}" width="{width:.1f}" height="{panel.bottom - panel.top}" fill="{colour}" '
        f'fill-opacity="{opacity}"/>'
    )


def _thin(points: list[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """Return at most about _POINTS points: the highest point of each group of neighbours."""
    step = max(1, len(points) // _POINTS)
    return [max(points[i : i + step], key=lambda point: point[1]) for i in range(0, len(points), step)]
