"""`replay` over files: what was classified stays so, files are merged, and two policies are compared as counted by hand."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from netcenter import cli
from netcenter.replay.figures import Case, Verdicts
from netcenter.replay.picture import picture
from netcenter.replay.shelf import Shelf
from schemas import files

Replayed = Callable[..., tuple[int, str, str]]

POLICY = f"""
[classifier]
model = "{"0" * 64}"

[[brands]]
name = "andina"
mode = "live"

[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2
"""


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Replayed:
    """Run the command in a folder with two policies: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "now.toml").write_text(POLICY)
    (tmp_path / "next.toml").write_text(POLICY.replace("60m", "30m"))

    def call(*words: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["netcenter", "replay", *words])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def post(author: str, at: str, **more: Any) -> dict[str, Any]:
    """A complaint, classified before; whatever it says."""
    line = _line("mention", author, at, native_id=f"p.{author}", text="thank you, all is well")
    return {**line, "label": "complaint", "confidence": 0.7, **more}


def reply(author: str, at: str) -> dict[str, Any]:
    """A person's answer."""
    return _line("reply", author, at, native_id=f"r.{author}", kind="human", operator="o1", text="Sorry!")


def _line(type: str, author: str, at: str, **more: Any) -> dict[str, Any]:
    line = {"type": type, "brand": "andina", "channel": "twitter", "author_id": author}
    return {**line, "created_at": f"2026-11-20T{at}:00Z", **more}


#: Answered after 20, 45 and 90 minutes, and never.
PAST = [
    post("a", "12:00"),
    post("b", "12:01"),
    post("c", "12:02"),
    post("d", "12:03"),
    reply("a", "12:20"),
    reply("b", "12:46"),
    reply("c", "13:32"),
]


