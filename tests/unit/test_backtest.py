"""backtest: the burst detector on a file, its scores as NAB gives them, and each fault named with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import structlog

from netcenter import cli
from netcenter.backtest import nab
from schemas.times import rfc3339

START, BIN, DAY = 1_795_132_800_000, 300_000, 86_400_000
#: A day of the series in which it is ten times as much for an hour: from this bin on.
FLOOD = 12 * 288 + 100
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Run `netcenter backtest` in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["netcenter", "backtest", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capfd.readouterr()
        return code, told.out, told.err

    yield call
    structlog.reset_defaults()


def counts(days: int = 14) -> list[int]:
    posts = np.random.default_rng(1).poisson(30, days * 288)
    posts[FLOOD : FLOOD + 12] *= 10
    return [int(n) for n in posts]


def write(name: str, values: list[int]) -> Path:
    path = Path(name)
    rows = [f"{rfc3339(START + i * BIN)},{value}" for i, value in enumerate(values)]
    path.write_text("\n".join(["timestamp,value", *rows]) + "\n")
    return path


def label(path: str, names: list[str]) -> None:
    a, b = (rfc3339(START + i * BIN) for i in (FLOOD - 24, FLOOD + 24))
    told = {name: {"windows": [[a, b]], "labels": [rfc3339(START + FLOOD * BIN)]} for name in names}
    Path(path).write_text(json.dumps(told))


def test_every_bin_is_written_with_its_score_and_the_one_alert_where_the_flood_begins(run: Run) -> None:
    write("a.csv", counts())
    assert run("a.csv", "--out", "out.csv")[0] == 0
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["timestamp", "value", "score", "alert"]
    assert len(rows) == 14 * 288
    alerts = [i for i, row in enumerate(rows) if row["alert"] == "1"]
    assert len(alerts) == 1 and FLOOD <= alerts[0] <= FLOOD + 1
    assert float(rows[alerts[0]]["score"]) >= 1


def test_with_labels_it_tells_scores_and_how_late_it_was(run: Run) -> None:
    write("a.csv", counts())
    write("b.csv", counts())
    label("labels.json", ["a", "b"])
    code, out, _ = run("a.csv", "b.csv", "--labels", "labels.json", "--json")
    told = json.loads(out)
    assert code == 0
    assert [one["series"] for one in told["series"]] == ["a", "b"]
    assert (told["all"]["windows_seen"], told["all"]["windows"]) == (2, 2)
    assert told["all"]["onset_delay_minutes"] <= 5
    assert told["all"]["false_alerts_a_day"] == 0
    assert 80 < told["all"]["standard"] <= 100


def test_a_picture_is_drawn_of_each_series_and_is_the_same_for_the_same(run: Run) -> None:
    write("a.csv", counts())
    label("labels.json", ["a"])
    for folder in ("one", "two"):
        assert run("a.csv", "--labels", "labels.json", "--plot", folder)[0] == 0
    first, second = (Path(folder, "a.svg").read_text() for folder in ("one", "two"))
    assert first == second
    assert len(ElementTree.fromstring(first)) > 20


def test_posts_one_a_row_are_counted_for_each_brand(run: Run) -> None:
    rows = [f"{rfc3339(START + n * 60_000)},{brand}" for n in range(3 * 1440) for brand in ("Air One", "b") if n % 7]
    Path("posts.csv").write_text("\n".join(["when,airline", *rows]))
    code, out, _ = run("posts.csv", "--map", "created_at=when", "--map", "brand=airline", "--json", "--out", "out")
    assert code == 0
    assert [(one["series"], one["bins"]) for one in json.loads(out)["series"]] == [("Air One", 864), ("b", 864)]
    assert sorted(path.name for path in Path("out").iterdir()) == ["Air-One.csv", "b.csv"]


@pytest.mark.parametrize(("minutes", "told"), [(1, 5), (15, 15), (30, 30), (60, 60)])
def test_counts_by_any_constant_time_find_the_same_flood_and_say_by_what_they_were_counted(
    run: Run, minutes: int, told: int
) -> None:
    """Minutes are summed to five; a longer count is known, and its alert raised, when its time is over."""
    values = counts()
    if minutes < 5:
        values = [value // 5 + (value % 5 > n) for value in values for n in range(5)]
    else:
        each = minutes // 5
        values = [sum(values[i : i + each]) for i in range(0, len(values), each)]
    rows = [f"{rfc3339(START + i * minutes * 60_000)},{value}" for i, value in enumerate(values)]
    Path("a.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    code, out, _ = run("a.csv", "--json", "--plot", "pictures")
    [one] = json.loads(out)["series"]
    assert (code, one["bin_minutes"], one["gaps"]) == (0, told, 0)
    flood = START + FLOOD * BIN
    [alert] = one["at"]
    assert rfc3339(flood) <= alert <= rfc3339(flood + (minutes + 10) * 60_000)
    assert f"Posts in {told} minutes" in Path("pictures/a.svg").read_text()
    assert f"{told} min" in run("a.csv")[1]


def test_half_minutes_are_summed_and_seven_minutes_are_refused_with_what_is_read(run: Run) -> None:
    for seconds, code in ((30, 0), (420, 2), (120, 2)):
        rows = [f"{rfc3339(START + i * seconds * 1_000)},3" for i in range(600)]
        Path("a.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
        ended, out, err = run("a.csv", "--json")
        assert ended == code
        if code:
            assert (
                f"{seconds // 60} minutes apart: count by 5 minutes, a part of 5 such as 1, or a multiple of 5" in err
            )
        else:
            assert json.loads(out)["series"][0]["bins"] == 60


def test_a_missing_row_is_counted_as_a_gap(run: Run) -> None:
    rows = [f"{rfc3339(START + i * BIN)},3" for i in range(288) if i not in (7, 8, 50)]
    Path("a.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    assert json.loads(run("a.csv", "--json")[1])["series"][0]["gaps"] == 2
    assert "a: 2 of its bins do not follow the one before" in run("a.csv")[1]


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("timestamp,value\n{rows}", "utf-8-sig", ()),
        ("timestamp;value\n{rows}", "utf-8", ()),
        ("when,calls\n{rows}", "utf-8", ("--map", "timestamp=when", "--map", "value=calls")),
        ("Calls of 2026\ntimestamp,value\n{rows}", "cp1252", ("--skip-lines", "1", "--encoding", "cp1252")),
    ],
    ids=["byte order mark", "semicolons", "other columns", "titled"],
)
def test_counts_are_read_in_the_shapes_that_people_have(
    run: Run, text: str, encoding: str, words: tuple[str, ...]
) -> None:
    sign = ";" if ";" in text else ","
    rows = "".join(f"2026-11-20 {hour:02}:00{sign}{hour}\n" for hour in range(24))
    Path("a.csv").write_bytes(text.format(rows=rows).encode(encoding))
    code, out, err = run("a.csv", "--zone", "America/Bogota", "--json", "--out", "out.csv", *words)
    assert code == 0, err
    assert json.loads(out)["series"][0]["bin_minutes"] == 60
    assert Path("out.csv").read_text().splitlines()[2].startswith("2026-11-20T06:00:00Z,1,")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timestamp,value\n2026-11-20T00:00:00Z,-1\n", "a.csv:2: value: '-1' is no count"),
        ("timestamp,value\n2026-11-20T00:00:00Z,many\n", "a.csv:2: value: 'many' is no count"),
        ("timestamp,value\n2026-11-20T00:00:00Z,1e300\n", "a.csv:2: value: '1e300' is no count"),
        ("timestamp,value\n2026-11-20T00:00:00Z,nan\n", "a.csv:2: value: 'nan' is no count"),
        ("timestamp,value\nyesterday,1\n", "a.csv:2: timestamp: 'yesterday' is no time"),
        ("timestamp,value\n2026-11-20 00:00,1\n", "a.csv:2: timestamp: '2026-11-20 00:00' has no offset"),
        ("timestamp,value\n03/04/2026 00:00,1\n", "a.csv: timestamp: no date says whether its day or its month"),
        (
            "timestamp,value\n" + "".join(f"{rfc3339(START + t * 60_000)},1\n" for t in (0, 5, 12, 30)),
            "a.csv: its rows are no",
        ),
        (
            "timestamp,value\n" + "".join(f"{rfc3339(START + t * 60_000)},1\n" for t in (0, 7, 14)),
            "a.csv: its rows are 7 min",
        ),
        ("timestamp,value\n2026-11-20T00:05:00Z,1\n2026-11-20T00:00:00Z,1\n", "a.csv:3: timestamp: is not after"),
        ("timestamp,value\n", "a.csv: no rows"),
        ("when,what\n1,2\n", "a.csv:1: no columns timestamp and value"),
        ("", "a.csv:1: no header"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line(run: Run, text: str, told: str) -> None:
    Path("a.csv").write_text(text)
    code, _, err = run("a.csv")
    assert (code, err.startswith(f"netcenter: {told}")) == (2, True), err


def test_wrong_usage_is_told_before_anything_is_written(run: Run) -> None:
    write("a.csv", counts(3))
    write("b.csv", counts(3))
    Path("labels.json").write_text("[1]")
    for words, told in (
        (("a.csv", "b.csv", "--out", "one.csv"), "--out: one.csv is one file"),
        (("a.csv", "--labels", "labels.json"), "labels.json: is not of the form"),
        (("a.csv", "--map", "text=x"), "--map text: only timestamp, value, created_at, brand are read"),
        (("missing.csv",), "missing.csv: cannot be read: No such file"),
    ):
        code, _, err = run(*words)
        assert (code, told in err) == (2, True), err
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["a.csv", "b.csv", "labels.json"]


# --- scores ------------------------------------------------------------------------------------------------------

_TIMES = [i * BIN for i in range(2_000)]
_TOLD = nab.Labels([(1_000 * BIN, 1_100 * BIN), (1_500 * BIN, 1_600 * BIN)], [1_050 * BIN, 1_550 * BIN])


def score(alerts: list[int], profile: str = "standard") -> float:
    return nab.score([nab.parts(_TIMES, alerts, _TOLD)], profile)


def test_who_meets_the_start_of_every_window_has_a_hundred_and_who_says_nothing_has_none() -> None:
    assert score([1_000, 1_500]) == pytest.approx(100, abs=0.2)
    assert score([]) == 0


def test_what_comes_later_counts_less_and_what_comes_again_in_a_window_counts_nothing() -> None:
    assert score([1_000, 1_500]) > score([1_050, 1_500]) > score([1_100, 1_500]) > score([1_500])
    assert score([1_000, 1_050, 1_500]) == score([1_000, 1_500])


def test_a_false_alert_costs_by_profile_and_one_in_the_probation_nothing() -> None:
    # From both missed to both met are four windows; a false alert far from any weighs .11 or .22 of one.
    assert score([500, 1_000, 1_500]) == pytest.approx(score([1_000, 1_500]) - 2.75)
    assert score([500, 1_000, 1_500], "low_fp") == pytest.approx(score([1_000, 1_500], "low_fp") - 5.5)
    assert score([200, 1_000, 1_500]) == score([1_000, 1_500])


def test_false_alerts_within_an_hour_are_one_and_delays_are_from_the_labelled_onset() -> None:
    found = nab.parts(_TIMES, [500, 505, 700, 1_060], _TOLD)
    assert (found.groups, found.seen, found.windows, found.delays) == (2, 1, 2, [50.0])
