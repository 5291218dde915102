"""Each shape of file that people have is read as the same records, or its error names the way out."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import zstandard
from openpyxl import Workbook
from pyarrow import parquet

from netcenter.commands.file_options import given_options
from netcenter.files import file_reader
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.options import FileOptions
from netcenter.files.shapes import file_bytes, json_rows
from tests.support.file_results import fault, found, texts, written
from tests.support.pandas_csv import as_pandas

HEADER = ["native_id", "brand", "channel", "author_id", "created_at", "text"]
ROWS = [
    ["1", "andina", "twitter", "u1", "2026-01-05T10:00:00Z", "¿Dónde está mi maleta?"],
    ["2", "andina", "twitter", "u2", "2026-01-05T10:01:00Z", "Gracias, excelente; servicio"],
    ["3", "andina", "twitter", "u3", "2026-01-05T10:02:00Z", 'line one\nline two "quoted" | x'],
]
TEXTS = [row[-1] for row in ROWS]
OBJECTS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def as_csv(delimiter: str = ",", rows: list[list[str]] = ROWS) -> str:
    """The rows with their header as CSV."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *rows])
    return text.getvalue()


def refused(path: Path, **options: Any) -> list[Refused]:
    """The rows of a file that make no record."""
    return [one for one in found(path, **options) if isinstance(one, Refused)]


def from_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    """The path of the standard input, which holds this."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return Path("-")


# --- CSV ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_header(tmp_path: Path, delimiter: str) -> None:
    """Whatever else the texts hold."""
    assert texts(written(tmp_path / "f.csv", as_csv(delimiter))) == TEXTS
    assert texts(written(tmp_path / "f.tsv", as_csv(delimiter))) == TEXTS


def test_the_delimiter_is_told_by_the_columns_that_are_mapped(tmp_path: Path) -> None:
    """A header of foreign names is told by what --map names."""
    text = "a,b;id;who,d\nx;1;u1\n"
    fixed = {"brand": "andina", "channel": "twitter", "created_at": "2026-01-05T10:00:00Z", "text": "hola"}
    path = written(tmp_path / "f.csv", text)
    mapped = {"native_id": "id", "author_id": "who,d"}
    assert texts(path, map=mapped, set=fixed, ignore_unknown=True) == ["hola"]


@pytest.mark.parametrize("delimiter", ["^", "tab"])
def test_another_delimiter_is_given(tmp_path: Path, delimiter: str) -> None:
    """One character, or the word for the tab."""
    path = written(tmp_path / "f.csv", as_csv("\t" if delimiter == "tab" else delimiter))
    assert texts(path, delimiter=delimiter) == TEXTS


def test_the_wrong_delimiter_is_told_with_the_right_one(tmp_path: Path) -> None:
    """Nobody has to open the file to find out."""
    path = written(tmp_path / "f.csv", as_csv(";"))
    assert fault(path, delimiter=",") == "f.csv:1: looks like semicolons: --delimiter ';'"
    assert fault(path, delimiter="ab") == "f.csv: --delimiter 'ab': is not one character"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "SEP=;\r"])
def test_a_first_line_that_names_the_separator_is_honoured(tmp_path: Path, mark: str, line: str) -> None:
    """Excel's own way of saying it; the lines are counted as they stand."""
    path = written(tmp_path / "f.csv", mark + line + as_csv(";", [*ROWS[:1], ["2"]]))
    [line_, bad] = found(path)
    assert (line_.number, bad.number) == (3, 4)


@pytest.mark.parametrize(
    ("quote", "escape", "text"),
    [("'", None, "'hola, \"tú\"'"), ('"', "\\", '"hola, \\"tú\\""'), ("", "\\", 'hola\\, "tú"')],
)
def test_other_quotes_and_escapes_are_given(tmp_path: Path, quote: str, escape: str | None, text: str) -> None:
    """As Spark and databases write them."""
    row = f"1,andina,twitter,u1,2026-01-05T10:00:00Z,{text}\n"
    path = written(tmp_path / "f.csv", ",".join(HEADER) + "\n" + row)
    assert texts(path, quote=quote, escape=escape) == ['hola, "tú"']


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_line_end_is_read(tmp_path: Path, end: str) -> None:
    """Unix, Windows and the old Macintosh."""
    rows = [[*row[:-1], row[-1].replace("\n", " ")] for row in ROWS]
    path = written(tmp_path / "f.csv", as_csv(rows=rows).replace("\r\n", end))
    assert [one.number for one in found(path)] == [2, 3, 4]


