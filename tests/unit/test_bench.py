"""What the bench says of its parts, that its judge of counts can say no, and that its desks of others are desks."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from bench import desk_orders, desk_size
from bench.__main__ import main
from bench.desk_peers import PEERS
from bench.verdict import RIGHT, in_json, verdict
from netcenter.demo.story import STORY_POLICY
from schemas import ids
from schemas.records import ClassifiedMention, Label, Mention
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


# --- the desks of others ----------------------------------------------------------------------------------------------


def post(number: int, label: Label) -> ClassifiedMention:
    mention = Mention(
        id=ids.mention("shop", "twitter", f"p{number}"), brand="shop", channel="twitter", author_id="one",
        native_id=f"p{number}", created_at=desk_orders.START, text="",
    )  # fmt: skip
    return ClassifiedMention(
        label=label, confidence=1.0, uncertain=False, classified_lang="es", own=False, probabilities=[0.25] * 4,
        model="0" * 16, policy=1, mention=mention,
    )  # fmt: skip


@pytest.fixture(scope="module")
def compared() -> dict[str, Any]:
    load = desk_orders.Load("an hour of too much", ((1, 1.5), (1, 0.2)))
    posts = [post(n, "complaint" if n % 3 else "question") for n in range(60)]
    found: dict[str, Any] = desk_orders.measure(posts, STORY_POLICY.read_text(), [load])["an hour of too much"]
    return found


@pytest.mark.parametrize("name", list(desk_orders.desks()))
def test_each_desk_of_a_comparison_gets_every_case_answered(compared: dict[str, Any], name: str) -> None:
    """On the same arrivals: whatever its order, no case is forgotten, and each is answered by one operator."""
    found = compared[name]
    assert found["rounds"] == compared["arrivals"] > 300
    assert found["open"] == 0
    assert 0.3 < found["occupancy"] <= 1


def test_desks_differ_as_they_should(compared: dict[str, Any]) -> None:
    """Least load goes by priority, first come first served by nothing; round robin keeps no queue."""
    first, robin, least = (compared[name] for name in PEERS)
    assert least["by_priority"]["1"] >= first["by_priority"]["1"]
    assert least["queue_min"][1] > robin["queue_min"][1]
    assert robin["occupancy_spread"] > least["occupancy_spread"]


def test_the_size_of_a_desk_is_measured_on_every_kind_of_fact() -> None:
    """The measurement itself runs, on a small desk."""
    found = desk_size.measure(operators=40, waiting=200, decisions=400)
    assert found["queued"] > 100
    assert found["by_fact_us"].keys() >= {"queued", "accepted", "answered", "changed", "renewed"}
