"""Files through the commands: played in order without being held, told of while they are read, and counted at the end."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from netcenter import cli
from netcenter.broker import log_time
from netcenter.errors import CommandError, Unreachable, UsageError
from netcenter.files import file_inputs
from netcenter.files.file_inputs import FileInputs
from netcenter.files.file_order import still_in_order, time_order
from netcenter.files.file_progress import FileProgress
from netcenter.files.file_reader import Place, RecordReader
from netcenter.files.file_reading import FileReading
from netcenter.files.line import FileError, Line
from netcenter.files.options import FileOptions
from netcenter.files.shapes import csv_blocks
from netcenter.files.shapes.source_file import SourceFile
from netcenter.ingest import player
from netcenter.ingest.player import Played
from netcenter.policies import DEFAULT_POLICY
from streams.exit_codes import ExitCode

Run = Callable[..., tuple[int, str, str]]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEADER = "brand,channel,native_id,author_id,text,created_at"


def row(n: int, minutes: int, text: str = "hola") -> str:
    return f"andina,twitter,{n},u{n},{text},{NOON + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def posts(folder: Path, *rows: str, name: str = "posts.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{one}\n" for one in (HEADER, *rows)))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return call


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """What `ingest` plays into a log that takes everything."""
    played: list[Line] = []

    def ingest(_: object, __: object, lines: Iterable[Line], **___: Any) -> Played:
        played.extend(lines)
        return Played(records=len(played), ticks=7)

    monkeypatch.setattr(player, "ingest", ingest)
    monkeypatch.setattr(log_time, "oldest_taken", lambda *_: (0, 0))
    monkeypatch.setenv("NETCENTER_KAFKA", "127.0.0.1:1")
    return played


def places(path: Path, options: FileOptions) -> list[Place]:
    return list(RecordReader(str(path), options).places(SourceFile(path)))


def numbers(lines: Iterable[Line]) -> list[int]:
    return [line.number for line in lines]


def test_a_play_that_ends_early_says_what_is_in_kafka_and_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ended it. Where nothing was played there is nothing to say."""
    path = posts(tmp_path, *[row(n, n) for n in range(3)])
    monkeypatch.setenv("NETCENTER_KAFKA", "127.0.0.1:1")
    for error, code in ((CommandError("Kafka refused"), 1), (KeyboardInterrupt(), 130), (SystemExit(143), 143)):
        for records in (0, 2):

            def ingest(
                *_: object, played: Played, records: int = records, error: BaseException = error, **__: Any
            ) -> Played:
                played.records = played.taken = played.ticks = records
                played.time = 1_767_607_200_000
                raise error

            monkeypatch.setattr(player, "ingest", ingest)
            ended, out, err = run("ingest", str(path))
            assert (ended, out) == (code, "")
            told = "ended early: 2 records are in Kafka, played up to 2026-01-05T10:00:00Z. Give the same command again"
            assert (told in err) == bool(records)


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "in_order"), [([0, 0, 1, 5], True), ([0, 5, 4], False), ([3], True), ([], True), ([5, 0], False)]
)
def test_whether_a_file_is_in_order_is_seen_from_its_times(tmp_path: Path, minutes: list[int], in_order: bool) -> None:
    path = posts(tmp_path, *[row(n, at) for n, at in enumerate(minutes)])
    order = time_order(SourceFile(path), FileOptions())
    assert (order.rows, order.sorted, order.policy) == (len(minutes), in_order, None)


LINES: list[dict[str, Any]] = [
    {"type": "mention", "created_at": "2026-11-20T14:03:00Z", "received_at": "2026-11-20T14:05:00Z"},
    {"type": "reply", "created_at": "2026-11-20T14:04:00+00:00"},
    {"type": "operator", "desk": "care", "operator": "o1", "signed_in": "2026-11-20T14:02:00Z"},
    {
        "type": "operator",
        "desk": "care",
        "operator": "o1",
        "paused": "2026-11-20T14:02:00Z",
        "until": "2026-11-20T15:00:00Z",
    },
    {
        "type": "answer",
        "desk": "care",
        "operator": "o7",
        "offer_id": "f1",
        "answer": "declined",
        "at": "2026-11-20T14:09:00Z",
    },
    {"type": "update", "observed_at": "2026-11-20T14:01:00Z", "reach": 4},
    {"type": "update", "observed_at": "2026-11-20T14:01:00Z", "received_at": "2026-11-20T14:11:00Z", "reach": 5},
    {"type": "crisis", "change": "open", "by": "ana", "reason": "guitar", "at": "2026-11-20T14:13:00Z"},
]
POST = {"brand": "b", "channel": "c", "native_id": "1", "author_id": "u", "text": "hola"}
USED = {"mention": POST, "reply": POST, "update": {k: POST[k] for k in ("brand", "channel", "native_id", "author_id")}}


