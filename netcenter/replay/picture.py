"""Two policies over the same past as an SVG: when clocks became late, and how soon people answered beside the targets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from netcenter.replay.figures import HOUR, LONGEST, MINUTE, Verdicts

_WIDTH, _HEIGHT = 960, 720
_LEFT, _RIGHT = 76, 936
_COLOURS = ("#1f5fbf", "#c2410c")
_INK, _FAINT = "#1f2937", "#e5e7eb"
#: Hours of one bar: the first with which a picture has no more than _MOST of them.
_BARS, _MOST = (1, 2, 3, 6, 12, 24, 24 * 7), 240
_HOURS = (1, 2, 3, 6, 12, 24, 48, 24 * 7, 24 * 28)
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, LONGEST)
Points = Iterable[tuple[float, float]]


class _Panel:
    """One chart: its frame, and where a pair of values lies in it."""

    def __init__(self, top: int, bottom: int, title: str, x: tuple[float, float], high: float) -> None:
        self.top, self.bottom, self._low, self._span, self._high = top, bottom, x[0], max(x[1] - x[0], 1e-9), high
        self.parts = [_text(_LEFT, top - 16, title, size=15, weight="600")]

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return _LEFT + (value - self._low) / self._span * (_RIGHT - _LEFT)

    def y(self, value: float) -> float:
        """Pixels from above."""
        return self.bottom - value / self._high * (self.bottom - self.top)

    def grid(self, xs: Iterable[tuple[float, str]], ys: Iterable[tuple[float, str]], unit: str) -> None:
        """Lines across with their values, marks below with theirs, and the unit of what lies along the bottom."""
        for value, word in ys:
            self.parts.append(_line(_LEFT, self.y(value), _RIGHT, self.y(value), _FAINT))
            self.parts.append(_text(_LEFT - 8, self.y(value) + 4, word, anchor="end"))
        for value, word in xs:
            self.parts.append(_line(self.x(value), self.bottom, self.x(value), self.bottom + 5, _INK))
            self.parts.append(_text(self.x(value), self.bottom + 20, word, anchor="middle"))
        self.parts.append(_line(_LEFT, self.bottom, _RIGHT, self.bottom, _INK))
        self.parts.append(_text(_RIGHT, self.bottom + 40, unit, anchor="end"))

    def curve(self, points: Points, colour: str, width: float, *, dashed: bool = False, fill: bool = False) -> None:
        """A line through points, with a tint below it."""
        found = [(self.x(x), self.y(y)) for x, y in points]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in found)
        if fill:
            end = f" L{found[-1][0]:.1f},{self.bottom} L{found[0][0]:.1f},{self.bottom} Z"
            self.parts.append(f'<path d="{path}{end}" fill="{colour}" fill-opacity="0.12"/>')
        dash = ' stroke-dasharray="7 4"' if dashed else ""
        style = f'fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dash}'
        self.parts.append(f'<path d="{path}" {style}/>')


def picture(names: Sequence[str], verdicts: Sequence[Verdicts]) -> str:
    """The SVG's text: the same for the same verdicts, byte by byte."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 36, f"First responses under {names[0]} and {names[1]}", size=20, weight="600"),
        *_legend(names),
        *_late([found.breaches() for found in verdicts]).parts,
        *_answered([found.answered() for found in verdicts], [found.targets() for found in verdicts]).parts,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _late(breaches: Sequence[Counter[int]]) -> _Panel:
    hours = [hour for found in breaches for hour in found] or [0]
    first, last = min(hours), max(hours) + HOUR
    width = next((w for w in _BARS if (last - first) / (w * HOUR) <= _MOST), _BARS[-1]) * HOUR
    first, last = first // width * width, -(-last // width) * width
    bars = [Counter[int]() for _ in breaches]
    for bar, found in zip(bars, breaches, strict=True):
        for hour, count in found.items():
            bar[hour // width * width] += count
    most = max((count for bar in bars for count in bar.values()), default=1)
    step = _nice(most / 4)
    per = "hour" if width == HOUR else f"{width // HOUR} hours"
    high = -(-most // step) * step
    panel = _Panel(120, 330, f"Clocks that became late, per {per}", (first, last), high)
    hop = next((h for h in _HOURS if (last - first) / (h * HOUR) <= 12), _HOURS[-1]) * HOUR
    times = range(-(-first // hop) * hop, last + 1, hop) if hours != [0] else ()
    panel.grid([(t, _when(t)) for t in times], [(n, f"{n:,}") for n in range(0, high + 1, step)], "time, UTC")
    for bar, colour in zip(bars, _COLOURS, strict=True):
        edges = [(x, float(bar[t])) for t in range(first, last, width) for x in (t, t + width)]
        panel.curve([(first, 0.0), *edges, (last, 0.0)], colour, 1.8, fill=True)
    return panel


def _answered(shares: Sequence[Sequence[float]], targets: Sequence[Sequence[int]]) -> _Panel:
    scale: Callable[[float], float] = lambda minutes: math.log(max(1.0, minutes))  # noqa: E731 - one expression
    title = "Share of the clocks answered by then; dotted: the policies' targets"
    panel = _Panel(430, 650, title, (0.0, scale(LONGEST)), 1.0)
    marks = [(scale(m), f"{m} min" if m < 60 else f"{m // 60} h") for m in _MINUTES]
    panel.grid(marks, [(n / 4, f"{n * 25} %") for n in range(5)], "time since the post")
    # The second lies on the first wherever both policies time the same posts: it is thinner and broken.
    for number, (found, colour) in enumerate(zip(shares, _COLOURS, strict=True)):
        points = [(scale(minute), share) for minute, share in enumerate(found) if minute]
        panel.curve(points, colour, 4 - 1.8 * number, dashed=number == 1)
    for number, (found_targets, colour) in enumerate(zip(targets, _COLOURS, strict=True)):
        for target in found_targets:
            x = panel.x(scale(min(target / MINUTE, LONGEST))) + 2 * number
            panel.parts.append(_line(x, panel.top, x, panel.bottom, colour, dash="2 3"))
            word = f"{target // MINUTE:g} min"
            panel.parts.append(_text(x + 5, panel.bottom - 26 + 16 * number, word, colour=colour, size=11))
    return panel


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], float(_LEFT)
    for number, (name, colour) in enumerate(zip(names, _COLOURS, strict=True)):
        dash = "7 4" if number else ""
        parts += [_line(x, 64, x + 34, 64, colour, dash=dash, width=4 - 1.8 * number), _text(x + 42, 69, name, size=14)]
        x += 42 + 9 * len(name) + 34
    return parts


def _nice(least: float) -> int:
    """The first of 1, 2, 5, 10, 20, 50 … that is not less."""
    ten = 1
    while True:
        for one in (1, 2, 5):
            if one * ten >= least:
                return one * ten
        ten *= 10


def _when(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%b}" if moment.hour == 0 else f"{moment:%H:%M}"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dash: str = "", width: float = 1) -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashes}/>'


def _text(
    x: float, y: float, word: str, *, size: int = 12, anchor: str = "start", weight: str = "400", colour: str = _INK
) -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(word)}</text>'