def write(name: str, lines: list[dict[str, Any]]) -> None:
    """JSON lines in the working directory."""
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def events(path: str) -> list[dict[str, Any]]:
    """The lines of a result."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_what_was_classified_keeps_its_label_and_needs_no_model(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    code, out, _ = replay("past.jsonl", "--policy", "now.toml", "--out", "o")
    assert code == 0
    assert json.loads(out) == json.loads(Path("o/summary.json").read_text())
    assert json.loads(out)["labels"] == {"complaint": 4}
    opened = [e for e in events("o/cases.jsonl") if e["type"] == "CaseOpened"]
    assert {e["label"] for e in opened} == {"complaint"}


def test_a_post_without_a_label_needs_the_model_that_the_policy_names(replay: Replayed) -> None:
    plain = {name: value for name, value in post("a", "12:00").items() if name not in ("label", "confidence")}
    write("past.jsonl", [*PAST, plain])
    code, _, err = replay("past.jsonl", "--policy", "now.toml", "--out", "o")
    assert code == 2
    assert "policy now" in err and "0" * 16 in err


def test_a_breach_is_told_at_its_due(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    replay("past.jsonl", "--policy", "now.toml", "--out", "o")
    late = {
        (e["author_id"], e["due_at"])
        for e in events("o/cases.jsonl")
        if e["type"] == "ClockChanged" and e["change"] == "breached"
    }
    assert late == {("c", "2026-11-20T13:02:00Z"), ("d", "2026-11-20T13:03:00Z")}


def test_several_files_are_one_past_in_the_order_of_time(replay: Replayed) -> None:
    write("all.jsonl", PAST)
    write("replies.jsonl", PAST[4:])
    write("posts.jsonl", PAST[:4])
    replay("all.jsonl", "--policy", "now.toml", "--out", "one")
    code, _, _ = replay("replies.jsonl", "posts.jsonl", "--policy", "now.toml", "--out", "two")
    assert code == 0
    for name in ("cases.jsonl", "assignments.jsonl", "surges.jsonl", "alerts.jsonl", "summary.json"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name


def test_lines_on_the_shelf_come_back_whole_in_the_order_of_time_file_and_number(tmp_path: Path) -> None:
    for name, lines in (("a", PAST[::-1]), ("b", PAST[:2])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    read = [list(files.read(tmp_path / f"{name}.jsonl", classified=True)) for name in "ab"]
    with Shelf() as shelf:
        for one in read:
            shelf.add(iter(one))
        found = list(shelf)
    assert found == sorted(read[0] + read[1], key=lambda line: line.at)


def test_two_policies_are_compared_as_counted_by_hand(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    code, out, _ = replay("past.jsonl", "--policy", "now.toml", "--against", "next.toml", "--out", "o")
    assert code == 0
    told = json.loads(Path("o/comparison.json").read_text())
    assert told["policies"] == ["now", "next"]
    rows = {(row["brand"], row["channel"]): row for row in told["rows"]}
    assert list(rows) == [(None, None), ("andina", None), ("andina", "twitter")]
    for row in rows.values():
        now, following = row["now"], row["next"]
        assert (now["cases"], now["clocks"], now["breaches"], now["share_in_target"]) == (4, 4, 2, 0.5)
        assert (following["cases"], following["clocks"], following["breaches"]) == (4, 4, 3)
        assert following["share_in_target"] == 0.25
        assert now["median_min"] == following["median_min"] == 45
        assert now["p90_min"] == pytest.approx(81)
    with Path("o/comparison.csv").open() as rows_file:
        [row] = csv.DictReader(rows_file)
    assert (row["first post"], row["now: verdict"], row["next: verdict"]) == ("p.b", "in time", "late")
    assert (row["now: due"], row["next: due"]) == ("2026-11-20T13:01:00Z", "2026-11-20T12:31:00Z")
    assert "p.b" in out and "in time → late" in out and "50.0%" in out and "25.0%" in out
    for name in ("now", "next"):
        assert (Path("o") / name / "summary.json").is_file()


def test_against_itself_no_case_has_another_verdict(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    code, out, _ = replay("past.jsonl", "--policy", "now.toml", "--against", "now.toml", "--out", "o")
    assert code == 0
    assert json.loads(Path("o/comparison.json").read_text())["cases_that_differ"] == 0
    assert "No case has another verdict" in out
    assert Path("o/now/cases.jsonl").read_bytes() == Path("o/now-against/cases.jsonl").read_bytes()


def test_the_picture_is_xml_that_is_the_same_each_time(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    for out in ("one", "two"):
        replay("past.jsonl", "--policy", "now.toml", "--against", "next.toml", "--out", out)
    assert Path("one/comparison.svg").read_bytes() == Path("two/comparison.svg").read_bytes()
    tree = ElementTree.fromstring(Path("one/comparison.svg").read_text())
    assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    words = {element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"now", "next", "60 min", "30 min"} <= words


def test_a_picture_of_nothing_and_of_names_that_are_markup_is_xml() -> None:
    text = picture(("a&b", "<c>"), (Verdicts(), Verdicts()))
    assert "a&b" in {element.text for element in ElementTree.fromstring(text).iter()}


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (Case("a", "t", "1", 0, "other"), "no target"),
        (Case("a", "t", "1", 0, "complaint", 0, 60, 60), "running"),
        (Case("a", "t", "1", 0, "complaint", 0, 60, 60, breached=True), "overdue"),
        (Case("a", "t", "1", 0, "complaint", 0, 60, 60, met_at=9), "in time"),
        (Case("a", "t", "1", 0, "complaint", 0, 60, 60, met_at=90, breached=True), "late"),
        (Case("a", "t", "1", 0, "complaint", 0, 60, 60, void=True), "void"),
    ],
)
def test_a_case_has_one_verdict(case: Case, word: str) -> None:
    assert case.verdict == word


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give files"),
        (("past.jsonl", "--log", "mentions"), "not both"),
        (("--log", "cases"), "mentions or classified"),
        (("past.jsonl", "--since", "2026-11-20T12:00:00Z"), "--since"),
        (("--log", "mentions", "--until", "6h"), "--until"),
        (("--log", "mentions", "--since", "noon"), "--since: 'noon'"),
        (("--log", "mentions", "--offsets", "0:9-1"), "--offsets: '0:9-1'"),
        (("--log", "mentions", "--offsets", "0:1-9", "--offsets", "0:11-19"), "named twice"),
        (("--log", "mentions", "--offsets", "0:1-9", "--since", "2026-11-20T12:00:00Z"), "not both"),
        (
            ("--log", "mentions", "--since", "2026-11-20T12:00:00Z", "--until-time", "2026-11-20T12:00:00Z"),
            "not after --since",
        ),
        (("no.jsonl",), "no.jsonl"),
        (("past.jsonl", "--against", "no.toml"), "no.toml"),
    ],
)
def test_what_cannot_be_replayed_is_named(replay: Replayed, words: tuple[str, ...], why: str) -> None:
    write("past.jsonl", PAST)
    code, _, err = replay(*words, "--policy", "now.toml", "--out", "o")
    assert code == 2
    assert why in err and "Traceback" not in err


def test_a_comparison_wants_a_folder(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    code, _, err = replay("past.jsonl", "--policy", "now.toml", "--against", "next.toml")
    assert code == 2 and "--out" in err


def test_a_fault_in_the_second_policy_is_named_with_file_and_line(replay: Replayed) -> None:
    write("past.jsonl", PAST)
    Path("next.toml").write_text(POLICY.replace('"60m"', '"soon"'))
    code, _, err = replay("past.jsonl", "--policy", "now.toml", "--against", "next.toml", "--out", "o")
    assert code == 2
    line = POLICY.splitlines().index('target = "60m"') + 1
    assert f"next.toml:{line}:" in err
    assert not Path("o").exists()