def test_rows_that_hold_nothing_are_passed_over(tmp_path: Path) -> None:
    """Excel ends a file with rows of commas, and people leave blank lines."""
    path = written(tmp_path / "f.csv", as_csv() + ",,,,,\r\n\r\n,,,,,\r\n")
    assert texts(path) == TEXTS


def test_lines_before_the_header_are_skipped_and_the_numbers_stay(tmp_path: Path) -> None:
    """A titled report is read, and without the option the error says what to give."""
    path = written(tmp_path / "f.csv", f"Report: Inbox\nGenerated 2026-01-05\n\n{as_csv()}")
    assert [one.number for one in found(path, skip_lines=3)] == [5, 6, 7]
    assert fault(path) == "f.csv:1: no header; line 4 looks like the header: --skip-lines 3"
    assert fault(path, skip_lines=30) == "f.csv: --skip-lines 30: the file has only 8 lines"


def test_the_columns_of_a_foreign_header_are_suggested(tmp_path: Path) -> None:
    """The error is the command that works."""
    header = "Tweet Id,Brand,Network,Author ID,Created At,Full Text,Score"
    path = written(tmp_path / "f.csv", as_csv().replace(",".join(HEADER), header))
    assert fault(path) == (
        "f.csv:1: Tweet Id, Brand, Network, Author ID, Created At, Full Text, Score: no record has such a field: try --map "
        "native_id='Tweet Id' --map brand=Brand --map channel=Network --map author_id='Author ID' --map "
        "created_at='Created At' --map text='Full Text', and --ignore-unknown for the others"
    )


#: What pandas 3.1.1 wrote from FRAME.
PANDAS = {
    "": ",native_id,brand,created_at,text,reach,promoted,url\n"
    "0,1,andina,2026-01-05 10:00:00.000+00:00,¿Dónde está?,5.0,True,\n"
    '1,2,andina,2026-01-05 10:01:00.250+00:00,"line one\nline two ""quoted"", x",,False,https://x.y/z\n'
    "2,3,andina,2026-01-05 10:02:00.000+00:00,,7.0,True,\n",
    "without its index": "native_id,brand,created_at,text,reach,promoted,url\n"
    "1,andina,2026-01-05 10:00:00.000+00:00,¿Dónde está?,5.0,True,\n"
    '2,andina,2026-01-05 10:01:00.250+00:00,"line one\nline two ""quoted"", x",,False,https://x.y/z\n'
    "3,andina,2026-01-05 10:02:00.000+00:00,,7.0,True,\n",
    "quoted": '"native_id","brand","created_at","text","reach","promoted","url"\n'
    '"1","andina","2026-01-05 10:00:00.000+00:00","¿Dónde está?",5.0,True,""\n'
    '"2","andina","2026-01-05 10:01:00.250+00:00","line one\nline two ""quoted"", x","",False,"https://x.y/z"\n'
    '"3","andina","2026-01-05 10:02:00.000+00:00","",7.0,True,""\n',
}
FRAME: dict[str, list[Any]] = {
    "native_id": ["1", "2", "3"],
    "brand": ["andina"] * 3,
    "created_at": [datetime.datetime(2026, 1, 5, 10, n, 0, 250_000 * (n == 1), datetime.UTC) for n in range(3)],
    "text": ["¿Dónde está?", 'line one\nline two "quoted", x', ""],
    "reach": [5, None, 7],
    "promoted": [True, False, True],
    "url": [None, "https://x.y/z", None],
}


