"""The page that the demo leaves: one HTML file with the timeline as inline SVG. It needs no script and no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, NamedTuple

from netcenter.demo.played_timeline import LABELS, AlertSpan, PlayedTimeline, SurgeSpan, TimelineBin

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_UNITS = ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))
#: The distances between two marks of the time axis, ms.
_MARKS = (
    *(n * _MINUTE for n in (1, 5, 15, 30)),
    *(n * _HOUR for n in (1, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 30, 91, 365, 1_826, 3_650)),
)
#: The most surges that the page names, and the most alerts; and the most lanes of alerts in the picture.
_MOST, _ALERTS, _LANES = 26, 15, 8
_SEVERITIES = ("info", "warning", "page")
_PLURALS = {"complaint": "complaints", "question": "questions", "praise": "praise", "other": "other posts"}
_KINDS = {"sla_breach": "overdue cases", "surge": "surge"}

_LIGHT = {
    "ground": "#ffffff",
    "card": "#f6f7f9",
    "ink": "#1f2937",
    "soft": "#5b6472",
    "faint": "#e2e5ea",
    "complaint": "#c8431a",
    "question": "#2563c9",
    "praise": "#1d8a4b",
    "other": "#a3abb8",
    "band": "#f2b13c",
    "late": "#b3261e",
    "answer": "#0f7f78",
    "page": "#b3261e",
    "warning": "#d97a06",
    "info": "#2563c9",
}
_STROKES = {"grid": "faint", "axis": "soft", "edge": "band"}
"""By class: the colour of a line."""
_DARK = {
    "ground": "#12161c",
    "card": "#1b212a",
    "ink": "#e6e9ee",
    "soft": "#a2abb9",
    "faint": "#2d3642",
    "complaint": "#f2774a",
    "question": "#6ea3f7",
    "praise": "#4dbd7d",
    "other": "#717b8b",
    "band": "#e0a52f",
    "late": "#f2736b",
    "answer": "#3fbdb4",
    "page": "#f2736b",
    "warning": "#eea23c",
    "info": "#6ea3f7",
}


def _variables(colours: dict[str, str]) -> str:
    return (
        ":root { color-scheme: light dark; "
        + " ".join(f"--{name}: {colour};" for name, colour in colours.items())
        + " }"
    )


def _filled(name: str) -> str:
    """The class of a shape, with its light colour for a viewer that does not apply a page's styles to its pictures."""
    return f'class="{name}" fill="{_LIGHT[name]}"'


def _stroked(name: str) -> str:
    """The same of a line."""
    return f'class="{name}" stroke="{_LIGHT[_STROKES[name]]}"'


_STYLE = (
    f"""
{_variables(_LIGHT)}
@media (prefers-color-scheme: dark) {{ {_variables(_DARK)} }}
"""
    + """* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; padding: 0; }
.tiles div { flex: 1 1 6.5rem; background: var(--card); border-radius: .5rem; padding: .5rem .8rem; }
.tiles dt { color: var(--soft); font-size: .85rem; } .tiles dd { margin: 0; font-size: 1.35rem; font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .5rem 0; padding: 0; list-style: none; font-size: .9rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; margin-right: .35rem; vertical-align: -.05rem; }
svg { display: block; width: 100%; height: auto; font-size: 12px; } svg text { fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .head { font-weight: 600; font-size: 13px; }
.grid { stroke: var(--faint); } .axis { stroke: var(--soft); } .hit { fill: transparent; }
.hit:hover { fill: var(--ink); fill-opacity: .08; }
.complaint { fill: var(--complaint); background: var(--complaint); } .question { fill: var(--question); background: var(--question); }
.praise { fill: var(--praise); background: var(--praise); } .other { fill: var(--other); background: var(--other); }
.late { fill: var(--late); background: var(--late); } .answer { fill: var(--answer); background: var(--answer); }
.band { fill: var(--band); fill-opacity: .2; background: var(--band); } .edge { stroke: var(--band); stroke-width: 1.5; }
.page { fill: var(--page); background: var(--page); } .warning { fill: var(--warning); background: var(--warning); }
.info { fill: var(--info); background: var(--info); }
.narrow { display: none; } @media (max-width: 40rem) { .wide { display: none; } .narrow { display: block; } }
.told { list-style: none; padding: 0; margin: 0; } .told li { padding: .35rem 0; border-top: 1px solid var(--faint); }
.told time { color: var(--soft); font-variant-numeric: tabular-nums; margin-right: .5rem; white-space: nowrap; }
.told b { font-weight: 600; margin-right: .35rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); }
th, td { padding: .15rem .7rem .15rem 0; text-align: right; border-bottom: 1px solid var(--faint); }
th:first-child { text-align: left; white-space: nowrap; }
.scroll { overflow-x: auto; } pre { background: var(--card); border-radius: .5rem; padding: .7rem .9rem; overflow-x: auto; }
summary { cursor: pointer; }
"""
)


