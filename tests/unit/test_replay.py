"""`replay` over files: what it leaves in its folder, two policies and two teams compared by hand-computed figures, and each fault named."""

from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from agents.policy import digest
from netcenter import cli
from netcenter.errors import UsageError
from netcenter.files.file_inputs import FileInputs, say
from netcenter.files.file_progress import FileProgress
from netcenter.files.file_reading import FileReading
from netcenter.files.options import FileOptions
from netcenter.files.sorted_lines import SortedLines
from netcenter.replay.comparison_chart import chart
from netcenter.replay.desk_chart import desk_chart
from netcenter.replay.desk_comparison import show_desks
from netcenter.replay.desk_figures import DeskVerdicts
from netcenter.replay.engine import Replay
from netcenter.replay.team_lines import left_to_team
from netcenter.replay.verdicts import CaseVerdict, Verdicts
from netcenter.simulation.team import parse_team
from schemas.records import ClassifiedMention, PolicyChanged, Tick
from schemas.times import rfc3339
from streams.core import Fact
from tests.support.afternoon import MINUTE, POLICY, File
from tests.support.world import NOON, mention

Run = Callable[..., tuple[int, str, str]]
HALF = POLICY.replace('target = "60m"', 'target = "30m"', 1)
"""Under it every message is due after 30 minutes."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hour.toml").write_text(POLICY)
    (tmp_path / "half.toml").write_text(HALF)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", "replay", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def afternoon() -> File:
    """Five customers: answered after 10, 45, 60 and 90 minutes, and never."""
    file = File()
    for author, waited in (("a", 10), ("b", 45), ("c", 60), ("d", 90), ("e", None)):
        file.post(author, 0, label="complaint", confidence=0.9)
        if waited is not None:
            file.reply(author, waited * MINUTE)
    return file


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(file: File, path: Path) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in file.lines))


def test_what_was_classified_before_keeps_its_label(run: Run, tmp_path: Path) -> None:
    """Words that say nothing, labelled a complaint: a case, and in the summary a complaint."""
    file = File()
    file.post("a", 0, "hm", label="complaint", confidence=0.7)
    write(file, tmp_path / "a.jsonl")
    code, out, _ = run("a.jsonl", "--policy", "hour.toml", "--out", "o")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "o" / "summary.json").read_text())
    assert json.loads(out)["labels"] == {"complaint": 1}
    [opened] = [e for e in events(tmp_path / "o" / "cases.jsonl") if e["type"] == "CaseOpened"]
    assert (opened["label"], opened["key"]) == ("complaint", "andina|twitter|a")


def test_several_files_are_one_past_in_the_order_of_time(run: Run, tmp_path: Path) -> None:
    """Posts in one file and replies in another give what one file with both gives, byte by byte."""
    whole = afternoon()
    write(whole, tmp_path / "whole.jsonl")
    for kind in ("mention", "reply"):
        part = File()
        part.lines = [line for line in whole.lines if line["type"] == kind]
        write(part, tmp_path / f"{kind}.jsonl")
    assert run("whole.jsonl", "--policy", "hour.toml", "--out", "one")[0] == 0
    assert run("reply.jsonl", "mention.jsonl", "--policy", "hour.toml", "--out", "two")[0] == 0
    for name in ("cases.jsonl", "assignments.jsonl", "surges.jsonl", "alerts.jsonl", "summary.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_two_policies_are_compared_by_what_each_calls_late(run: Run, tmp_path: Path) -> None:
    """Within the hour three of five are in time, within the half only one: by hand."""
    write(afternoon(), tmp_path / "a.jsonl")
    code, out, _ = run("a.jsonl", "--policy", "hour.toml", "--against", "half.toml", "--out", "o")
    assert code == 0
    told = json.loads((tmp_path / "o" / "comparison.json").read_text())
    everything = told["rows"][0]
    assert (everything["brand"], everything["channel"], told["policies"]) == (None, None, ["hour", "half"])
    hour, half = everything["hour"], everything["half"]
    assert (hour["clocks"], half["clocks"]) == (5, 5)
    assert (hour["breaches"], half["breaches"]) == (2, 4)
    assert (hour["sla_attainment"], half["sla_attainment"]) == (3 / 5, 1 / 5)
    # Of 10, 45, 60 and 90 minutes, whatever the policy.
    assert hour["median_min"] == half["median_min"] == 52.5
    assert hour["p90_min"] == half["p90_min"] == pytest.approx(81)
    rows = list(csv.DictReader((tmp_path / "o" / "comparison.csv").read_text().splitlines()))
    assert [(row["first post"], row["hour: verdict"], row["half: verdict"]) for row in rows] == [
        ("b.0", "in time", "late"),
        ("c.0", "in time", "late"),
    ]
    assert "in time → late" in out and "What people did is data" in out
    for side, breaches in (("hour", 2), ("half", 4)):
        assert json.loads((tmp_path / "o" / side / "summary.json").read_text())["breaches"] == breaches


def test_the_picture_is_well_formed_and_the_same_for_the_same_past(run: Run, tmp_path: Path) -> None:
    """Two runs, one picture; it names both policies."""
    write(afternoon(), tmp_path / "a.jsonl")
    for out in ("one", "two"):
        assert run("a.jsonl", "--policy", "hour.toml", "--against", "half.toml", "--out", out)[0] == 0
    one, two = (tmp_path / out / "comparison.svg" for out in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    words = [found.text for found in ElementTree.parse(one).iter("{http://www.w3.org/2000/svg}text")]
    assert {"hour", "half", "60 min", "30 min"} <= set(words)


def test_a_policy_compared_with_itself_differs_nowhere(run: Run, tmp_path: Path) -> None:
    """And its two folders have two names."""
    write(afternoon(), tmp_path / "a.jsonl")
    code, out, _ = run("a.jsonl", "--policy", "hour.toml", "--against", "hour.toml", "--out", "o")
    assert code == 0 and "No case has another verdict." in out
    names = [tmp_path / "o" / side / "cases.jsonl" for side in ("hour", "hour-against")]
    assert names[0].read_bytes() == names[1].read_bytes()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "o"], "give files"),
        (["a.jsonl", "--log", "mentions", "--out", "o"], "not both"),
        (["--log", "cases", "--out", "o"], "'cases' cannot be replayed"),
        (["a.jsonl", "--since", "2026-11-20T12:00:00Z", "--out", "o"], "--since is of the log"),
        (["--log", "mentions", "--set", "brand=b", "--out", "o"], "--set is of files"),
        (["--log", "mentions", "--since", "noon", "--out", "o"], "--since"),
        (
            [
                "--log",
                "mentions",
                "--since",
                "2026-11-20T12:00:00Z",
                "--until",
                "2026-11-20T11:00:00Z",
                "--out",
                "o",
            ],
            "not after --since",
        ),
        (["--log", "mentions", "--offsets", "0:9-3", "--out", "o"], "'0:9-3' is no range"),
        (["--log", "mentions", "--offsets", "0:1-3", "--offsets", "0:5-6", "--out", "o"], "named twice"),
        (["a.jsonl", "--policy", "bad.toml", "--out", "o"], "bad.toml:2: classifier.model"),
        (["a.jsonl", "--policy", "hour.toml", "--against", "bad.toml", "--out", "o"], "bad.toml:2: classifier.model"),
        (["a.jsonl", "--against", "half.toml"], "--out"),
    ],
)
def test_a_wrong_call_is_named(run: Run, tmp_path: Path, words: list[str], told: str) -> None:
    """Exit 2, and what is wrong with which option, file and line."""
    write(afternoon(), tmp_path / "a.jsonl")
    (tmp_path / "bad.toml").write_text('[classifier]\nmodel = "short"\n')
    code, _, err = run(*words)
    assert code == 2
    assert told in err
    assert not (tmp_path / "o").exists()


def test_a_post_without_a_label_needs_the_model_that_the_policy_names(run: Run, tmp_path: Path) -> None:
    """Exit 2: the policy, and the model that is not there."""
    file = afternoon()
    file.post("f", 0)
    write(file, tmp_path / "a.jsonl")
    (tmp_path / "other.toml").write_text(re.sub('model = "[0-9a-f]*"', f'model = "{"0" * 64}"', POLICY))
    code, _, err = run("a.jsonl", "--policy", "other.toml", "--out", "o")
    assert code == 2
    assert "policy other" in err and "0" * 16 in err


def test_lines_on_the_shelf_come_back_whole_in_the_order_of_time_file_and_number(tmp_path: Path) -> None:
    """Of two files that hold the same times, the second's backwards."""
    one, other = afternoon(), afternoon()
    other.lines.reverse()
    taken = []
    for name, file in (("one", one), ("other", other)):
        write(file, tmp_path / f"{name}.jsonl")
        taken.append(list(FileReading(tmp_path / f"{name}.jsonl", FileOptions(classified=True))))
    with SortedLines(lambda: 0) as shelf:
        for lines in taken:
            shelf.add(lines)
        found = list(shelf)
    assert found == sorted(taken[0] + taken[1], key=lambda line: line.at)