@pytest.mark.parametrize("way", PANDAS)
def test_what_pandas_wrote_is_read_back_and_the_tests_write_as_pandas(tmp_path: Path, way: str) -> None:
    """Its index is a column without a name, and a hole makes floats of counts."""
    how: dict[str, Any] = {"": {}, "without its index": {"index": False}}.get(
        way, {"index": False, "quoting": csv.QUOTE_NONNUMERIC}
    )
    assert as_pandas(FRAME, **how) == PANDAS[way]
    path = written(tmp_path / "f.csv", PANDAS[way])
    fixed = {"channel": "twitter", "author_id": "u1"}
    got = [one.record for one in found(path, set=fixed, ignore_unknown=True) if isinstance(one, Line)]
    assert [(one.reach, one.url, one.text) for one in got] == [  # type: ignore[attr-defined]
        (reach, url, text) for reach, url, text in zip(FRAME["reach"], FRAME["url"], FRAME["text"], strict=True)
    ]
    if way == "":
        told = "f.csv:1: a column without a name, such as the index that pandas writes: pass --ignore-unknown"
        assert fault(path, set=fixed) == told


def test_a_file_without_a_header_is_told_and_not_quoted(tmp_path: Path) -> None:
    """Its first row is no list of names, and a text of it has no place in an error."""
    path = written(tmp_path / "f.csv", as_csv().partition("\r\n")[2])
    assert fault(path) == "f.csv:1: no header: the line looks like a row: write the names of the columns above it"


def test_counts_are_sent_to_backtest(tmp_path: Path) -> None:
    """A file of counts is no file of posts."""
    found = fault(written(tmp_path / "f.csv", "timestamp,value\n"))
    assert "looks like counts, not posts: `netcenter backtest` reads these, and as calls" in found


def test_an_empty_file_and_a_header_alone_are_told_apart(tmp_path: Path) -> None:
    """A header alone has no rows; nothing at all is no CSV."""
    assert found(written(tmp_path / "f.csv", as_csv(rows=[]))) == []
    assert fault(written(tmp_path / "f.csv", "")).startswith("f.csv:1: no header: ")
    assert fault(written(tmp_path / "f.csv", "\n\n")).startswith("f.csv:2: no header: ")


@pytest.mark.parametrize(
    "bad",
    [
        '9,andina,twitter,u9,2026-01-05T10:00:00Z,"said "hi" to me"\n',
        '9,andina,twitter,u9,2026-01-05T10:00:00Z,"said "hi"\nand more, and "more\n',
        '9,andina,twitter,u9,2026-01-05T10:00:00Z,"never closed\n',
        '9,andina,twitter,"u9,2026-01-05T10:00:00Z,"hi"\n',
        "9,andina,twitter,u9,2026-01-05T10:00:00Z,hi,there\n",
        "9,andina\n",
        '9,"and\nina",twitter\n',
    ],
)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_broken_row_costs_itself_alone(tmp_path: Path, bad: str, after: int) -> None:
    """The rows after it are read, whatever its quotes swallow, and it is told once, as it stands in the file."""
    good = [
        line + "\n"
        for line in ("1,andina,twitter,u1,2026-01-05T10:00:00Z,hola", '2,andina,twitter,u2,2026-01-05T10:00:00Z,"a\nb"')
    ]
    text = ",".join(HEADER) + "\n" + good[0] + bad + "".join((good[0], good[1], good[0])[:after])
    got = found(written(tmp_path / "f.csv", text))
    assert [one.raw + "\n" for one in got if isinstance(one, Refused)] == [bad]
    assert [one.record.text for one in got if isinstance(one, Line)] == ["hola", "hola", "a\nb", "hola"][: after + 1]  # type: ignore[attr-defined]
    assert [one.number for one in got][:2] == [2, 3]
    assert sorted(one.number for one in got) == [one.number for one in got]


def test_a_file_that_is_lost_after_a_broken_row_says_how_many_rows_were_read(tmp_path: Path) -> None:
    """Nobody searches ten thousand lines."""
    text = as_csv() + '9,andina,"x"y\n' + "nothing\n" * 10_001
    told = fault(written(tmp_path / "f.csv", text))
    assert told.startswith("f.csv:6: not CSV: ',' expected after '\"'")
    assert told.endswith("none of the 10,001 lines after it begins a row; 3 rows were read before it")