class DemoPage(NamedTuple):
    """What the page tells."""

    timeline: PlayedTimeline
    figures: dict[str, Any]
    """as `netcenter.demo.summary.summary` gives them"""
    played: str
    """what was played: "the story of the demo", or the name of a file"""
    commands: Sequence[str]
    """what to look at next"""
    kept: bool
    """whether the demo still runs"""


def page(told: DemoPage) -> str:
    """The page as HTML. Every text from outside is escaped."""
    timeline = told.timeline
    title = f"Netcenter: {told.played}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="soft">{escape(_when_and_who(told))}</p>',
            _tiles(told.figures),
            *(
                _pictures(timeline)
                if timeline.bins
                else ["<p>There was nothing to draw: no post and no answer was played.</p>"]
            ),
            _happened(timeline),
            _next(told),
            _table(timeline) if timeline.bins else "",
            "</main></body></html>",
            "",
        ]
    )


def _when_and_who(told: DemoPage) -> str:
    bins, length = told.timeline.bins, told.timeline.bin
    whose = f" about {_listed(told.timeline.brands)}" if told.timeline.brands else ""
    span = f"{_moment(bins[0].start)} to {_moment(bins[-1].start + length)} (UTC)" if bins else "No time passed"
    return f"{span}: posts{whose}, answered or not, played through Kafka in {told.figures['seconds']} s."