@pytest.mark.parametrize(("tag", "lang"), [("pt_BR", "pt"), ("spa", "es"), ("est", "und"), ("enm", "und"), ("", "und")])
def test_a_labelled_line_without_a_language_has_that_of_its_tag(tag: str, lang: str, tmp_path: Path) -> None:
    file = afternoon()
    file.lines = [line | {"lang": tag} for line in file.lines if "label" in line]
    assert file.lines
    write(file, tmp_path / "a.jsonl")
    records = [line.record for line in FileReading(tmp_path / "a.jsonl", FileOptions(classified=True))]
    assert {record.classified_lang for record in records if isinstance(record, ClassifiedMention)} == {lang}


def test_a_picture_of_nothing_and_of_names_that_are_markup_is_xml() -> None:
    """A policy's name is its file's, which may be anything."""
    tree = ElementTree.fromstring(chart(("a&b", "<c>"), (Verdicts(), Verdicts())))
    assert {"a&b", "<c>"} <= {element.text for element in tree.iter()}


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (CaseVerdict("a", "t", "1", 0, "other"), "no target"),
        (CaseVerdict("a", "t", "1", 0, "complaint", 0, 60, 60), "running"),
        (CaseVerdict("a", "t", "1", 0, "complaint", 0, 60, 60, breached=True), "overdue"),
        (CaseVerdict("a", "t", "1", 0, "complaint", 0, 60, 60, met_at=9), "in time"),
        (CaseVerdict("a", "t", "1", 0, "complaint", 0, 60, 60, met_at=90, breached=True), "late"),
        (CaseVerdict("a", "t", "1", 0, "complaint", 0, 60, 60, void=True), "void"),
    ],
)
def test_a_case_has_one_verdict(case: CaseVerdict, word: str) -> None:
    assert case.verdict == word