def test_csv_is_read_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its format named; without it, the error names it."""
    assert texts(from_stdin(monkeypatch, as_csv().encode()), format="csv") == TEXTS
    assert texts(from_stdin(monkeypatch, gzip.compress(as_csv().encode())), format="csv") == TEXTS
    assert fault(from_stdin(monkeypatch, as_csv().encode())) == "-:1: looks like CSV, not JSON: --format csv"
    assert texts(from_stdin(monkeypatch, json.dumps(OBJECTS).encode())) == TEXTS


# --- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_the_encoding_is_told_by_its_mark(tmp_path: Path, encoding: str) -> None:
    """In CSV, JSON lines and arrays alike."""
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in OBJECTS)
    assert texts(written(tmp_path / "f.csv", as_csv().encode(encoding))) == TEXTS
    assert texts(written(tmp_path / "f.jsonl", lines.encode(encoding))) == TEXTS
    assert texts(written(tmp_path / "f.json", json.dumps(OBJECTS, ensure_ascii=False).encode(encoding))) == TEXTS


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "shift_jis"])
def test_an_encoding_is_given(tmp_path: Path, encoding: str) -> None:
    """By its name in Python."""
    row = [*ROWS[0][:-1], "任天堂" if encoding == "shift_jis" else "¿Dónde?"]
    assert texts(written(tmp_path / "f.csv", as_csv(rows=[row]).encode(encoding)), encoding=encoding) == row[-1:]
    line = json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False)
    assert texts(written(tmp_path / "f.jsonl", line.encode(encoding)), encoding=encoding) == row[-1:]


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (as_csv().encode("cp1252"), {}, ":2: not UTF-8 at byte 42 of line 2: it looks like cp1252: --encoding cp1252"),
        (
            as_csv(rows=[["任天堂"] * 6]).encode("shift_jis"),
            {},
            ":2: not UTF-8 at byte 1 of line 2: name its encoding, such",
        ),
        (as_csv().encode("utf-16-le"), {}, ": looks like UTF-16 without its mark: --encoding utf-16-le"),
        (as_csv().encode("utf-16-be"), {}, ": looks like UTF-16 without its mark: --encoding utf-16-be"),
        (bytes(range(256)) * 9, {}, ": looks like a binary file, not text"),
        (as_csv().encode(), {"encoding": "klingon"}, ": --encoding klingon: is not known: use one such as utf-8"),
        (as_csv().encode(), {"encoding": "hex"}, ": --encoding hex: is not known"),
        (
            as_csv().encode("utf-8-sig"),
            {"encoding": "cp1252"},
            ": --encoding cp1252: the file begins with the mark of UTF-8",
        ),
        (as_csv().encode("utf-16")[:-1], {}, ": not utf-16-le: truncated data: name its --encoding"),
    ],
)
def test_another_encoding_is_told_before_any_row_is_read(
    tmp_path: Path, content: bytes, options: dict[str, str], told: str
) -> None:
    """The error names the encoding where the bytes tell it."""
    assert fault(written(tmp_path / "f.csv", content), **options).startswith(f"f.csv{told}")


@pytest.mark.parametrize("size", [20, 2**20, 2**21 + 7])
def test_another_encoding_is_told_wherever_its_first_letter_stands(tmp_path: Path, size: int) -> None:
    """Before any row is played; a letter of UTF-8 before it makes it one damaged row."""
    plain = [str(1), *ROWS[0][1:5], "hola " * 40]
    rows = [[str(n), *plain[1:]] for n in range(size // 250)]
    whole = as_csv(rows=[*rows, ["x", *plain[1:5], "año nuevo"]]).encode("cp1252")
    told = fault(written(tmp_path / "f.csv", whole))
    line = len(rows) + 2
    assert told == f"f.csv:{line}: not UTF-8 at byte 43 of line {line}: it looks like cp1252: --encoding cp1252"
    some = as_csv(rows=[["y", *plain[1:5], "ñ"], *rows]).encode() + whole.splitlines()[-1] + b"\n"
    assert [one.field for one in refused(written(tmp_path / "f.csv", some))] == ["text"]


# --- JSON ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 18])
def test_a_json_array_is_read_object_by_object(
    tmp_path: Path, indent: int | None, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one line or pretty, wherever the parts that are read end; a record's number is its place."""
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    monkeypatch.setattr(file_bytes, "HEAD", max(chunk, 3))
    path = written(tmp_path / "f.json", json.dumps([*OBJECTS, {**OBJECTS[0], "text": '}],"[{ \\" é'}], indent=indent))
    assert texts(path) == [*TEXTS, '}],"[{ \\" é']
    assert [one.number for one in found(path)] == [1, 2, 3, 4]


