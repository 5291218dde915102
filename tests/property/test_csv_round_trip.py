"""Any CSV that Python's csv module and pandas write from a table of records is read back as those records."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netcenter.files import file_reader
from netcenter.files.file_rows import open_rows
from netcenter.files.line import Line, Refused
from netcenter.files.options import FileOptions
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.values import NO_VALUE
from schemas import ids, records
from tests.support.examples import examples
from tests.support.pandas_csv import as_pandas

HEADER = ["native_id", "brand", "channel", "author_id", "created_at", "reach", "url", "text"]
AT = 1_767_607_200_000
#: Texts with much of what may go wrong in a cell.
TEXT = st.text(st.sampled_from("aé任,;\t|\"'\\ \n\r=") | st.characters(exclude_categories=["Cs"]), max_size=12)
URLS = TEXT.filter(lambda text: text.strip() not in NO_VALUE)
SOME = st.text(st.sampled_from("ab1-,;\"' é"), min_size=1, max_size=8).filter(lambda text: bool(text.strip()))

MENTIONS = st.lists(st.tuples(SOME, SOME, st.none() | st.integers(0, 10**9), st.none() | URLS, TEXT), max_size=8)


class Written(csv.Dialect):
    """A dialect of the csv module, which has one for each of its attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)
        super().__init__()


@st.composite
def dialects(draw: st.DrawFn) -> Written:
    """Every way in which the csv module may be told to write."""
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]))
    double = draw(st.booleans()) and quoting != csv.QUOTE_NONE
    delimiter = draw(st.sampled_from(",;\t|^"))
    return Written(
        delimiter=delimiter,
        quotechar=draw(st.sampled_from("\"'")),
        escapechar=None if double else "\\",
        doublequote=double,
        skipinitialspace=False,
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=quoting,
    )


def options_of(dialect: Written) -> FileOptions:
    """The options that name what no header tells: another delimiter than the usual, other quotes, an escape."""
    given = "^" if dialect.delimiter == "^" else None
    return FileOptions(delimiter=given, quote=dialect.quotechar or "", escape=dialect.escapechar)