def test_a_replay_passes_over_the_policies_that_the_roles_pass_over() -> None:
    """A classifier that is not here, named by a version that a newer one has taken back: the one before it holds on."""
    own = tomllib.loads(POLICY)["classifier"]["model"]
    policies = {1: POLICY, 2: POLICY.replace(own, "f" * 64), 3: HALF}
    written: list[Any] = []
    replay = Replay(
        policies, 1, lambda topic, records: written.extend(records if topic == "classified" else ()), in_force=[1]
    )
    records: list[Any] = [Tick(clock="event", time=NOON, role="clock", partition=0)]
    for version in (1, 2, 3):
        records.append(PolicyChanged(version=version, hash=digest(policies[version]), applied_at=NOON))
        records.append(mention(f"u{version}", 0))
    replay.append("mentions", 0, [Fact(n, record) for n, record in enumerate(records)])
    replay.drain()
    assert [r.policy for r in written] == [1, 1, 3]


# --- policies that come into force within a file ----------------------------------------------------------------------


def with_policy_line(tmp_path: Path, at: int) -> None:
    """Posts at noon and forty minutes later; from `at` (ms from noon) on, messages are due after half an hour."""
    file = File()
    file.post("a", 0, label="complaint", confidence=0.9)
    file.post("b", 40 * MINUTE, label="complaint", confidence=0.9)
    file.lines.append({"type": "policy", "at": rfc3339(NOON + at), "file": "half.toml"})
    write(file, tmp_path / "a.jsonl")


