"""A disk that is full ends a command with what could not be written, where, how much room there is, and the way out."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from openpyxl import Workbook

from netcenter import cli
from netcenter.disk import amount, writing
from netcenter.errors import CommandError, UsageError
from netcenter.files import own_replies
from netcenter.files.file_reading import FileReading
from netcenter.files.options import FileOptions
from netcenter.operate.savepoint import savepoint_file
from netcenter.policies import DEFAULT_POLICY
from netcenter.training import packing
from streams.exit_codes import ExitCode

COMPLAINT = "My flight was cancelled and nobody answers: the worst service. "
HEADER = ["native_id", "brand", "channel", "author_id", "created_at", "text"]
FULL = Path("/dev/full")
Run = Callable[..., tuple[int, str, str]]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to let a file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def row(n: int, text: str = "hola") -> list[str]:
    """A post; the times of the posts are in no order."""
    return [f"p{n}", "andina", "twitter", f"u{n}", f"2026-01-05T10:{n * 7 % 60:02}:00Z", text]


def posts(folder: Path, count: int = 100) -> Path:
    """A file of posts with texts of a kilobyte."""
    path = folder / "posts.csv"
    path.write_text("".join(",".join(one) + "\n" for one in [HEADER, *(row(n, COMPLAINT * 20) for n in range(count))]))
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


def last(err: str) -> str:
    """The last line of the standard error, which is the only one about the disk."""
    assert "a fault of ours" not in err
    return err.splitlines()[-1]


def test_a_sort_without_room_names_the_folder_the_room_and_the_way_out(run: Run, tmp_path: Path) -> None:
    """A file out of order is sorted in the folder for temporary files."""
    path = posts(tmp_path)
    with no_file_above(100_000):
        code, _, err = run("replay", str(path), "--out", "out")
    assert code == ExitCode.FAILED
    told = last(err)
    assert told.startswith(
        "netcenter: /tmp: no room in the folder for temporary files (File too large): rows are sorted"
    )
    assert f"; and the files have {amount(path.stat().st_size)} on the disk; " in told.replace(", and", "; and")
    assert told.endswith("are free there: make room, or name a folder on another disk in TMPDIR")


@pytest.mark.parametrize("name", ["cases.jsonl", "summary.json", "now/cases.jsonl", "desks.svg"])
def test_each_file_of_a_replay_that_cannot_be_written_is_told(run: Run, tmp_path: Path, name: str) -> None:
    """While it decides, when the files are closed, and at the end."""
    link = tmp_path / "out" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(FULL)
    words = ["replay", str(posts(tmp_path)), "--out", "out"]
    if name.startswith(("now", "desks")):
        (tmp_path / "now.toml").write_text(DEFAULT_POLICY.read_text())
        words += ["--policy", "now.toml", "--against", "now.toml"]
    code, _, err = run(*words)
    assert code == ExitCode.FAILED
    assert last(err).startswith("netcenter: --out: out")
    assert ": cannot be written: No space left on device; " in last(err)


def test_refused_rows_that_cannot_be_written_end_the_command(run: Run, tmp_path: Path) -> None:
    """When the file is closed, and in the middle of many."""
    path = tmp_path / "posts.csv"
    for count in (1, 10_000):
        path.write_text("".join(",".join(one) + "\n" for one in [HEADER, row(0), *[["x"]] * count]))
        code, _, err = run("classify", str(path), "--rejects", str(FULL))
        assert code == ExitCode.FAILED
        assert last(err).startswith("netcenter: --rejects: /dev/full: cannot be written: No space left on device; ")


@pytest.mark.parametrize("words", [["--version"], ["classify", "posts.csv"]])
def test_a_standard_output_that_cannot_be_written_is_told(tmp_path: Path, words: list[str]) -> None:
    """In a process of its own, whose end Python does not complain of."""
    posts(tmp_path)
    with FULL.open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "netcenter", *words],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert found.returncode == ExitCode.FAILED
    assert last(found.stderr) == (
        "netcenter: the standard output, or a file that this command writes, cannot be written: No space left on device: "
        "make room there, or write to another disk"
    )


def test_posts_that_cannot_be_noted_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wrote each post is kept on the disk where the brand's own answers are told from posts."""
    monkeypatch.setattr(own_replies, "_CACHE_KIB", 64)
    path = tmp_path / "posts.csv"
    path.write_text("".join(",".join(row(n)) + "\n" if n else ",".join(HEADER) + "\n" for n in range(20_000)))
    reading = FileReading(path, FileOptions(own_accounts=frozenset({"x"})))
    with no_file_above(100_000), pytest.raises(CommandError) as caught:
        list(reading)
    assert "no room in the folder for temporary files" in str(caught.value)
    assert str(caught.value).endswith("in TMPDIR")


