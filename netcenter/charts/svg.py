"""Draws charts as SVG text: frames, curves and words. The same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.sax.saxutils import escape

LEFT, RIGHT, WIDTH = 76, 936, 960
INK, FAINT = "#1f2937", "#e5e7eb"
COLOURS = ("#1f5fbf", "#c2410c")
Points = Iterable[tuple[float, float]]


class Panel:
    """One chart in a picture: its frame, and the pixel position of a pair of values in it."""

    def __init__(self, top: int, bottom: int, title: str, x: tuple[float, float], high: float) -> None:
        self.top, self.bottom, self._low, self._span, self._high = top, bottom, x[0], max(x[1] - x[0], 1e-9), high
        self.parts = [text(LEFT, top - 16, title, size=15, weight="600")]

    def x(self, value: float) -> float:
        """Return the pixels from the left edge for a value of the x axis."""
        return LEFT + (value - self._low) / self._span * (RIGHT - LEFT)

    def y(self, value: float) -> float:
        """Return the pixels from the top edge for a value of the y axis."""
        return self.bottom - value / self._high * (self.bottom - self.top)

    def grid(self, xs: Iterable[tuple[float, str]], ys: Iterable[tuple[float, str]], unit: str) -> None:
        """Draw horizontal lines with the values `ys`, marks with the values `xs` below, and the unit of the x axis."""
        for value, word in ys:
            self.parts.append(line(LEFT, self.y(value), RIGHT, self.y(value), FAINT))
            self.parts.append(text(LEFT - 8, self.y(value) + 4, word, anchor="end"))
        for value, word in xs:
            self.parts.append(line(self.x(value), self.bottom, self.x(value), self.bottom + 5, INK))
            self.parts.append(text(self.x(value), self.bottom + 20, word, anchor="middle"))
        self.parts.append(line(LEFT, self.bottom, RIGHT, self.bottom, INK))
        self.parts.append(text(RIGHT, self.bottom + 40, unit, anchor="end"))

    def curve(self, points: Points, colour: str, width: float, *, dashed: bool = False, fill: bool = False) -> None:
        """Draw a line through points; with `fill`, the area below it is tinted."""
        found = [(self.x(x), self.y(y)) for x, y in points]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in found)
        if fill:
            end = f" L{found[-1][0]:.1f},{self.bottom} L{found[0][0]:.1f},{self.bottom} Z"
            self.parts.append(f'<path d="{path}{end}" fill="{colour}" fill-opacity="0.12"/>')
        dash = ' stroke-dasharray="7 4"' if dashed else ""
        style = f'fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{dash}'
        self.parts.append(f'<path d="{path}" {style}/>')


def document(height: int, title: str, parts: Iterable[str]) -> str:
    """Return a whole SVG document with a title and the parts."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif" fill="{INK}">'
    )
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, ground, text(LEFT, 36, title, size=20, weight="600"), *parts, "</svg>"]) + "\n"


def nice(least: float) -> int:
    """Return the first of 1, 2, 5, 10, 20, 50 … that is at least `least`."""
    ten = 1
    while True:
        for one in (1, 2, 5):
            if one * ten >= least:
                return one * ten
        ten *= 10


def when(ms: int) -> str:
    """Return the label of a time mark (UTC): the day at midnight, otherwise the time of day."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%b}" if moment.hour == 0 else f"{moment:%H:%M}"


def line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dash: str = "", width: float = 1) -> str:
    """Return a line from (x1, y1) to (x2, y2)."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashes}/>'


def text(
    x: float, y: float, word: str, *, size: int = 12, anchor: str = "start", weight: str = "400", colour: str = INK
) -> str:
    """Return a text at the point (x, y)."""
    style = f'font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(word)}</text>'