def _listed(words: Sequence[str]) -> str:
    shown = list(words[:3]) + ([f"{len(words) - 3} more"] if len(words) > 3 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _tiles(figures: dict[str, Any]) -> str:
    told = (
        ("posts", "mentions"),
        ("answers", "replies"),
        ("cases", "cases"),
        ("answered late or never", "breaches"),
        ("surges", "surges"),
        ("alerts", "alerts_opened"),
        ("dead letters", "dead_letters"),
    )
    return (
        '<dl class="tiles">'
        + "".join(f"<div><dt>{word}</dt><dd>{figures[name]:,}</dd></div>" for word, name in told)
        + "</dl>"
    )


# --- the picture -----------------------------------------------------------------------------------------------------


def _pictures(timeline: PlayedTimeline) -> Iterator[str]:
    """The legend, and the picture in two widths: a style shows the one that fits."""
    words = [(label, _PLURALS[label]) for label in LABELS]
    words += [("late", "overdue"), ("answer", "answers by people")]
    words += [("band", "a surge runs")] if timeline.surges else []
    if timeline.alerts:
        words += [(name, f"alert: {name}") for name in _SEVERITIES]
    yield "<h2>What happened when</h2>"
    yield '<ul class="legend">' + "".join(f'<li><i class="{name}"></i>{word}</li>' for name, word in words) + "</ul>"
    yield TimelinePicture(timeline, 960, "wide").svg()
    yield TimelinePicture(timeline, 400, "narrow").svg()


class TimelinePicture:
    """The timeline as SVG in one width."""

    def __init__(self, timeline: PlayedTimeline, width: int, name: str) -> None:
        self._told, self._width, self._name = timeline, width, name
        self._left, self._right = 46, width - 8
        self._first = timeline.bins[0].start
        self._span = timeline.bins[-1].start + timeline.bin - self._first
        self._parts: list[str] = []
        self._y = 0

    def svg(self) -> str:
        """The picture: posts, overdue clocks, answers, alerts, one below the other over the same time."""
        told, unit = self._told, _duration(self._told.bin)
        bins = told.bins
        tops = [self._y]
        self._bars(f"Posts in {unit}", 190, [(label, [one.posts[label] for one in bins]) for label in LABELS])
        self._bars("Clocks overdue at that time", 90, [("late", [one.overdue for one in bins])])
        self._bars(f"Answers in {unit}", 90, [("answer", [one.answers for one in bins])])
        if told.alerts:
            self._lanes()
        bottom = self._y
        self._time_axis()
        bands = list(self._surges(tops[0] + 24, bottom))
        hits = list(self._hits(tops[0] + 24, bottom)) if self._name == "wide" else []
        name = f"{self._name}-title"
        hidden = ' aria-hidden="true"' if self._name == "narrow" else ""
        head = (
            f'<svg class="{self._name}" viewBox="0 0 {self._width} {self._y}" font-size="12" role="img" aria-labelledby="{name}"{hidden}>'
            f'<title id="{name}">Posts by label, overdue clocks, answers and alerts over time; the table below has the figures</title>'
        )
        return "\n".join([head, *bands, *self._parts, *hits, "</svg>"])

    def _x(self, at: float) -> float:
        return self._left + min(1.0, max(0.0, (at - self._first) / self._span)) * (self._right - self._left)

    def _bars(self, title: str, height: int, series: list[tuple[str, list[int]]]) -> None:
        """Stacked bars, with a scale at the left."""
        top = self._y + 24
        bottom = top + height
        high = max(1, *(sum(counts) for counts in zip(*(values for _, values in series), strict=True)))
        high = _ceiling(high)
        scale = height / high
        self._parts.append(f'<text class="head" x="0" y="{self._y + 14}">{escape(title)}</text>')
        for value in sorted({0, high // 2, high}):
            y = bottom - value * scale
            self._parts.append(
                f'<line {_stroked("grid")} x1="{self._left}" x2="{self._right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self._parts.append(
                f'<text class="soft" x="{self._left - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
            )
        below = [0] * len(self._told.bins)
        gap = 0.0 if len(self._told.bins) > 60 else 1.0
        for name, values in series:
            path = []
            for n, (one, value) in enumerate(zip(self._told.bins, values, strict=True)):
                if value:
                    x, right = self._x(one.start), self._x(one.start + self._told.bin)
                    y, tall = bottom - (below[n] + value) * scale, value * scale
                    path.append(f"M{x:.1f},{y:.1f}h{max(0.8, right - x - gap):.1f}v{tall:.1f}H{x:.1f}z")
                    below[n] += value
            if path:
                self._parts.append(f'<path {_filled(name)} d="{"".join(path)}"/>')
        self._parts.append(
            f'<line {_stroked("axis")} x1="{self._left}" x2="{self._right}" y1="{bottom}" y2="{bottom}"/>'
        )
        self._y = bottom + 14

    def _lanes(self) -> None:
        """A bar for each alert, in a lane of its kind and brand; of its kind alone where there are many. The gravest is on top."""
        alerts = sorted(self._told.alerts, key=lambda one: _SEVERITIES.index(one.severity))
        lanes: dict[str, list[AlertSpan]] = {}
        for one in alerts:
            lanes.setdefault(f"{_kind(one.kind)}, {one.brand}", []).append(one)
        if len(lanes) > _LANES:
            lanes = {}
            for one in alerts:
                lanes.setdefault(_kind(one.kind), []).append(one)
        self._parts.append(f'<text class="head" x="0" y="{self._y + 14}">Alerts</text>')
        y = self._y + 24
        for name in sorted(lanes, key=lambda name: min(one.start for one in lanes[name])):
            self._parts.append(f'<text class="soft" x="{self._left}" y="{y + 11}">{escape(name)}</text>')
            y += 16
            for one in lanes[name]:
                x = self._x(one.start)
                end = self._x(one.end if one.end is not None else self._first + self._span)
                self._parts.append(
                    f'<rect {_filled(one.severity)} x="{x:.1f}" y="{y}" width="{max(3.0, end - x):.1f}" height="9" rx="3">'
                    f"<title>{escape(_moment(one.start))}: {escape(one.summary)}</title></rect>"
                )
            y += 18
        self._y = y

    def _time_axis(self) -> None:
        most = 10 if self._width > 600 else 4
        step = next((mark for mark in _MARKS if self._span / mark <= most), _MARKS[-1])
        for at in range(-(-self._first // step) * step, self._first + self._span + 1, step):
            x = self._x(at)
            anchor = "start" if x < self._left + 20 else "end" if x > self._right - 20 else "middle"
            self._parts.append(
                f'<line {_stroked("axis")} x1="{x:.1f}" x2="{x:.1f}" y1="{self._y}" y2="{self._y + 5}"/>'
            )
            self._parts.append(
                f'<text class="soft" x="{x:.1f}" y="{self._y + 19}" text-anchor="{anchor}">{_mark(at, step)}</text>'
            )
        self._parts.append(
            f'<text class="soft" x="{self._right}" y="{self._y + 36}" text-anchor="end">time, UTC</text>'
        )
        self._y += 44

    def _surges(self, top: int, bottom: int) -> Iterator[str]:
        for letter, one in _lettered(self._told.surges):
            x, end = self._x(one.start), self._x(one.end if one.end is not None else self._first + self._span)
            place = f'x="{x:.1f}" y="{top}" width="{max(2.0, end - x):.1f}" height="{bottom - top}"'
            yield f'<rect {_filled("band")} fill-opacity="0.2" {place}/>'
            yield f'<line {_stroked("edge")} x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            yield f'<text class="head" x="{x + 3:.1f}" y="{top + 11}">{letter}</text>'

    def _hits(self, top: int, bottom: int) -> Iterator[str]:
        """Over each bin a field that says its figures to whoever points at it."""
        for one in self._told.bins:
            x, right = self._x(one.start), self._x(one.start + self._told.bin)
            yield (
                f'<rect class="hit" fill="none" pointer-events="all" x="{x:.1f}" y="{top}" width="{right - x:.1f}" height="{bottom - top}">'
                f"<title>{escape(_in_words(one, self._told.bin))}</title></rect>"
            )


# --- in words --------------------------------------------------------------------------------------------------------


def _happened(timeline: PlayedTimeline) -> str:
    """The surges and alerts in the order of time."""
    gravest = sorted(timeline.alerts, key=lambda one: (-_SEVERITIES.index(one.severity), one.start))[:_ALERTS]
    rows = [(one.start, f"Surge {letter}", _of_surge(one)) for letter, one in _lettered(timeline.surges)]
    rows += [(one.start, _kind(one.kind).capitalize(), _of_alert(one)) for one in gravest]
    if not rows:
        return "<h2>Surges and alerts</h2><p>There was no surge and no alert.</p>"
    told = "".join(
        f'<li><time datetime="{_iso(at)}">{_moment(at)}</time><b>{escape(head)}</b>{escape(words)}</li>'
        for at, head, words in sorted(rows)
    )
    more = len(timeline.alerts) + len(timeline.surges) - len(rows)
    rest = f'<p class="soft">and {more:,} more of lower severity, or later</p>' if more else ""
    return f'<h2>Surges and alerts</h2><ol class="told">{told}</ol>{rest}'


def _of_surge(one: SurgeSpan) -> str:
    where = one.brand + (f", {one.scope} {one.name}".rstrip() if one.scope != "brand" else "")
    lasted = f"lasted {_lasted(one.end - one.start)}" if one.end is not None else "was still running at the end"
    return f"{where}: {one.peak:.1f} times the usual at its height, {lasted}{', a crisis' if one.crisis else ''}."


def _of_alert(one: AlertSpan) -> str:
    over = f" Over after {_lasted(one.end - one.start)}." if one.end is not None else " It still fires at the end."
    return f"({one.severity}) {one.summary.rstrip('.')}.{over}"


def _next(told: DemoPage) -> str:
    lines = "\n".join(escape(line) for line in told.commands)
    where = (
        "as the demo has printed it"
        if told.kept
        else "after <code>netcenter demo --keep</code>, which leaves everything running"
    )
    return f'<h2>What to look at next</h2><p class="soft">On the command line, {where}:</p><pre>{lines}</pre>'


def _table(timeline: PlayedTimeline) -> str:
    """The figures of the picture, for screen readers and for whoever wants them exactly."""
    heads = ["from (UTC)", *(_PLURALS[label] for label in LABELS), "answers", "overdue"]
    rows = "".join(
        f'<tr><th scope="row">{_moment(one.start)}</th>'
        + "".join(
            f"<td>{value:,}</td>" for value in [*(one.posts[label] for label in LABELS), one.answers, one.overdue]
        )
        + "</tr>"
        for one in timeline.bins
        if any(one.posts.values()) or one.answers or one.overdue
    )
    head = "".join(f'<th scope="col">{word}</th>' for word in heads)
    return (
        f"<h2>The figures</h2><details><summary>Each {_duration(timeline.bin).removeprefix('1 ')} as a table</summary>"
        f'<div class="scroll"><table><caption>Posts by label and answers in {_duration(timeline.bin)}, and the clocks overdue at its '
        f"end; rows without any are left out</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _lettered(surges: Sequence[SurgeSpan]) -> Iterable[tuple[str, SurgeSpan]]:
    """Each surge with its letter, from A to Z."""
    return [(chr(ord("A") + n), one) for n, one in enumerate(surges[:_MOST])]


def _kind(kind: str) -> str:
    return _KINDS.get(kind, kind.replace("_", " "))


def _in_words(one: TimelineBin, length: int) -> str:
    posts = ", ".join(f"{count:,} {_PLURALS[label]}" for label, count in one.posts.items() if count) or "no posts"
    return f"{_moment(one.start)}, {_duration(length)}: {posts}; {one.answers:,} answers; {one.overdue:,} overdue"


def _duration(ms: int) -> str:
    """The length of a bin: "15 minutes", "1 hour", "7 days"."""
    size, word = next((size, word) for size, word in _UNITS if ms % size == 0)
    return f"{ms // size:,} {word}{'s' if ms > size else ''}"


def _lasted(ms: int) -> str:
    """How long something lasted: "3 days 2 h", "4 h 20 min", "20 min"."""
    minutes = max(1, round(ms / _MINUTE))
    days, hours, rest = minutes // 1_440, minutes // 60 % 24, minutes % 60
    words = [f"{days} day{'s' if days > 1 else ''}"] * (days > 0) + [f"{hours} h"] * (hours > 0)
    return " ".join(words + [f"{rest} min"] * (rest > 0 and not days))


def _ceiling(high: int) -> int:
    """The first round and even number that is at least `high`."""
    ten = 1
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            if step * ten >= high and (step * ten) % 2 == 0:
                return step * ten
        ten *= 10


def _short(value: int) -> str:
    return f"{value // 1000}k" if value >= 10_000 and value % 1000 == 0 else f"{value:,}"


def _mark(at: int, step: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    if step >= 30 * _DAY:
        return f"{moment:%b %Y}"
    return f"{moment.day} {moment:%b}" if step >= _DAY or moment.hour == moment.minute == 0 else f"{moment:%H:%M}"


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}"


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
