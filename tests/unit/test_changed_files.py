"""A file that is cut, changed or replaced while a command reads it ends the command, and no row of it is taken in part."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import zstandard
from openpyxl import Workbook
from pyarrow import parquet

from netcenter import cli
from netcenter.errors import UsageError
from netcenter.files.file_inputs import FileInputs, say
from netcenter.files.file_order import time_order
from netcenter.files.file_progress import FileProgress
from netcenter.files.file_reading import FileReading
from netcenter.files.line import FileError, Line
from netcenter.files.options import FileOptions
from netcenter.files.shapes.source_file import SourceFile

HEADER = ["native_id", "brand", "channel", "author_id", "created_at", "text"]
COUNT = 1_200
_CHANCE = random.Random(7)
TEXTS = ["".join(_CHANCE.choices("abcdefghij klmnop", k=1_000)) for _ in range(COUNT)]
ROWS = [[f"p{n}", "andina", "twitter", f"u{n}", "2026-01-05T10:00:00Z", TEXTS[n]] for n in range(COUNT)]
OBJECTS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
LINES = "".join(json.dumps(one) + "\n" for one in OBJECTS)


def as_csv() -> str:
    """The rows with their header."""
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *ROWS])
    return text.getvalue()


def write(path: Path) -> Path:
    """Write the rows in the shape that the name says."""
    match path.suffix:
        case ".csv":
            path.write_text(as_csv())
        case ".jsonl":
            path.write_text(LINES)
        case ".json":
            path.write_text(json.dumps(OBJECTS))
        case ".gz":
            path.write_bytes(gzip.compress(as_csv().encode()))
        case ".zst":
            path.write_bytes(zstandard.compress(as_csv().encode()))
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("f.csv", as_csv())
        case ".parquet":
            parquet.write_table(pyarrow.Table.from_pylist(OBJECTS), path, row_group_size=100, compression="none")
        case _:
            book = Workbook(write_only=True)
            sheet = book.create_sheet()
            for row in [HEADER, *ROWS]:
                sheet.append(row)
            book.save(path)
    return path


def cut(path: Path) -> None:
    """As `truncate -s` does."""
    os.truncate(path, path.stat().st_size // 2 + 7)


def emptied_and_written_anew(path: Path) -> None:
    """As `cp` does, with a file that is larger."""
    old = path.read_bytes()
    path.write_bytes(bytes(reversed(old)) + old)


def append(path: Path, content: bytes) -> None:
    """As a program that writes a log does."""
    with path.open("ab") as file:
        file.write(content)


def written_over(path: Path) -> None:
    """As `rsync --inplace` does: as many bytes, other content."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"x" * (size // 4))
    os.utime(path, (2e9, 2e9))


def take(lines: Iterable[Line], taken: list[Any], change: Callable[[], object]) -> None:
    """Put the records into a list, and make a change after the first."""
    for line in lines:
        if not taken:
            change()
        taken.append(line.record)