def test_the_time_of_every_kind_of_line_is_the_time_at_which_it_is_played(tmp_path: Path) -> None:
    """A look at the times alone says of each line what reading it whole says."""
    path = tmp_path / "lines.jsonl"
    lines = [
        {**USED.get(str(line["type"]), {"brand": "b"} if "source" in line or "by" in line else {}), **line}
        for line in LINES
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read = list(FileReading(path))
    assert len(read) == len(LINES)
    assert places(path, FileOptions()) == [(line.number, type(line.record), line.at) for line in read]


@pytest.mark.parametrize(
    "options",
    [
        {"map": {"created_at": "when"}, "set": {"brand": "b", "type": "reply"}},
        {"map": {"created_at": "when"}, "set": {"brand": "b", "received_at": "2026-11-20T16:00:00Z"}},
        {"map": {"created_at": "when", "received_at": "created_at"}, "set": {"brand": "b"}},
        {"map": {"created_at": "when"}, "set": {"brand": "b"}, "time_format": "%Y-%m-%dT%H:%M:%S%z"},
    ],
)
def test_a_look_at_the_times_goes_by_the_options(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "lines.csv"
    cells = "c,1,u,hola,2026-11-20T14:03:00Z,2026-11-20T15:00:00Z"
    path.write_text(f"channel,native_id,author_id,text,when,created_at\n{cells}\n")
    asked = FileOptions(ignore_unknown=True, **options)
    [line] = FileReading(path, asked)
    assert places(path, asked) == [(2, type(line.record), line.at)]


def test_a_row_without_a_time_has_no_place(tmp_path: Path) -> None:
    path = posts(tmp_path, row(1, 0), "andina,twitter,2,u2,hola,yesterday", "too,few", row(3, 1))
    assert [cls is None for _, cls, _ in places(path, FileOptions())] == [False, True, True, False]
    assert time_order(SourceFile(path), FileOptions()).sorted


TIMES = st.one_of(
    st.datetimes(datetime(2026, 3, 28), datetime(2026, 3, 30)).flatmap(  # noqa: DTZ001 - clocks are set forward here
        lambda at: st.sampled_from(
            [
                f"{at:%Y-%m-%dT%H:%M:%S}Z",
                f"{at:%Y-%m-%d %H:%M}",
                f"{at:%Y-%m-%d %H:%M:%S}+02:00",
                f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
                f"{at:%d/%m/%Y %H:%M}",
                f"{at.timestamp():.0f}",
            ]
        )
    ),
    st.sampled_from(
        ["", "", "NULL", " ", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "02/03/2026 10:00", "yesterday", '"', ","]
    ),
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a row or two, so that every file has several."""
    monkeypatch.setattr(csv_blocks, "_BLOCK", 40)


@pytest.mark.usefixtures("small_blocks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TIMES, TIMES), max_size=8), st.booleans(), st.sampled_from([None, "%Y-%m-%d %H:%M"]))
def test_many_cells_together_tell_the_order_that_row_by_row_is_found(
    tmp_path: Path, times: list[tuple[str, str]], in_order: bool, time_format: str | None
) -> None:
    path = tmp_path / "times.csv"
    cells = sorted(times) if in_order else times
    path.write_text("text,created_at,received_at\n" + "".join(f'"a ""b"",",{one},{other}\n' for one, other in cells))
    options = FileOptions(zone="Europe/Madrid", time_format=time_format)
    found = [at for _, cls, at in places(path, options) if cls is not None]
    assert time_order(SourceFile(path), options).sorted == (found == sorted(found))


@pytest.mark.parametrize(
    ("many", "options"),
    [
        (True, {}),
        (True, {"set": {"type": "reply"}}),
        (False, {"set": {"received_at": "2026-11-20T16:00:00Z"}}),
        (False, {"value": {"created_at": {"x": "2026-11-20T16:00:00Z"}}}),
        (False, {"map": {"type": "text"}}),
        (False, {"set": {"type": "nothing"}}),
        (False, {"set": {"type": "contacts"}}),
        (False, {"skip_if": {"text": frozenset({"x"})}}),
        (False, {"escape": "\\"}),
        (False, {"map": {"created_at": "text"}, "set": {"type": "crisis"}}),
    ],
)
def test_where_several_cells_tell_a_place_rows_are_looked_at_one_by_one(
    tmp_path: Path, many: bool, options: dict[str, Any]
) -> None:
    path = posts(tmp_path, row(1, 0), row(2, 1))
    reader = RecordReader(str(path), FileOptions(**options))
    if many:
        assert [len(cells) for cells in reader.cells_of_times(SourceFile(path))] == [2]
    else:
        with pytest.raises(csv_blocks.NotPlainError):
            list(reader.cells_of_times(SourceFile(path)))
    assert time_order(SourceFile(path), FileOptions(**options)).rows == 2


def test_the_first_rows_tell_whether_the_day_comes_first_for_a_look_at_many_cells(tmp_path: Path) -> None:
    dates = ["03/04/2026 10:00", "04/04/2026 10:00", "13/04/2026 10:00", "01/05/2026 10:00"]
    path = posts(tmp_path, *[f"andina,twitter,{n},u,hola,{at}" for n, at in enumerate(dates)])
    assert time_order(SourceFile(path), FileOptions(zone="UTC")).sorted
    path = posts(tmp_path, *[f"andina,twitter,{n},u,hola,{at}" for n, at in enumerate(reversed(dates))])
    assert not time_order(SourceFile(path), FileOptions(zone="UTC")).sorted


def test_a_file_that_changes_while_it_is_played_is_named(tmp_path: Path) -> None:
    path = posts(tmp_path, row(1, 5), row(2, 0))
    with pytest.raises(FileError, match=r"posts\.csv:3: is earlier than a line before it"):
        list(still_in_order(FileReading(path), str(path)))


def test_a_file_is_played_in_order_whatever_its_own(run: Run, log: list[Line], tmp_path: Path) -> None:
    """Records of one time in the order of their lines."""
    minutes = [random.Random(1).randrange(30) for _ in range(400)]
    posts(tmp_path, *[row(n, at) for n, at in enumerate(minutes)])
    code, out, err = run("ingest", "posts.csv")
    assert code == 0, err
    assert numbers(log) == [n + 2 for n in sorted(range(400), key=lambda n: minutes[n])]
    assert out == "400 rows read: 400 taken, 0 duplicates, 0 refused; 7 Ticks played\n"


def test_a_file_in_order_is_read_while_it_is_played(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of 2,000 rows one is read when the first is played."""
    posts(tmp_path, *[row(n, n) for n in range(2_000)])

    def ingest(_: object, __: object, lines: Iterator[Line], **___: Any) -> Played:
        next(lines)
        return Played()

    monkeypatch.setenv("NETCENTER_KAFKA", "127.0.0.1:1")
    monkeypatch.setattr(player, "ingest", ingest)
    monkeypatch.setattr(log_time, "oldest_taken", lambda *_: (0, 0))
    code, out, err = run("ingest", "posts.csv")
    assert (code, out) == (0, "1 row read: 1 taken, 0 duplicates, 0 refused; 0 Ticks played\n"), err


def test_the_broker_is_asked_before_a_file_is_read(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exit 3, after a look at its first row."""
    posts(tmp_path, *[row(n, n) for n in range(3)])

    def away(*_: object) -> None:
        raise Unreachable("no Kafka here")

    monkeypatch.setenv("NETCENTER_KAFKA", "127.0.0.1:1")
    monkeypatch.setattr(player, "clock_of_log", away)
    monkeypatch.setattr(file_inputs, "time_order", lambda *_: pytest.fail("the file was read"))
    assert run("ingest", "posts.csv") == (3, "", "netcenter: no Kafka here\n")


# --- what is told -----------------------------------------------------------------------------------------------------


def test_more_rows_refused_than_allowed_are_exit_1_after_the_others_were_taken(
    run: Run, log: list[Line], tmp_path: Path
) -> None:
    rows = [row(n, n) for n in range(98)]
    posts(tmp_path, *rows, "andina,twitter,98,,hola,2026-11-20T15:00:00Z", "short")
    code, out, err = run("ingest", "posts.csv", "--rejects", "bad.csv", "--json")
    assert (code, len(log)) == (1, 98), err
    assert json.loads(out) == {"rows": 100, "taken": 98, "duplicates": 0, "refused": 2, "left_out": 0, "ticks": 7}
    assert "netcenter: posts.csv:100: author_id: " in err
    assert "2 of 100 rows were refused, more than --max-rejects 1% allows: they are in bad.csv" in err
    assert len((tmp_path / "bad.csv").read_text().splitlines()) == 3
    assert run("ingest", "posts.csv", "--max-rejects", "2%")[0] == 0
    code, _, err = run("ingest", "posts.csv", "--max-rejects", "0")
    assert code == 1 and "--rejects FILE keeps them" in err


@pytest.mark.parametrize(
    "words", ["ingest posts.csv", "demo --input posts.csv", "classify posts.csv", "replay posts.csv --out o"]
)
def test_a_file_of_which_no_row_makes_a_record_is_wrong_usage(run: Run, tmp_path: Path, words: str) -> None:
    """Before a server is asked or started."""
    posts(tmp_path, row(1, 0).replace("Z", ""), "short")
    code, out, err = run(*words.split())
    assert (code, out) == (2, ""), err
    assert "posts.csv:2: created_at: " in err and "posts.csv:3: 1 cells, but the header has 6" in err
    assert "posts.csv: none of the first 2 rows makes a record" in err


@pytest.mark.parametrize(
    "words", ["ingest posts.csv", "demo --input posts.csv", "classify posts.csv", "replay posts.csv --out o"]
)
def test_a_file_of_a_header_is_said_and_no_server_is_needed(run: Run, tmp_path: Path, words: str) -> None:
    posts(tmp_path)
    code, out, err = run(*words.split())
    assert code == 0, err
    assert "no row read: a header only, or nothing" in out + err


def test_the_counts_of_all_files_of_a_replay_are_told(run: Run, tmp_path: Path) -> None:
    posts(tmp_path, row(1, 0), row(1, 0), name="one.csv")
    posts(tmp_path, row(2, 5), row(2, 5, "other"), row(3, 5), name="two.csv")
    code, out, err = run("replay", "one.csv", "two.csv", "--out", "o", "--max-rejects", "30%")
    assert code == 0, err
    told = {"rows": 5, "taken": 3, "duplicates": 1, "refused": 1, "left_out": 0}
    assert json.loads(out)["files"] == json.loads((tmp_path / "o" / "summary.json").read_text())["files"] == told
    assert "netcenter: two.csv:3: native_id: line 2 has this id with other content" in err
    assert "netcenter: 5 rows read: 3 taken, 1 duplicate, 1 refused" in err


def test_classify_tells_its_counts_beside_its_lines(run: Run, tmp_path: Path) -> None:
    posts(tmp_path, row(1, 0), row(1, 0), row(2, 0))
    code, out, err = run("classify", "posts.csv")
    assert (code, len(out.splitlines())) == (0, 2)
    assert err == "netcenter: 3 rows read: 2 taken, 1 duplicate, 0 refused\n"
    _, _, err = run("classify", "posts.csv", "--json")
    assert json.loads(err) == {"rows": 3, "taken": 2, "duplicates": 1, "refused": 0, "left_out": 0}


@pytest.mark.parametrize("given", ["x", "-1", "101", "1 percent", "1.%"])
def test_a_share_that_is_none_is_named(run: Run, tmp_path: Path, given: str) -> None:
    posts(tmp_path, row(1, 0))
    code, _, err = run("ingest", "posts.csv", f"--max-rejects={given}")
    assert code == 2 and f"--max-rejects: {given!r} is no percentage" in err


def test_the_rejects_go_to_a_file_of_their_own(run: Run, tmp_path: Path) -> None:
    path = posts(tmp_path, row(1, 0))
    code, _, err = run("classify", "posts.csv", "--rejects", "posts.csv")
    assert code == 2 and "--rejects: posts.csv is the file that is read" in err
    assert len(path.read_text().splitlines()) == 2
    code, _, err = run("classify", "posts.csv", "--rejects", "none/bad.csv")
    assert code == 2 and "--rejects: none/bad.csv: cannot be written" in err


def test_a_file_of_rejects_is_not_for_the_log(run: Run) -> None:
    code, _, err = run("replay", "--log", "mentions", "--out", "o", "--rejects", "bad.csv")
    assert code == 2 and "--rejects is of files" in err


def test_a_policy_in_a_file_is_found_before_anything_is_played(run: Run, log: list[Line], tmp_path: Path) -> None:
    (tmp_path / "next.toml").write_text(DEFAULT_POLICY.read_text())
    lines = [
        {"type": "mention", **POST, "native_id": str(n), "created_at": f"2026-11-20T14:0{n}:00Z"} for n in range(3)
    ]
    lines.append({"type": "policy", "file": "next.toml", "at": "2026-11-20T15:00:00Z"})
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, err = run("ingest", "posts.jsonl")
    assert (code, log) == (2, []), err
    assert "posts.jsonl:4: type: a policy in a file counts in `netcenter replay` only" in err


def test_what_comes_on_the_standard_input_is_sorted_or_on_a_wall_clock_taken_as_it_comes(
    run: Run, log: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [{**POST, "native_id": str(n), "created_at": f"2026-11-20T14:0{n}:00Z"} for n in (3, 1, 2)]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    for clock, order in (("event", [2, 3, 1]), ("wall", [1, 2, 3])):
        log.clear()
        monkeypatch.setattr("netcenter.broker.log_clock.clock_of_log", lambda *_, clock=clock: clock)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        code, _, err = run("ingest", "-")
        assert (code, numbers(log)) == (0, order), err


# --- progress ---------------------------------------------------------------------------------------------------------


def test_without_a_terminal_a_line_says_every_30_seconds_how_far_it_is() -> None:
    now, said = [0.0], list[str]()
    with FileProgress(said.append, console=Console(file=io.StringIO()), clock=lambda: now[0]) as progress:
        progress.stage("playing", 2_048)
        lines = [Line(1_795_183_380_000 + n, "mentions", None, n) for n in range(2_048)]  # type: ignore[arg-type]
        for n, _ in enumerate(progress.over(lines, attrgetter("at"))):
            now[0] = n / 16
    assert said == [
        "playing: 512 rows, 25%, 16 rows/s, at 2026-11-20T14:03:00.511Z",
        "playing: 1,024 rows, 50%, 16 rows/s, at 2026-11-20T14:03:01.023Z",
        "playing: 1,536 rows, 75%, 16 rows/s, at 2026-11-20T14:03:01.535Z",
        "playing: 2,048 rows, 100%, 16 rows/s, at 2026-11-20T14:03:02.047Z",
    ]


def test_progress_of_a_slow_play_tells_the_time_that_was_reached() -> None:
    """Between two looks at the rows only the player knows it."""
    said: list[str] = []
    now = [0.0]
    with FileProgress(said.append, console=Console(file=io.StringIO()), clock=lambda: now[0]) as progress:
        now[0] = 31.0
        progress.look(1_767_607_200_000)
    assert said[0].endswith("at 2026-01-05T10:00:00Z")


def test_a_terminal_has_a_bar() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    with FileProgress(lambda _: pytest.fail("a line"), console=console, clock=lambda: 1.0) as progress:
        progress.stage("sorting by time")
        assert len(list(progress.over(range(1_000), lambda _: 0))) == 1_000
    assert "sorting by time" in shown.getvalue() and "768 rows" in shown.getvalue()


# --- a closed pipe ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["classify posts.csv", "replay posts.csv --out o", "ingest --help"])
def test_a_closed_pipe_ends_a_command_quietly(tmp_path: Path, words: str) -> None:
    """As `| head` closes it, in a process of its own: Python complains of nothing at its end."""
    posts(tmp_path, *[row(n, n) for n in range(50)])
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as out:
        ended = subprocess.run(
            [sys.executable, "-m", "netcenter", *words.split()],
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (ExitCode.PIPE_CLOSED, "")


def test_what_is_refused_is_judged_over_all_files(tmp_path: Path) -> None:
    good, bad = (
        posts(tmp_path, *[row(n, n) for n in range(9)], name="a.csv"),
        posts(tmp_path, row(1, 1), "x", name="b.csv"),
    )
    with FileInputs([good, bad], FileOptions(max_rejects=0.1)) as inputs:
        for reading in inputs.readings:
            list(inputs.lines(reading))
        inputs.check()
    with FileInputs([bad], FileOptions(max_rejects=0.1)) as inputs:
        list(inputs.lines(inputs.readings[0]))
        with pytest.raises(CommandError, match="1 of 2 rows"):
            inputs.check()
    with pytest.raises(UsageError, match=r"nowhere\.csv"):
        FileInputs([tmp_path / "nowhere.csv"], FileOptions()).begins()
