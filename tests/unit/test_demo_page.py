"""The page that the demo leaves: every text escaped, nothing fetched, the same figures as picture and as table, whatever was played."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from netcenter.demo.page import DemoPage, page
from netcenter.demo.played_timeline import AlertSpan, PlayedTimeline, SurgeSpan, TimelineBin
from netcenter.demo.summary import show_rows

START = 1_795_132_800_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FIGURES: dict[str, Any] = dict.fromkeys(
    ("mentions", "replies", "cases", "breaches", "surges", "alerts_opened", "dead_letters"), 1_234
) | {"seconds": 57.0}
SURGE = SurgeSpan(
    "9ff6fef6-46d6-5b1a", "andina", "conversation", "<i>1</i>", START + 2 * HOUR, START + 6 * HOUR, 8.2, True
)
ALERT = AlertSpan("sla_breach", "an&ina", "6 <script>alert(1)</script> wait", START + HOUR, None, "page")


def timeline(count: int, length: int, *, surges: int = 0, alerts: int = 0) -> PlayedTimeline:
    bins = [
        TimelineBin(START + n * length, {"complaint": n % 3, "question": 1, "praise": 0, "other": 2}, n % 2, n)
        for n in range(count)
    ]
    return PlayedTimeline(length, bins, [SURGE] * surges, [ALERT] * alerts, ["andina"], "13802944")


def drawn(told: PlayedTimeline, played: str = "a day of an airline", *, kept: bool = False) -> str:
    return page(DemoPage(told, FIGURES, played, ["netcenter status", "netcenter surge explain 9ff6fef6"], kept))


CASES = [
    timeline(128, 15 * MINUTE, surges=1, alerts=3),
    timeline(3, MINUTE),
    timeline(1, MINUTE, alerts=1),
    timeline(53, 7 * DAY),
    timeline(199, 30 * DAY, surges=40, alerts=200),
]


@pytest.mark.parametrize("told", CASES, ids=["a day", "three minutes", "one post", "a year", "the most"])
def test_everything_is_drawn_within_the_picture_and_stands_in_the_table(told: PlayedTimeline) -> None:
    text = drawn(told)
    pictures = [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert [picture.get("class") for picture in pictures] == ["wide", "narrow"]
    for picture in pictures:
        width, height = (float(n) for n in picture.get("viewBox", "").split()[2:])
        for shape in picture.iter():
            x, y = float(shape.get("x", 0)), float(shape.get("y", 0))
            assert x >= 0 and x + float(shape.get("width", 0)) <= width + 3 and 0 <= y <= height, shape.attrib
            for place in re.findall(r"M([\d.]+),([\d.]+)h([\d.]+)", shape.get("d", "")):
                assert (
                    float(place[0]) >= 0
                    and float(place[0]) + float(place[2]) <= width
                    and 0 <= float(place[1]) <= height
                )
        assert sum(shape.get("class") == "band" for shape in picture.iter()) == min(26, len(told.surges))
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', text)
    assert len(rows) == len(told.bins)
    assert [sum(int(n) for n in re.findall(r"<td>(\d+)</td>", cells)[:4]) for _, cells in rows] == [
        sum(one.posts.values()) for one in told.bins
    ]


@pytest.mark.parametrize("told", CASES, ids=["a day", "three minutes", "one post", "a year", "the most"])
def test_the_axis_of_time_has_some_marks_and_not_too_many(told: PlayedTimeline) -> None:
    for name, most in (("wide", 14), ("narrow", 6)):
        [picture] = re.findall(rf'<svg class="{name}".*?</svg>', drawn(told), re.DOTALL)
        marks = re.findall(
            r'text-anchor="(?:start|middle|end)">(\d\d:\d\d|\d+ [A-Z][a-z]+|[A-Z][a-z]+ \d{4})</text>', picture
        )
        assert 1 <= len(marks) <= most, marks


def test_every_text_from_outside_is_escaped_and_nothing_is_fetched() -> None:
    text = drawn(timeline(30, HOUR, surges=1, alerts=1), "<posts>&.csv")
    assert "<script" not in text and "<i>1" not in text
    assert text.count("&lt;posts&gt;&amp;.csv") == 2
    assert "6 &lt;script&gt;alert(1)&lt;/script&gt; wait" in text
    assert re.findall(r"https?:|@import|url\(|src=|href=|\son\w+=", text) == []


def test_it_is_readable_in_the_dark_on_a_phone_and_by_a_screen_reader() -> None:
    text = drawn(timeline(30, HOUR, surges=1, alerts=1))
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text and '<html lang="en">' in text
    pictures = re.findall(r"<svg[^>]*>", text)
    assert all('role="img"' in picture and "aria-labelledby" in picture for picture in pictures)
    assert ["aria-hidden" in picture for picture in pictures] == [False, True], "one of two is read"
    colours = [set(re.findall(r"(--[a-z]+): #", block)) for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)]
    assert colours[0] == colours[1] and set(re.findall(r"var\((--[a-z]+)\)", text)) <= colours[0]
    for word in ("complaints", "questions", "praise", "other posts", "overdue", "answers by people", "a surge runs"):
        assert f"</i>{word}</li>" in text


def test_a_viewer_that_applies_no_style_to_pictures_shows_their_colours_too() -> None:
    """Else every shape would be black, and the fields that say a bin's figures would hide the rest."""
    [wide, _] = re.findall(r"<svg.*?</svg>", drawn(timeline(30, HOUR, surges=1, alerts=1)), re.DOTALL)
    shapes = [shape for shape in ElementTree.fromstring(wide).iter() if shape.tag in ("rect", "path")]
    assert len(shapes) > 30 and all(shape.get("fill") for shape in shapes)
    assert all(line.get("stroke") for line in ElementTree.fromstring(wide).iter("line"))


def test_it_tells_what_happened_in_words_and_what_to_look_at_next() -> None:
    text = drawn(timeline(30, HOUR, surges=1, alerts=1), kept=True)
    assert "8.2 times the usual at its height, lasted 4 h, a crisis." in text
    assert "It still fires at the end." in text
    assert "<pre>netcenter status\nnetcenter surge explain 9ff6fef6</pre>" in text
    assert "netcenter demo --keep" not in text and "netcenter demo --keep" in drawn(timeline(30, HOUR))


def test_nothing_played_is_said_in_a_sentence() -> None:
    text = drawn(PlayedTimeline(MINUTE, [], [], [], [], None))
    assert "no post and no answer was played" in text and "There was no surge and no alert." in text
    assert "<svg" not in text and "<table" not in text


def test_the_tables_of_the_demos_end_fit_80_columns_and_break_no_id() -> None:
    """A longer id, as made for a post without one, goes over the edge in one piece."""
    columns = ["brand", "root", "since", "minutes", "peak", "extra", "crisis"]
    row = ("andina-express", "1990000119545224941", "20 20:01", 230, 182.3, None, True)
    shown = io.StringIO()
    show_rows(Console(file=shown, width=80), columns, [row])
    head, line = shown.getvalue().splitlines()
    assert len(line) <= 80 and "1990000119545224941" in line
    assert [head.index(name) for name in columns] == sorted(head.index(name) for name in columns)
    made = "2fefd731-2527-5016-b6b0-9eeba50234a1"
    show_rows(Console(file=shown, width=80), columns, [(*row[:1], made, *row[2:])])
    assert made in shown.getvalue()