CHANGES: dict[Callable[[Path], None], str] = {
    cut: "became shorter while it was read",
    emptied_and_written_anew: "was changed while it was read",
    written_over: "was changed while it was read",
}
SHAPES = ["f.csv", "f.jsonl", "f.json", "f.csv.gz", "f.csv.zst", "f.zip", "f.parquet", "f.xlsx"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Copies a file of a shape, which is made once, into a folder."""
    folder = tmp_path_factory.mktemp("shapes")
    for name in SHAPES:
        write(folder / name)

    def copied(name: str, to: Path) -> Path:
        (to / name).write_bytes((folder / name).read_bytes())
        return to / name

    return copied


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", SHAPES)
def test_a_file_that_is_changed_while_it_is_read_ends_the_reading(
    tmp_path: Path, kept: Callable[[str, Path], Path], name: str, change: Callable[[Path], None]
) -> None:
    """In every shape; how many rows were read is said, and each that was taken is one of the file's, whole."""
    path = kept(name, tmp_path)
    reading = FileReading(path)
    taken: list[Any] = []
    with pytest.raises(FileError) as caught:
        take(reading, taken, lambda: change(path))
    assert str(caught.value) == (
        f"{path}: {told(change, caught)}: wait until no program writes to it, then run the command again; "
        f"{len(taken):,} rows were read before"
    )
    assert [one.text for one in taken] == TEXTS[: len(taken)]


def told(change: Callable[[Path], None], caught: pytest.ExceptionInfo[FileError]) -> str:
    """What is said of a change, with the sizes where they are said."""
    words = str(caught.value).split(": ")[1]
    assert words.startswith(CHANGES[change])
    return words


@pytest.mark.parametrize("change", [*CHANGES, lambda path: write(path.with_name("g.csv")).replace(path)])
def test_a_file_that_is_changed_between_two_looks_is_not_played(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """What was looked at is what is played."""
    source = SourceFile(write(tmp_path / "f.csv"))
    assert time_order(source, FileOptions()).rows == COUNT
    change(source.path)
    with pytest.raises(FileError, match="while it was read"):
        time_order(source, FileOptions())


def test_a_command_looks_and_plays_one_file(tmp_path: Path) -> None:
    """From its first look at the first rows on."""
    path = write(tmp_path / "f.csv")
    with FileInputs([path], FileOptions()) as inputs:
        assert inputs.begins()
        write(tmp_path / "g.csv").replace(path)
        with pytest.raises(UsageError, match="was replaced by another file while it was read"):
            list(inputs.to_play(FileProgress(say)))


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl"])
@pytest.mark.parametrize("end", ["\n", "", "cut"])
def test_what_a_growing_file_held_at_first_is_read_and_its_last_row_whole(tmp_path: Path, name: str, end: str) -> None:
    """Two readings of a file that is appended to meanwhile read the same rows."""
    path = write(tmp_path / name)
    whole = path.read_bytes()
    at = {"\n": len(whole), "": len(whole.rstrip()), "cut": len(whole) - 300}[end]
    os.truncate(path, at)
    source = SourceFile(path)
    more = whole[at:] + whole[-1_100:].replace(b"p1199", b"later")

    for _ in range(2):
        reading, taken = FileReading(path), list[Any]()
        reading.source = source
        take(reading, taken, lambda: append(path, more))
        assert [one.text for one in taken] == TEXTS


def test_a_row_that_is_being_written_is_not_taken_in_part(tmp_path: Path) -> None:
    """The file grows, and its last row has no end yet."""
    path = write(tmp_path / "f.csv")
    os.truncate(path, path.stat().st_size - 300)
    taken: list[Any] = []
    with pytest.raises(FileError, match="is being written, and its last row is not whole yet"):
        take(FileReading(path), taken, lambda: append(path, b"more"))
    assert len(taken) == COUNT - 1


def test_a_file_on_the_standard_input_is_watched_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`netcenter classify - < posts.jsonl`; and it is read from where it stands."""
    path = write(tmp_path / "f.jsonl")
    with path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert len(list(FileReading(Path("-")))) == COUNT
        os.lseek(file.fileno(), len(LINES) - len(LINES.splitlines(keepends=True)[-1]), os.SEEK_SET)
        [last] = FileReading(Path("-"))
        assert last.record.text == TEXTS[-1]  # type: ignore[attr-defined]
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        with pytest.raises(FileError, match="-: became shorter while it was read"):
            take(FileReading(Path("-")), [], lambda: cut(path))


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_read_from_a_pipe(tmp_path: Path, kept: Callable[[str, Path], Path], name: str) -> None:
    """A pipe can be read once: nothing looks at it before, and what must be read from its end is kept on the disk."""
    content = kept(name, tmp_path).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    with FileInputs([pipe], FileOptions(format="csv" if "csv" in name or "zip" in name else None)) as inputs:
        assert inputs.read_once
        assert [line.record.text for line in inputs.as_read()] == TEXTS  # type: ignore[attr-defined]
    writer.join()


def test_classify_writes_what_it_read_before_the_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is not 0, and every row that is counted as read was written."""
    path = write(tmp_path / "f.json")
    os.truncate(path, path.stat().st_size - 500)
    monkeypatch.setattr(sys, "argv", ["netcenter", "classify", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert f"; {COUNT - 1:,} records were read before" in err
    assert [json.loads(line)["text"] for line in out.splitlines()] == TEXTS[:-1]
