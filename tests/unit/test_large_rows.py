"""A row that is too large is refused as that row, and no file makes a command hold more than a few of the largest rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import zstandard
from openpyxl import Workbook
from pyarrow import parquet

from netcenter.files import file_reader
from netcenter.files.file_rows import open_rows
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.options import FileOptions
from netcenter.files.shapes import csv_rows, file_bytes, json_rows
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.row_limit import LARGEST_ROW
from netcenter.files.shapes.source_file import SourceFile

HEADER = ["native_id", "brand", "channel", "author_id", "created_at", "text"]
ROW = ["1", "andina", "twitter", "u1", "2026-01-05T10:00:00Z", "hola"]
LINE = json.dumps(dict(zip(HEADER, ROW, strict=True)))
CELLS = ",".join(ROW)
#: So many bytes are far more than may be held.
HUGE = 96 * 2**20
MOST = 64 * 2**20
PART = b"x" * 2**20


def found(path: Path, **options: Any) -> list[Line | Refused]:
    """What a file gives, in its order."""
    return list(file_reader.read(path, FileOptions(**options)))


@pytest.fixture
def largest(monkeypatch: pytest.MonkeyPatch) -> int:
    """The largest row is small, so that every place at which a part may end is tried."""
    for module in (csv_rows, json_rows):
        monkeypatch.setattr(module, "LARGEST_ROW", 300)
    return 300


def rows_of(name: str, large: str) -> str:
    """A file in which a large text stands in the second of three records."""
    if name == "f.csv":
        return "\n".join((",".join(HEADER), CELLS, f"{CELLS}{large}", CELLS, ""))
    lines = (LINE, LINE.replace("hola", "hola" + large), LINE)
    return "".join(f"{one}\n" for one in lines) if name == "f.jsonl" else "[" + ",".join(lines) + "]"


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl", "f.json"])
@pytest.mark.parametrize("length", [100, 210, 300, 599, 5_000])
@pytest.mark.parametrize("unit", ["x", '\\"' * 2, "é", "},{"])
def test_a_row_that_is_too_large_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int, name: str, length: int, unit: str
) -> None:
    """Wherever its parts end, and whatever it holds; its size is told, and its beginning is kept for --rejects."""
    monkeypatch.setattr(json_rows, "_CHUNK", 64)
    unit = unit.replace("\\", "").replace('"', "'").replace(",", ";") if name == "f.csv" else unit
    large = unit * (length // len(unit))
    path = tmp_path / name
    path.write_text(rows_of(name, large), encoding="utf-8")
    got = found(path)
    assert len(got) == 3
    first, second, third = got
    assert [one.record.text for one in (first, third) if isinstance(one, Line)] == ["hola", "hola"]  # type: ignore[attr-defined]
    row = CELLS + large if name == "f.csv" else LINE.replace("hola", f"hola{large}")
    size = len(row) if name == "f.csv" else len(row.encode())
    if isinstance(second, Line):
        assert size <= largest
        assert second.record.text == json.loads(f'"hola{large}"')  # type: ignore[attr-defined]
        return
    assert size >= largest - 1
    told = size + (name != "f.json")  # a line has its end
    assert second.why.startswith(f"has {told:,} {'characters' if name == 'f.csv' else 'bytes'}, and a row has at most ")
    assert row.startswith(second.raw[:200].rstrip("\ufffd"))
    assert len(second.raw) <= 1_000


@pytest.mark.parametrize("element", ['"{}"', "1{}", '["{}"]', '{{"a": ["{}"]}}', '"{}\\\\"'])
@pytest.mark.parametrize("chunk", [1, 7, 64, 1_000])
def test_an_element_of_an_array_that_is_too_large_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int, element: str, chunk: int
) -> None:
    """Of every kind, in the middle and at the end."""
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    monkeypatch.setattr(file_bytes, "HEAD", max(chunk, 8))
    large = element.format("1" * 700)
    path = tmp_path / "f.json"
    path.write_text(f"[{LINE}, {large}, {LINE},{large}]")
    got = found(path)
    assert [one.number for one in got] == [1, 2, 3, 4]
    refused = [one for one in got if isinstance(one, Refused)]
    assert [one.why.startswith(f"has {len(large):,} bytes, ") for one in refused] == [True, True]
    assert all(one.raw and large.startswith(one.raw) for one in refused)
    path.write_text(f"[{LINE}, {large[:-1]}")
    with pytest.raises(FileError, match="record 2 is not closed, or not JSON; 1 records were read before|cut off"):
        found(path)


def test_a_quoted_cell_that_never_ends_costs_itself_alone(tmp_path: Path, largest: int) -> None:
    """Also where the lines after it hold quotes, and where one of these is too large."""
    lines = [
        ",".join(HEADER),
        CELLS,
        CELLS.replace("hola", '"never closed'),
        *[CELLS] * 20,
        CELLS + "x" * 999,
        CELLS,
        "",
    ]
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines))
    got = found(path)
    assert [one.number for one in got if isinstance(one, Refused)] == [3, 24]
    assert sum(isinstance(one, Line) for one in got) == 22
    path.write_text("\n".join([*lines[:2], CELLS.replace("hola", '"a'), f'b","{"y" * 999}', CELLS, ""]))
    assert [one.number for one in found(path) if isinstance(one, Line)] == [2, 5]


def test_a_header_that_is_too_large_is_no_header(tmp_path: Path) -> None:
    """Nothing of it is quoted."""
    path = tmp_path / "f.csv"
    path.write_bytes(b"x" * (LARGEST_ROW + 1))
    with pytest.raises(FileError) as caught:
        found(path)
    assert str(caught.value).endswith(
        f":1: has {LARGEST_ROW:,} characters or more, so it is no header: are the line ends missing?"
    )


BEGINS = {
    "f.csv": f"{','.join(HEADER)}\n{CELLS}\n{CELLS}".encode(),
    "f.csv, a cell in quotes": f'{",".join(HEADER)}\n{CELLS}\n{CELLS[:-4]}"'.encode(),
    "f.jsonl": f"{LINE}\n{LINE[:-2]}".encode(),
    "f.json": f"[{LINE}, {LINE[:-2]}".encode(),
    "f.json, no object": f"[{LINE}, {'7'}".encode(),
}
ENDS = {"f.csv": f"\n{CELLS}\n", "f.jsonl": f'"}}\n{LINE}\n', "f.json": f'"}}, {LINE}]'}


def parts(name: str) -> Iterator[bytes]:
    """A file with one huge row between two of the usual size."""
    yield BEGINS[name]
    for _ in range(HUGE // len(PART)):
        yield PART
    yield ENDS[name.partition(",")[0]].encode()


def peak(work: Callable[[], Any]) -> int:
    """Bytes; the most that Python held at once during the work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def packed(path: Path, kind: str, name: str) -> Path:
    """A file of the parts, packed: less than a megabyte."""
    match kind:
        case "gzip":
            with gzip.open(path, "wb", 1) as file:
                file.writelines(parts(name))
        case "zstd":
            with path.open("wb") as raw, zstandard.ZstdCompressor(1).stream_writer(raw) as stream:
                for part in parts(name):
                    stream.write(part)
        case _:
            with (
                zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
                archive.open(name.partition(",")[0], "w") as member,
            ):
                member.writelines(parts(name))
    return path


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("gzip", name) for name in BEGINS if "no object" not in name), ("zstd", "f.jsonl"), ("zip", "f.json")],
)
def test_a_huge_row_of_a_small_packed_file_is_not_held(tmp_path: Path, kind: str, name: str) -> None:
    """In every text shape; and the row after it is read, where anything tells where the huge one ends."""
    path = packed(tmp_path / "f.packed", kind, name)
    assert path.stat().st_size < 2**20
    got: list[Line | Refused] = []
    held = peak(lambda: got.extend(found(path, format=name.partition(",")[0].partition(".")[2])))
    assert held < MOST
    assert [one.number for one in got] == ([1, 2, 3] if "json" in name else [2, 3, 4])
    assert [isinstance(one, Refused) for one in got] == [False, True, False]


