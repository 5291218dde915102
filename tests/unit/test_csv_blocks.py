"""CSV files by blocks of cells: the cells are those of the rows, read one by one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netcenter.files.file_rows import open_rows
from netcenter.files.options import FileOptions
from netcenter.files.shapes import csv_blocks
from netcenter.files.shapes.csv_blocks import CsvBlocks, NotPlainError
from netcenter.files.shapes.csv_header import CsvForm, CsvHeader
from netcenter.files.shapes.csv_rows import CsvRows
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.source_file import SourceFile

_HEADER = ["text", "created_at", "received_at"]
_ASKED = ["received_at", "created_at"]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_TIME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\0'), max_size=12)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of about one row, so that cells, quotes and line ends stand at the end of blocks."""
    monkeypatch.setattr(csv_blocks, "_BLOCK", 16)


def by_rows(text: str, form: CsvForm) -> list[tuple[str, ...]]:
    """The cells of each row that is read one by one."""
    rows = CsvRows(io.StringIO(text, newline=""), Path("posts.csv"), CsvHeader(_HEADER, form, 1, 1))
    return [tuple(row.values[column] for column in _ASKED) for row in rows if isinstance(row, Row)]


def by_blocks(text: str, form: CsvForm) -> list[tuple[str, ...]]:
    """The same cells by blocks. Raises NotPlainError."""
    return together(CsvBlocks(io.StringIO(text, newline=""), CsvHeader(_HEADER, form, 1, 1)))


def together(blocks: CsvBlocks) -> list[tuple[str, ...]]:
    found = (zip(*(cells.tolist() for cells in block), strict=True) for block in blocks.cells_of(_ASKED))
    return [tuple(cell.decode() for cell in row) for rows in found for row in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(_TEXT, _TIME, _TIME).filter(any), max_size=6),
    # With other line ends than these, the writer leaves a carriage return without quotes.
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    st.sampled_from([",", ";", "\t"]),
)
def test_a_file_that_a_program_wrote_has_the_cells_of_its_rows(
    rows: list[tuple[str, str, str]], form: tuple[str, int], delimiter: str
) -> None:
    text = io.StringIO(newline="")
    end, quoting = form
    csv.writer(text, lineterminator=end, delimiter=delimiter, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    written = CsvForm(delimiter, '"', None)
    assert by_blocks(text.getvalue(), written) == by_rows(text.getvalue(), written)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text('a,"\r\né', max_size=40), st.sampled_from(['"', ""]))
@example('"a\nb"\nx,y,z\n"\n', '"')
@example('x,y,"a\r"\r\n,,\n\nz', '"')
@example('a"b,c"d,e,f\n', '"')
@example('"a",b,c"\n', '"')
@example("a,b,c\rd,e,f\r\n", '"')
def test_no_row_is_passed_over_in_a_file_that_is_damaged(text: str, quote: str) -> None:
    """A look at a file sees every row; of lines that are refused it may see more than there are."""
    form = CsvForm(",", quote, None)
    try:
        blocks = iter(by_blocks(text, form))
    except NotPlainError:
        return
    assert all(cell in blocks for cell in by_rows(text, form))


@pytest.mark.parametrize(
    "rows",
    ['a"b"c,d,e\n', "a,b,c\rd,e,f\n", '"a\nb",c\n', f"a,{'9' * 300},\n", '"a,b,c\n', 'a,"""b",\n'],
    ids=[
        "quote within a cell",
        "carriage return",
        "uneven row of two lines",
        "long cell",
        "open quote",
        "quote in a time",
    ],
)
def test_a_file_that_is_not_plain_is_left_to_the_rows(rows: str) -> None:
    with pytest.raises(NotPlainError):
        by_blocks(rows, CsvForm(",", '"', None))


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_any_encoding_is_read_by_blocks(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(f'{",".join(_HEADER)}\n"niño",2026,\n"",,"mañana"'.encode(encoding))
    with open_rows(SourceFile(path), FileOptions(encoding=encoding)) as file:
        assert file.csv is not None
        assert together(CsvBlocks(*file.csv)) == [("", "2026"), ("mañana", "")]