def test_an_element_that_is_no_record_costs_itself_alone(tmp_path: Path) -> None:
    """What is broken within its brackets is one refused row."""
    good = json.dumps(OBJECTS[0])
    path = written(tmp_path / "f.json", f'[{good}, 5, "a,]", [1], {{"text": tru}}, {good}]')
    assert [one.raw for one in refused(path)] == ["5", '"a,]"', "[1]", '{"text": tru}']
    assert [one.number for one in found(path)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("begin", "told"),
    [
        (
            "",
            "f.json: not a JSON array: the file ends before the closing ], so it was cut off; 1 records were read before",
        ),
        (
            ", ",
            "f.json: not a JSON array: the file ends before the closing ], so it was cut off; 1 records were read before",
        ),
        (', {"text": "a', "f.json: not a JSON array: record 2 is not closed, or not JSON; 1 records were read before"),
        (" {}]", "f.json: not a JSON array: a comma is missing; 1 records were read before"),
        ("] []", "f.json: not a JSON array: more follows after the closing ]"),
    ],
)
def test_a_broken_array_says_how_many_records_were_read(tmp_path: Path, begin: str, told: str) -> None:
    """What was cut off is not taken for whole."""
    assert fault(written(tmp_path / "f.json", f"[{json.dumps(OBJECTS[0])}{begin}")).startswith(told)


def test_a_large_array_is_not_held(tmp_path: Path) -> None:
    """Reading the first record takes the first part of the file."""
    path = written(tmp_path / "f.json", "[" + ",".join([json.dumps(OBJECTS[0])] * 20_000) + "]")
    rows = file_reader.read(path, FileOptions())
    assert isinstance(next(rows), Line)
    with path.open("r+b") as file:
        file.truncate(2_000_000)
    with pytest.raises(FileError, match="became shorter while it was read"):
        list(rows)


def test_a_nested_value_is_mapped_and_a_name_with_a_dot_wins(tmp_path: Path) -> None:
    """--map author_id=user.screen_name, in JSON and in Parquet."""
    plain = {key: value for key, value in OBJECTS[0].items() if key != "author_id"}
    rows: list[dict[str, Any]] = [{**plain, "user": {"screen_name": "ana", "at": {"x": "deep"}}}]
    path = written(tmp_path / "f.jsonl", json.dumps(rows[0]))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "f.parquet")
    for file in (path, tmp_path / "f.parquet"):
        for column, author in (("user.screen_name", "ana"), ("user.at.x", "deep")):
            [line] = found(file, map={"author_id": column}, ignore_unknown=True)
            assert line.record.author_id == author  # type: ignore[union-attr]
    written(path, json.dumps({**rows[0], "user.screen_name": "eva"}))
    [line] = found(path, map={"author_id": "user.screen_name"}, ignore_unknown=True)
    assert line.record.author_id == "eva"  # type: ignore[union-attr]
    [bad] = refused(path, map={"author_id": "user.none"}, ignore_unknown=True)
    assert bad.field == "author_id"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            json.dumps({"data": OBJECTS}),
            "looks like one JSON object that holds its records under 'data': --each data, and --map text=data.TEXT",
        ),
        (json.dumps({"data": OBJECTS}, indent=2), "looks like one JSON object that holds its records under 'data'"),
        (json.dumps({"meta": {}, "data": OBJECTS}, indent=2), "looks like one JSON object"),
        (json.dumps(OBJECTS[0], indent=2), "looks like one JSON object over several lines: write one a line"),
        (as_csv(), "looks like CSV, not JSON: --format csv"),
    ],
)
def test_json_of_another_shape_is_told(tmp_path: Path, content: str, told: str) -> None:
    """Before the first row."""
    assert fault(written(tmp_path / "f.json", content)).startswith(f"f.json:1: {told}")


def test_a_list_within_a_record_is_no_other_shape(tmp_path: Path) -> None:
    """Whoever exports tweets has lists of objects in them."""
    path = written(tmp_path / "f.jsonl", json.dumps({**OBJECTS[0], "urls": [{"a": 1}]}))
    assert texts(path, ignore_unknown=True) == TEXTS[:1]