def test_a_workbook_from_a_pipe_without_room_names_the_folder(tmp_path: Path) -> None:
    """It is kept on the disk, because it is read from its end."""
    book = Workbook()
    for one in [HEADER, *(row(n) for n in range(500))]:
        book.active.append(one)
    book.save(tmp_path / "posts.xlsx")
    os.mkfifo(pipe := tmp_path / "pipe")
    content = (tmp_path / "posts.xlsx").read_bytes()
    writer = threading.Thread(target=lambda: _write(pipe, content))
    writer.start()
    with no_file_above(8_000), pytest.raises(CommandError) as caught:
        list(FileReading(pipe))
    writer.join()
    assert "pipe is kept there, because its shape is read from its end" in str(caught.value)


def _write(pipe: Path, content: bytes) -> None:
    with pipe.open("wb", buffering=0) as file, suppress(BrokenPipeError):  # the reader has ended
        file.write(content)


def test_pictures_figures_and_scores_that_cannot_be_written_are_told(run: Run, tmp_path: Path) -> None:
    """Of `evaluate` and `backtest`."""
    (tmp_path / "told").mkdir()
    (tmp_path / "told/metrics.json").symlink_to(FULL)
    rows = [{"text": "hola", "label": "question", "lang": "es", "brand": "andina", "source": "x"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    (tmp_path / "scores.csv").symlink_to(FULL)
    counts = "".join(f"2026-01-05T{n // 12:02}:{n % 12 * 5:02}:00Z,{n % 7}\n" for n in range(288))
    (tmp_path / "counts.csv").write_text(f"timestamp,value\n{counts}")
    for words, place in (
        (["evaluate", "rows.jsonl", "--out", "told"], "told"),
        (["backtest", "counts.csv", "--out", "scores.csv"], "scores.csv"),
    ):
        code, _, err = run(*words)
        assert code == ExitCode.FAILED, err
        assert last(err).startswith(f"netcenter: --out: {place}: cannot be written: No space left on device; ")


def test_a_savepoint_and_an_artefact_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """Nothing is left of what the disk had no room for."""
    with no_file_above(10), pytest.raises(CommandError, match="cannot be written: File too large; "):
        packing.write({}, {}, tmp_path)
    with no_file_above(10), pytest.raises(CommandError, match="cannot be written: File too large; "):
        savepoint_file.save(tmp_path / "savepoint", [], lambda: pytest.fail("the disk is full before"))
    assert list(tmp_path.iterdir()) == []


def test_any_other_file_that_cannot_be_written_is_no_fault_of_ours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command writes, and wherever."""

    def fail() -> None:
        FULL.write_text("x")

    monkeypatch.setattr(cli, "_run", fail)
    code, _, err = run()
    assert code == ExitCode.FAILED
    assert last(err).startswith(
        "netcenter: the standard output, or a file that this command writes, cannot be written: "
    )


def test_a_place_that_cannot_be_written_is_told_as_such(tmp_path: Path) -> None:
    """It is not for want of room; and a pipe that nobody reads is no matter of the disk."""
    with (
        pytest.raises(UsageError, match="--out: .*: cannot be written: No such file or directory: name another place"),
        writing(tmp_path / "a/b", "--out"),
    ):
        (tmp_path / "a/b").write_text("x")
    with pytest.raises(BrokenPipeError), writing(tmp_path):
        raise BrokenPipeError


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (45_000_000, "45 MB"), (3.2e9, "3.2 GB")]
)
def test_an_amount_of_bytes_is_written_as_people_do(size: float, words: str) -> None:
    """With one digit after the point where there is one before it."""
    assert amount(size) == words