def dues(folder: Path) -> dict[str, list[int]]:
    """Minutes from noon at which the first response of each author's case is due, once for each start of a clock."""
    found: dict[str, list[int]] = {}
    for event in events(folder / "cases.jsonl"):
        if event["type"] == "ClockChanged" and event["change"] == "started" and event["metric"] == "first_response":
            due = datetime.fromisoformat(event["due_at"]).timestamp() * 1000
            found.setdefault(event["author_id"], []).append(round(due - NOON) // MINUTE)
    return found


def test_a_policy_line_is_in_force_for_what_comes_after_it(run: Run, tmp_path: Path) -> None:
    """And in the file's first policy only: the one that it is compared with holds throughout."""
    with_policy_line(tmp_path, 20 * MINUTE)
    assert run("a.jsonl", "--policy", "hour.toml", "--against", "hour.toml", "--out", "o")[0] == 0
    assert dues(tmp_path / "o" / "hour") == {"a": [60], "b": [70]}
    assert dues(tmp_path / "o" / "hour-against") == {"a": [60], "b": [100]}


def test_a_policy_line_before_every_post_is_as_that_policy(run: Run, tmp_path: Path) -> None:
    """The same events, but for the number of the policy's version, in every role."""
    with_policy_line(tmp_path, -MINUTE)
    assert run("a.jsonl", "--policy", "hour.toml", "--out", "one")[0] == 0
    assert run("a.jsonl", "--policy", "half.toml", "--out", "two")[0] == 0
    for name in ("cases.jsonl", "assignments.jsonl", "alerts.jsonl"):
        one, two = (events(tmp_path / out / name) for out in ("one", "two"))
        assert [{**event, "policy": 2} for event in one] == [{**event, "policy": 2} for event in two]
        assert {event["policy"] for event in one} <= {2}
    assert events(tmp_path / "one" / "alerts.jsonl")


def test_a_policy_line_needs_its_model(run: Run, tmp_path: Path) -> None:
    """It is said before anything is played."""
    own = tomllib.loads(POLICY)["classifier"]["model"]
    (tmp_path / "half.toml").write_text(HALF.replace(own, "f" * 64))
    with_policy_line(tmp_path, 20 * MINUTE)
    file = File()
    file.post("c", 0)
    write(file, tmp_path / "b.jsonl")
    code, _, err = run("a.jsonl", "b.jsonl", "--policy", "hour.toml", "--out", "o")
    assert (code, "policy of a policy line: this machine lacks" in err) == (2, True), err


def test_a_policy_line_is_refused_where_a_file_is_played_into_a_log(tmp_path: Path) -> None:
    """There a policy comes into force for everyone by a command of its own."""
    (tmp_path / "half.toml").write_text(HALF)
    with_policy_line(tmp_path, 20 * MINUTE)
    with pytest.raises(UsageError, match=r"a\.jsonl:3: type: .*`netcenter policy apply`"):
        next(FileInputs([tmp_path / "a.jsonl"], FileOptions(ignore_unknown=True)).to_play(FileProgress(say)))


# --- simulated operators ----------------------------------------------------------------------------------------------

TEAM = """
[[operators]]
name = "ana"
desks = ["care"]
capacity = 1
answers = { median = "10s" }
handling = { any = { median = "5m" } }
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "11:00", to = "23:00" }]
"""


def team_run(run: Run, tmp_path: Path, *words: str) -> str:
    """Three customers at once, whom the file's people answered within ten minutes."""
    file = File()
    file.sign_in("o1")
    for author in ("a", "b", "c"):
        file.post(author, 0, label="complaint", confidence=0.9)
        file.reply(author, 10 * MINUTE)
    write(file, tmp_path / "a.jsonl")
    (tmp_path / "one.toml").write_text(TEAM)
    (tmp_path / "two.toml").write_text(TEAM.replace("ana", "bea") + TEAM)
    code, out, err = run("a.jsonl", "--policy", "hour.toml", "--operators", "one.toml", *words, "--out", "o")
    assert code == 0, err
    return out


def seconds(folder: Path, kind: str) -> list[float]:
    found = [event["time"] for event in events(folder / "assignments.jsonl") if event["type"] == kind]
    return sorted(datetime.fromisoformat(at).timestamp() - NOON / 1000 for at in found)


def test_simulated_operators_do_what_the_people_of_the_file_did_at_their_own_times(run: Run, tmp_path: Path) -> None:
    """One operator, one case at a time: ten seconds to accept, five minutes to answer, and then the next case."""
    summary = json.loads(team_run(run, tmp_path))
    assert seconds(tmp_path / "o", "Offered") == [0, 310, 620]
    assert seconds(tmp_path / "o", "Assigned") == [10, 320, 630]
    assert {e["operator"] for e in events(tmp_path / "o" / "assignments.jsonl")} == {"ana"}
    met = [e["met_at"] for e in events(tmp_path / "o" / "cases.jsonl") if e.get("change") == "met"]
    assert sorted({datetime.fromisoformat(at).timestamp() - NOON / 1000 for at in met}) == [310, 620, 930]
    desk = summary["desk"]
    assert (desk["rounds"], desk["answered"], desk["open"], desk["in_target"]) == (3, 3, 0, 1.0)
    assert desk["in_queue"] == {
        "count": 3,
        "p50_min": 5.333,
        "p95_min": 9.983,
        "longest_min": 10.5,
    }
    assert desk["operators"]["ana"]["answered"] == 3
    assert summary["replies"] == 3


def test_two_teams_are_compared_on_the_same_past(run: Run, tmp_path: Path) -> None:
    """With two operators the third customer waits for the first of them, not for the second."""
    out = team_run(run, tmp_path, "--operators-against", "two.toml")
    told = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert told["policies"] == ["one", "two"] and "simulated" in told["limit"]
    longest = {name: desk["in_queue"]["longest_min"] for name, desk in told["desks"].items()}
    assert longest == {"one": 10.5, "two": 5.333}
    assert seconds(tmp_path / "o" / "two", "Assigned") == [10, 10, 320]
    assert "0 → 2" in out or "0 → 1" in out
    assert json.loads((tmp_path / "o" / "two" / "summary.json").read_text())["desk"] == told["desks"]["two"]
    words = [
        found.text for found in ElementTree.parse(tmp_path / "o" / "desks.svg").iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"one", "two", "Cases that wait for an operator"} <= set(words)


def test_a_team_plays_the_same_alone_and_beside_another(run: Run, tmp_path: Path) -> None:
    """A comparison changes neither side, and a second run gives the same bytes."""
    team_run(run, tmp_path)
    alone = (tmp_path / "o" / "assignments.jsonl").read_bytes()
    team_run(run, tmp_path, "--operators-against", "two.toml")
    assert (tmp_path / "o" / "one" / "assignments.jsonl").read_bytes() == alone


def test_two_policies_are_compared_with_one_team(run: Run, tmp_path: Path) -> None:
    """The desks of both stand in the comparison."""
    team_run(run, tmp_path, "--against", "half.toml")
    told = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert told["policies"] == ["hour", "half"] and told["desks"].keys() == {"hour", "half"}


def test_a_team_without_shifts_or_handling_leaves_those_lines_to_the_file(tmp_path: Path) -> None:
    """What nobody simulates is played as it was."""
    file = File()
    file.sign_in("ana")
    file.post("a", 0)
    file.reply("a", MINUTE)
    file.lines.append({**file.lines[-1], "native_id": "auto", "kind": "automatic"})
    lines = file.read(tmp_path / "a.jsonl")
    only_answers = TEAM[: TEAM.index("handling")]
    for text, kept in ((TEAM, ["Mention", "Reply"]), (only_answers, ["OperatorChanged", "Mention", "Reply", "Reply"])):
        found = left_to_team(lines, [parse_team(text)])
        assert [type(line.record).__name__ for line in found] == kept


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.jsonl", "--operators", "none.toml", "--out", "o"], "none.toml: No such file"),
        (["a.jsonl", "--operators", "bad.toml", "--out", "o"], "bad.toml:2: operators: "),
        (
            ["a.jsonl", "--operators-against", "one.toml", "--out", "o"],
            "--operators-against: is compared with --operators",
        ),
        (["--log", "mentions", "--operators", "one.toml", "--out", "o"], "--operators is of files"),
        (
            ["a.jsonl", "--operators", "one.toml", "--operators-against", "calm.toml", "--out", "o"],
            "only one of the two teams has shifts, or handling",
        ),
    ],
)
def test_a_wrong_team_is_named(run: Run, tmp_path: Path, words: list[str], told: str) -> None:
    """As a usage error, before anything is played."""
    write(afternoon(), tmp_path / "a.jsonl")
    (tmp_path / "one.toml").write_text(TEAM)
    (tmp_path / "calm.toml").write_text(TEAM[: TEAM.index("handling")])
    (tmp_path / "bad.toml").write_text("\noperators = 3\n")
    code, _, err = run(*words)
    assert (code, told in err) == (2, True), err


def test_the_pictures_and_tables_of_desks_without_work_are_whole() -> None:
    """Two replays in which nobody wrote."""
    picture = desk_chart(("a<b", "c"), (DeskVerdicts(), DeskVerdicts()))
    ElementTree.fromstring(picture)
    show_desks(Console(file=StringIO()), ("a", "b"), (DeskVerdicts().figures(), DeskVerdicts().figures()))