def test_the_encoding_is_told_without_holding_a_huge_line(tmp_path: Path) -> None:
    """Of a file that is ASCII as far as its head goes, the first other letters are looked for."""
    path = tmp_path / "f.jsonl"
    with path.open("wb") as file:
        file.writelines(parts("f.jsonl"))
    assert peak(lambda: found(path)) < MOST


def test_utf_16_of_one_huge_line_is_not_held(tmp_path: Path) -> None:
    """Its lines become UTF-8 in parts."""
    path = tmp_path / "f.jsonl"
    with path.open("w", encoding="utf-16") as file:
        for part in parts("f.jsonl"):
            file.write(part.decode())
    assert peak(lambda: found(path)) < MOST


def test_large_rows_of_parquet_are_held_one_by_one(tmp_path: Path) -> None:
    """Not four thousand at a time."""
    rows = [{**json.loads(LINE), "native_id": str(n), "text": str(n) + "x" * 2**20} for n in range(100)]
    parquet.write_table(
        pyarrow.Table.from_pylist(rows), tmp_path / "f.parquet", use_dictionary=False, row_group_size=20
    )
    del rows
    assert peak(lambda: sum(1 for _ in file_reader.read(tmp_path / "f.parquet", FileOptions()))) < MOST


def book(path: Path, change: Callable[[zipfile.ZipFile, str, bytes], None]) -> Path:
    """A workbook of which each part is written anew by a function."""
    whole = Workbook()
    for row in (HEADER, ROW, ROW):
        whole.active.append(row)
    whole.save(held := io.BytesIO())
    with zipfile.ZipFile(held) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return path


