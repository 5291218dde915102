"""Draws a week of several brands: posts and complaints by the hour, surges and crises."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from netcenter.charts.svg import COLOURS, LEFT, RIGHT, Panel, document, line, nice, text, when

_HOUR, _DAY = 3_600_000, 86_400_000
_HIGH, _GAP = 74, 40
_CRISIS = "#dc2626"
Span = tuple[int, int]


class Week(NamedTuple):
    """The curves and marks of one brand."""

    name: str
    posts: Counter[int]
    """by hour (ms)"""
    complaints: Counter[int]
    surges: list[Span]
    """(start, end) in ms"""
    crises: list[Span]


def picture(title: str, weeks: list[Week]) -> str:
    """Return the SVG's text."""
    first = min(min(week.posts) for week in weeks) // _DAY * _DAY
    last = max(max(week.posts) for week in weeks) + _HOUR
    parts = [
        text(LEFT, 62, "Posts in an hour (line), complaints among them (filled),", size=13),
        text(LEFT, 80, "open surges (shaded from the line at their opening), crises (red bar)", size=13),
    ]
    for n, week in enumerate(weeks):
        top = 126 + n * (_HIGH + _GAP)
        most = max(week.posts.values())
        step = nice(most / 2)
        panel = Panel(top, top + _HIGH, week.name, (first, last), -(-most // step) * step)
        days = range(first, last, _DAY) if n == len(weeks) - 1 else ()
        marks = [(v, f"{v}") for v in range(0, int(-(-most // step) * step) + 1, step)]
        panel.grid([(t, when(t)) for t in days], marks, "time, UTC" if days else "")
        for start, end in week.surges:
            panel.parts.append(_box(panel.x(start), top, panel.x(end), top + _HIGH, COLOURS[1], 0.15))
            panel.parts.append(line(panel.x(start), top, panel.x(start), top + _HIGH, COLOURS[1], width=1.6))
        for start, end in week.crises:
            panel.parts.append(_box(panel.x(start), top - 5, panel.x(end), top - 1, _CRISIS, 1))
        times = range(first, last, _HOUR)
        panel.curve([(t, week.complaints[t]) for t in times], _CRISIS, 0.6, fill=True)
        panel.curve([(t, week.posts[t]) for t in times], COLOURS[0], 1.2)
        parts += panel.parts
    return document(126 + len(weeks) * (_HIGH + _GAP) + 24, title, parts)


def _box(left: float, top: float, right: float, bottom: float, colour: str, opacity: float) -> str:
    right = min(max(right, left + 1), RIGHT)
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="{colour}" '
        f'fill-opacity="{opacity:g}"/>'
    )
