"""What the bench says of its parts, and that its judge of counts can say no."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from bench.__main__ import main
from bench.verdict import RIGHT, in_json, verdict
from streams.partitioner import partition_of

SENT = Counter({"ana": 2, "bea": 1})
Row = tuple[int, bytes | None, bytes | None, int]


def row(author: str, count: int, *, key: str | None = None, away: int = 0) -> Row:
    under = (key or author).encode()
    partition = (partition_of(under, 4) + away) % 4
    return partition, under, json.dumps({"author": author, "count": count}).encode(), 0


def _ended(monkeypatch: pytest.MonkeyPatch, word: str) -> int:
    """The exit code of `python -m bench WORD`, for a word that measures nothing."""
    monkeypatch.setattr("sys.argv", ["bench", word])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_help_names_every_part(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for part in ("same_job", "avro", "whole_path", "latency", "stages", "recovery", "state", "cases", "replay"):
        assert f"\n  {part} " in shown


def test_an_unknown_part_is_wrong_usage_and_names_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ended(monkeypatch, "speed") == 2
    shown = capsys.readouterr().err
    assert "speed" in shown and "same_job" in shown


@pytest.mark.parametrize("whole", [True, False])
def test_counts_that_run_from_one_without_a_gap_are_right(whole: bool) -> None:
    assert verdict([row("ana", 1), row("bea", 1), row("ana", 2)], in_json, SENT, 4, whole=whole) == RIGHT


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([row("ana", 1), row("ana", 1), row("bea", 1)], "count"),
        ([row("ana", 2), row("bea", 1)], "count"),
        ([row("ana", 1), row("bea", 1)], "end"),
        ([row("ana", 1, key="bea"), row("ana", 2), row("bea", 1)], "key"),
        ([row("ana", 1, away=1), row("ana", 2), row("bea", 1)], "partition"),
        ([], "nothing"),
    ],
)
def test_what_is_counted_twice_left_out_or_put_elsewhere_is_wrong(rows: list[Row], why: str) -> None:
    found = verdict(rows, in_json, SENT, 4, whole=True)
    assert found.startswith("WRONG")
    assert why in found