def long_cell(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    """A cell of 96 MB."""
    with new.open(name, "w") as member:
        if name.endswith("sheet1.xml"):
            begin, end = content.split(b"</sheetData>")
            member.write(begin + b'<row r="4"><c r="A4" t="inlineStr"><is><t>')
            for _ in range(HUGE // len(PART)):
                member.write(PART)
            content = b"</t></is></c></row></sheetData>" + end
        member.write(content)


def many_texts(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Texts of 300 MB, each of them short."""
    new.writestr(name, content)
    if name == "xl/workbook.xml":
        with new.open("xl/sharedStrings.xml", "w") as member:
            for _ in range(300):
                member.write(b"<si><t>x</t></si>" * 60_000)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (long_cell, "xl/worksheets/sheet1.xml in it holds a text of more than 1.0 MB, which no cell has"),
        (many_texts, "its texts have 306 MB together, more than 268 MB"),
    ],
)
def test_a_small_book_that_would_fill_the_memory_is_told(
    tmp_path: Path, change: Callable[[zipfile.ZipFile, str, bytes], None], told: str
) -> None:
    """Before any of it is held."""
    path = book(tmp_path / "f.xlsx", change)
    assert path.stat().st_size < 2 * 2**20
    errors: list[str] = []

    def read() -> None:
        with pytest.raises(FileError) as caught:
            found(path)
        errors.append(str(caught.value))

    assert peak(read) < MOST
    assert errors[0].startswith(f"{path}: {told}")


def test_a_sheet_whose_rows_go_on_for_ever_is_told(tmp_path: Path) -> None:
    """A row number beyond Excel's last makes no empty rows up to there."""

    def change(new: zipfile.ZipFile, name: str, content: bytes) -> None:
        new.writestr(name, content.replace(b'<row r="3"', b'<row r="3000000000"').replace(b'"A3"', b'"A3000000000"'))

    path = book(tmp_path / "f.xlsx", change)
    with pytest.raises(FileError, match=r"is damaged after row 2 of its sheet: it has rows after row 1,048,576"):
        found(path)


def test_a_book_that_is_damaged_in_the_middle_says_after_which_row(tmp_path: Path) -> None:
    """Whatever its reader makes of it."""

    def change(new: zipfile.ZipFile, name: str, content: bytes) -> None:
        if name.endswith("sheet1.xml"):
            content = content[: content.index(b'<row r="3"')] + b"<row <<"
        new.writestr(name, content)

    with pytest.raises(FileError, match=r"f.xlsx: is damaged after row \d of its sheet: .*: save it again"):
        found(book(tmp_path / "f.xlsx", change))


def test_a_row_is_read_from_a_pipe_as_soon_as_it_is_written(tmp_path: Path) -> None:
    """A limit for a line waits for no more than the line."""
    os.mkfifo(pipe := tmp_path / "pipe")
    taken = threading.Event()

    def write() -> None:
        with pipe.open("w", buffering=1) as file:
            file.write(LINE + "\n")
            assert taken.wait(30)
            file.write(LINE + "\n")

    writer = threading.Thread(target=write)
    writer.start()
    rows = file_reader.read(pipe, FileOptions())
    assert isinstance(next(rows), Line)
    taken.set()
    assert len(list(rows)) == 1
    writer.join()


def test_a_quoted_cell_of_nearly_the_largest_size_is_read(tmp_path: Path) -> None:
    """The csv module has a limit of its own. That the text is too long for a post is another matter."""
    text = "x, y\n" * (LARGEST_ROW // 5 - 100)
    with (tmp_path / "f.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, [*ROW[:-1], text], ROW])
    with open_rows(SourceFile(tmp_path / "f.csv"), FileOptions()) as rows:
        assert [one.values["text"] for one in rows.rows if isinstance(one, Row)] == [text, "hola"]