# --- packed files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["f.csv.gz", "f.csv.zst", "f.csv", "f.zip"])
@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
def test_a_packed_file_is_told_by_its_bytes(tmp_path: Path, name: str, kind: str) -> None:
    """Whatever its name ends in; the format by the name under it, or by --format."""
    plain, path = as_csv().encode(), tmp_path / name
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/f.csv", plain)
            archive.writestr("__MACOSX/._f.csv", b"x")
            archive.writestr("readme.md", b"x")
    else:
        path.write_bytes(gzip.compress(plain) if kind == "gzip" else zstandard.compress(plain))
    assert texts(path) == TEXTS
    assert texts(path, format="csv") == TEXTS


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
def test_a_packed_file_that_is_cut_off_is_told(tmp_path: Path, kind: str) -> None:
    """What is missing is not taken for the end."""
    plain = as_csv(rows=[[str(n), *ROWS[0][1:]] for n in range(20_000)]).encode()
    path = tmp_path / "f.csv.gz"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("f.csv", plain)
        packed = bytearray(path.read_bytes())
        packed[len(packed) // 2] ^= 0xFF
        path.write_bytes(packed)
    else:
        packed_whole = gzip.compress(plain) if kind == "gzip" else zstandard.compress(plain, 1)
        path.write_bytes(packed_whole[: len(packed_whole) // 2])
    assert fault(path).startswith(f"f.csv.gz: the {kind} is cut off or damaged after ")


def test_a_zip_of_several_files_names_them(tmp_path: Path) -> None:
    """Which of them is meant is not guessed."""
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.jsonl", "x")
    assert fault(path) == "f.zip: holds a.csv, b.jsonl, not exactly one .csv or .jsonl: unpack it, and name the file"


# --- tables -------------------------------------------------------------------------------------------------------

UTC = datetime.UTC
TYPED: list[dict[str, Any]] = [
    {**OBJECTS[0], "created_at": datetime.datetime(2026, 1, 5, 10, tzinfo=UTC), "reach": 5, "promoted": True},
    {**OBJECTS[1], "created_at": datetime.datetime(2026, 1, 5, 11, tzinfo=UTC), "reach": None, "promoted": None},
]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_is_read_with_its_types(tmp_path: Path, unit: str) -> None:
    """Times in any unit, counts that have become floats because some are missing, dictionaries of texts, and nothing."""
    table = pyarrow.Table.from_pylist(TYPED)
    at = table.column("created_at").cast(pyarrow.timestamp(unit, "America/Bogota"))
    table = table.set_column(table.schema.get_field_index("created_at"), "created_at", at)
    reach = table.schema.get_field_index("reach")
    table = table.set_column(reach, "reach", pyarrow.array([5.0, float("nan")]))
    table = table.set_column(1, "brand", table.column("brand").dictionary_encode())
    parquet.write_table(table, tmp_path / "f.parquet")
    got = [line.record for line in found(tmp_path / "f.parquet") if isinstance(line, Line)]
    assert [(one.created_at, one.reach, one.promoted) for one in got] == [  # type: ignore[attr-defined]
        (1_767_607_200_000, 5, True),
        (1_767_610_800_000, None, False),
    ]


def workbook(path: Path, *sheets: list[list[Any]]) -> Path:
    """An .xlsx with these sheets."""
    book = Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_sheet_is_read_with_its_types(tmp_path: Path) -> None:
    """Numbers, nothing, empty rows, and the row's own number."""
    rows: list[list[Any]] = [
        [*HEADER, "reach"],
        [*ROWS[0], 5],
        [None] * 7,
        [*ROWS[1], None],
        [*ROWS[2], "7"],
        ["9", *[None] * 6, "x"],
    ]
    path = workbook(tmp_path / "f.xlsx", rows, [])
    got = found(path)
    assert [one.number for one in got] == [2, 4, 5, 6]
    assert [one.record.reach for one in got if isinstance(one, Line)] == [5, None, 7]  # type: ignore[attr-defined]
    assert [one.why for one in got if isinstance(one, Refused)] == ["8 cells, but the header has 7"]


def test_a_long_id_is_exact_in_parquet_and_lost_in_excel(tmp_path: Path) -> None:
    """Parquet has whole numbers of 64 bits; a sheet has 15 digits, and what is lost is not guessed."""
    long = 570306133677760513
    rows = [{**OBJECTS[0], "native_id": long}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "f.parquet")
    [line] = found(tmp_path / "f.parquet")
    assert line.record.native_id == str(long)  # type: ignore[union-attr]
    for number in (long, float(long), 1.0158123456789e16):
        [bad] = refused(workbook(tmp_path / "f.xlsx", [HEADER, [number, *ROWS[0][1:]]]))
        assert bad.field == "native_id"
        assert "Excel" in bad.why


def test_a_time_of_a_sheet_has_no_offset_and_is_not_guessed(tmp_path: Path) -> None:
    """A sheet knows no zones."""
    path = workbook(tmp_path / "f.xlsx", [HEADER, [*ROWS[0][:4], datetime.datetime(2026, 1, 5, 10), "hola"]])  # noqa: DTZ001
    [bad] = refused(path)
    assert bad.field == "created_at"
    assert "has no offset" in bad.why


def test_which_sheet_is_meant_is_asked_for(tmp_path: Path) -> None:
    """And a titled sheet is read past its title."""
    path = workbook(tmp_path / "f.xlsx", [["Report"], HEADER, *ROWS], [["notes"]])
    assert fault(path) == "f.xlsx: the sheets are 'Sheet 1', 'Sheet 2': name one with --sheet"
    assert fault(path, sheet="x") == "f.xlsx: --sheet x: no such sheet; the sheets are 'Sheet 1', 'Sheet 2'"
    assert texts(path, sheet="Sheet 1", skip_lines=1) == TEXTS


@pytest.mark.parametrize(("library", "name"), [("pyarrow", "f.parquet"), ("openpyxl", "f.xlsx")])
def test_without_the_extra_the_error_names_the_command(
    tmp_path: Path, library: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table needs a reader that the bare installation does not have."""
    if library == "pyarrow":
        parquet.write_table(pyarrow.Table.from_pylist(OBJECTS), tmp_path / name)
    else:
        workbook(tmp_path / name, [HEADER, *ROWS])
    monkeypatch.setitem(sys.modules, library, None)
    assert fault(tmp_path / name).endswith(f"is read with {library}: pip install 'netcenter[files]'")


# --- other shapes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>", "looks like an HTML page, such as a page to sign in: download the export again"),
        (b"\xef\xbb\xbf\n<html>", "looks like an HTML page"),
        (b'<?xml version="1.0"?>', "looks like XML"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "looks like an old Excel or Word file (.xls, .doc)"),
        (b"%PDF-1.7", "looks like a PDF"),
        (b"BZh91AY", "is packed with bzip2"),
        (gzip.compress(gzip.compress(b"x")), "is packed twice"),
        (b"PK\x03\x04" + bytes(99), "is a damaged or locked zip"),
        (b"PAR1" + bytes(99), "is damaged Parquet"),
    ],
)
def test_a_file_of_no_rows_says_what_it_looks_like(tmp_path: Path, content: bytes, told: str) -> None:
    """And what to do."""
    assert fault(written(tmp_path / "f.csv", content)).startswith(f"f.csv: {told}")


def test_json_named_csv_a_folder_and_an_unknown_format_are_told(tmp_path: Path) -> None:
    """The name alone is not believed."""
    assert fault(written(tmp_path / "f.csv", json.dumps(OBJECTS))).endswith("looks like JSON, not CSV: --format jsonl")
    (tmp_path / "g.csv").mkdir()
    assert fault(tmp_path / "g.csv") == "g.csv: is a folder: name the files in it"
    assert "--format doc: is not known: use one of csv, tsv, jsonl" in fault(tmp_path / "f.csv", format="doc")
    assert texts(tmp_path / "f.csv", format="jsonl") == TEXTS
    assert texts(written(tmp_path / "f.txt", as_csv())) == TEXTS


def test_the_options_that_were_given_are_told_by_their_names() -> None:
    """For `replay --log`, to which none of them belongs."""
    assert given_options(FileOptions(skip_lines=2, quote="'", classified=True, set={"a": "b"})) == [
        "--set",
        "--quote",
        "--skip-lines",
    ]