def written(table: list[list[Any]], dialect: Written) -> str:
    """A table as the csv module writes it, which its own reader reads back: where that fails, the file holds another."""
    text = io.StringIO()
    csv.writer(text, dialect).writerows(table)
    lines = io.StringIO(text.getvalue(), newline="")
    plain = [["" if cell is None else str(cell) for cell in row] for row in table]
    if dialect.quoting == csv.QUOTE_NONE:
        assume(list(csv.reader(lines, dialect)) == plain)
    else:
        assume(list(csv.reader(lines, dialect, quoting=csv.QUOTE_MINIMAL)) == plain)
    return text.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each example writes anew."""
    return tmp_path_factory.mktemp("csv") / "f.csv"


@examples(100)
@given(mentions=MENTIONS, dialect=dialects(), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_what_the_csv_module_writes_is_read_back(
    path: Path, mentions: list[tuple[str, str, int | None, str | None, str]], dialect: Written, encoding: str
) -> None:
    """Whatever the delimiter, the quoting, the escape, the line end and the mark are."""
    rows = [
        [native, "andina", "twitter", author, "2026-01-05T10:00:00Z", reach, url, text]
        for native, author, reach, url, text in mentions
    ]
    path.write_bytes(written([HEADER, *rows], dialect).encode(encoding))
    found = list(file_reader.read(path, options_of(dialect)))
    assert [one.record if isinstance(one, Line) else one for one in found] == [
        records.Mention(
            id=ids.mention("andina", "twitter", native),
            post_id=ids.post("twitter", native),
            brand="andina",
            channel="twitter",
            author_id=author,
            native_id=native,
            created_at=AT,
            reach=reach,
            url=url,
            text=text,
        )
        for native, author, reach, url, text in mentions
    ]


@examples(100)
@given(rows=st.lists(st.lists(TEXT, min_size=3, max_size=3), max_size=8), dialect=dialects())
def test_every_cell_is_read_back(path: Path, rows: list[list[str]], dialect: Written) -> None:
    """Of any table; rows that hold nothing at all are passed over."""
    path.write_bytes(written([["native_id", "author_id", "text"], *rows], dialect).encode())
    with open_rows(SourceFile(path), options_of(dialect)) as file:
        assert file.columns == ["native_id", "author_id", "text"]
        found = [list(row.values.values()) if isinstance(row, Row) else row for row in file.rows]
    assert found == [row for row in rows if any(row)]


BROKEN = st.text(st.sampled_from('ab,"\n\r;\\ '), max_size=60)


@examples(100)
@given(text=BROKEN)
def test_no_character_of_a_broken_file_is_lost(path: Path, text: str) -> None:
    """Each stands in a row that is read or in one that is refused, in the order of the file; rows are numbered by it."""
    path.write_bytes(f"native_id,author_id,text\n{text}".encode())
    with open_rows(SourceFile(path), FileOptions()) as file:
        rows = list(file.rows)
    held = "".join(row.raw for row in rows)
    assert re.sub(r'[\r\n,"]', "", held) == re.sub(r'[\r\n,"]', "", text)
    numbers = [row.number for row in rows]
    assert numbers == sorted(set(numbers))


#: Rows that are wrong within their own line.
WRONG = ['9,u,"a"b', "9,u", "9,u,v,w", '9,"a"b,"c', '"9"u,"v"']


@examples(100)
@given(
    rows=st.lists(st.tuples(SOME, SOME, TEXT), max_size=6),
    wrong=st.sampled_from(WRONG),
    place=st.integers(0, 6),
    dialect=dialects(),
)
def test_a_wrong_line_costs_itself_alone(
    path: Path, rows: list[tuple[str, str, str]], wrong: str, place: int, dialect: Written
) -> None:
    """Wherever it stands, each row before and after it is read."""
    header = ["native_id", "author_id", "text"]
    usual = Written(**{**vars(dialect), "delimiter": ",", "quotechar": '"', "escapechar": None, "doublequote": True})
    assume(usual.quoting != csv.QUOTE_NONE)
    parts = [written([header, *map(list, rows[:place])], usual), wrong + usual.lineterminator]
    if rows[place:]:
        parts.append(written([list(row) for row in rows[place:]], usual))
    path.write_bytes("".join(parts).encode())
    with open_rows(SourceFile(path), FileOptions()) as file:
        found = list(file.rows)
    assert [tuple(row.values.values()) for row in found if isinstance(row, Row)] == rows
    assert [row.raw for row in found if isinstance(row, Refused)] == [wrong]


@examples(100)
@given(
    mentions=MENTIONS,
    index=st.booleans(),
    dialect=st.sampled_from([{}, {"delimiter": ";"}, {"quoting": csv.QUOTE_ALL}]),
    fine=st.booleans(),
)
def test_what_pandas_writes_is_read_back(
    path: Path,
    mentions: list[tuple[str, str, int | None, str | None, str]],
    index: bool,
    dialect: dict[str, Any],
    fine: bool,
) -> None:
    """With its index or without, counts that a hole has made floats, and times in its own form."""
    at = datetime(2026, 1, 5, 10, 0, 0, 250_000 if fine else 0, UTC)
    columns: dict[str, list[Any]] = {
        "native_id": [one[0] for one in mentions],
        "brand": ["andina"] * len(mentions),
        "channel": ["twitter"] * len(mentions),
        "author_id": [one[1] for one in mentions],
        "created_at": [at] * len(mentions),
        "reach": [one[2] for one in mentions],
        "url": [one[3] for one in mentions],
        "promoted": [len(one[4]) % 2 == 0 for one in mentions],
        "text": [one[4] for one in mentions],
    }
    assume(
        not any("\r" in cell for one in mentions for cell in (one[3] or "", one[4]))
    )  # which Python 3.11 leaves bare
    path.write_bytes(as_pandas(columns, index=index, **dialect).encode())
    found = [
        line.record for line in file_reader.read(path, FileOptions(ignore_unknown=index)) if isinstance(line, Line)
    ]
    told = [(one.native_id, one.author_id, one.created_at, one.reach, one.url, one.promoted, one.text) for one in found]  # type: ignore[attr-defined]
    assert told == [
        (native, author, AT + 250 * fine, reach, url, len(text) % 2 == 0, text)
        for native, author, reach, url, text in mentions
    ]
