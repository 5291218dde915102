"""What the bench says of its parts, and that its judges can say no."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench import past
from bench.clocks import HOUR, NOON, lags, posts
from bench.role import counters, recoveries
from bench.verdict import RIGHT, in_json, verdict
from schemas.records import ClassifiedMention
from streams.partitioner import partition_of

ROOT = Path(__file__).parent.parent.parent
SENT = Counter({"ana": 2, "bea": 1})
Row = tuple[int, bytes | None, bytes | None, int]


def row(author: str, count: int, *, key: str | None = None, away: int = 0) -> Row:
    under = (key or author).encode()
    partition = (partition_of(under, 4) + away) % 4
    return partition, under, json.dumps({"author": author, "count": count}).encode(), 0


def test_help_names_every_part() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    for part in (
        "same_job",
        "avro",
        "whole_path",
        "latency",
        "stages",
        "cases",
        "clocks",
        "replay",
        "recovery",
        "state",
    ):
        assert f"\n  {part} " in done.stdout


def test_an_unknown_part_is_wrong_usage_and_names_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "speed"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "speed" in done.stderr and "same_job" in done.stderr


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


@pytest.mark.parametrize(
    ("found", "why"),
    [([0.1], "1 breaches of 2"), ([0.1, 0.2, 0.2], "3 breaches of 2"), ([-0.3, 0.2], "300 ms before its due")],
)
def test_clocks_that_are_not_told_or_told_twice_or_too_early_are_no_figure(found: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        lags(found, 2)


def test_the_lag_is_that_of_all_clocks() -> None:
    told = lags([n / 1000 for n in range(1000, 0, -1)], 1000)
    assert (told["lag_median_ms"], told["lag_p99_ms"], told["lag_max_ms"]) == (501, 991, 1000)


def test_the_clocks_that_are_watched_run_out_then_and_the_others_later() -> None:
    told = list(posts(500, 100, 10))
    assert [p.mention.created_at for p in told] == sorted(p.mention.created_at for p in told)
    dues = [p.mention.created_at + (HOUR if p.label == "complaint" else 2 * HOUR) - NOON for p in told]
    assert sum(0 <= due < 10_000 for due in dues) == 100
    assert sum(due > HOUR for due in dues) == 400
    assert len({p.mention.author_id for p in told}) == 500


def test_counters_are_summed_by_name_and_topic() -> None:
    page = """# TYPE netcenter_outputs_total counter
netcenter_outputs_total{role="cases",topic="desk"} 3.0
netcenter_outputs_total{role="cases",topic="cases"} 4.0
# TYPE netcenter_dead_letters_total counter
netcenter_dead_letters_total{role="cases",stage="decide"} 1.0
netcenter_dead_letters_total{role="cases",stage="key"} 2.0
# TYPE netcenter_ready gauge
netcenter_ready{role="cases"} 1.0
"""
    assert counters(page) == {
        ("netcenter_outputs_total", "desk"): 3,
        ("netcenter_outputs_total", "cases"): 4,
        ("netcenter_dead_letters_total", ""): 3,
    }


def test_recoveries_are_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        'plain words\n{"event": "partition recovered", "records": 7, "seconds": 0.5}\n{"event": "partitions owned"}\n'
    )
    assert recoveries(log) == [(7, 0.5)]


def test_the_past_has_as_many_records_as_asked_each_its_own_in_the_order_of_time() -> None:
    told = [line for line in past.lines(30_000) if line.topic != "desk"]
    assert len(told) == 30_000
    assert [line.at for line in told] == sorted(line.at for line in told)
    posts = [line.record for line in told if isinstance(line.record, ClassifiedMention)]
    assert 0.6 < len(posts) / len(told) < 0.75
    assert len({post.mention.brand for post in posts}) == 2 * past.tellings(30_000)
