"""Counts of contacts in files: by single minutes or several, from plain columns of times and values."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcenter.files.file_reader import read
from netcenter.files.line import Line, Refused
from netcenter.files.options import FileOptions
from schemas.records import ContactCount

CALLS = FileOptions(
    map={"minute": "timestamp", "count": "value"}, set={"type": "contacts", "source": "calls", "brand": "andina"}
)


def found(tmp_path: Path, rows: str, options: FileOptions = CALLS, name: str = "calls.csv") -> list[Line | Refused]:
    (tmp_path / name).write_text(rows)
    return list(read(tmp_path / name, options))


def rows(*times: str) -> str:
    return "timestamp,value\n" + "".join(f"2026-11-20T{time}:00Z,{n + 7}\n" for n, time in enumerate(times))


def minutes(lines: list[Line | Refused]) -> list[int]:
    return [one.record.minutes for one in lines if isinstance(one, Line) and isinstance(one.record, ContactCount)]


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (("08:00", "08:30", "09:00"), 30),
        (("08:00", "08:15", "09:00"), 15),
        (("08:30", "09:30", "10:30"), 60),
        (("08:00", "08:01", "08:02"), 1),
        (("09:00", "08:55", "08:50"), 5),
    ],
)
def test_the_minutes_of_a_count_are_told_from_the_rows(tmp_path: Path, times: tuple[str, ...], told: int) -> None:
    """Also where a later row is missing, or the newest comes first."""
    lines = found(tmp_path, rows(*times))
    assert minutes(lines) == [told] * 3
    counts = [one.record.count for one in lines if isinstance(one, Line) and isinstance(one.record, ContactCount)]
    assert counts == [7, 8, 9]


def test_a_count_has_its_place_where_its_minutes_are_over(tmp_path: Path) -> None:
    """A replay that read it before would know what is still to come."""
    (first, _) = found(tmp_path, rows("08:00", "08:30"))
    assert isinstance(first, Line) and isinstance(first.record, ContactCount)
    assert first.at == first.record.minute + 30 * 60_000


def test_what_the_rows_do_not_tell_is_asked_for(tmp_path: Path) -> None:
    for times, bad in (
        (("08:00",), [2]),
        (("08:00", "08:07"), [2, 3]),
        (("08:00", "08:30", "08:40", "09:00"), [4]),
        (("08:00", "08:37", "09:07"), [2]),
    ):
        refused = [one for one in found(tmp_path, rows(*times)) if isinstance(one, Refused)]
        assert [one.number for one in refused] == bad, times
        assert all(one.field == "minutes" and "--set minutes=30" in one.why for one in refused)


def test_what_is_said_is_not_told_from_the_rows(tmp_path: Path) -> None:
    said = FileOptions(map=CALLS.map, set={**CALLS.set, "minutes": "60"})
    assert minutes(found(tmp_path, rows("08:00", "10:00"), said)) == [60, 60]
    column = "timestamp,value,minutes\n2026-11-20T08:00:00Z,4,15\n2026-11-20T09:00:00Z,4,15\n"
    assert minutes(found(tmp_path, column)) == [15, 15]
    line = '{"type":"contacts","brand":"a","source":"c","minute":"2026-11-20T08:%s:00Z","count":3}\n'
    assert minutes(found(tmp_path, line % "00" + line % "30", FileOptions(), "calls.jsonl")) == [1, 1]
    (wrong,) = found(tmp_path, (line % "00").replace('"count"', '"minutes":20,"count"'), FileOptions(), "calls.jsonl")
    assert isinstance(wrong, Refused) and wrong.field == "minutes" and "1, 5, 15, 30, 60" in wrong.why
