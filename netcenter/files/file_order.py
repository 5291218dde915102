"""The order of a file in time: whether it can be played while it is read."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from netcenter.files.file_reader import RecordReader
from netcenter.files.file_times import ContradictoryDatesError, UndecidedDateError, as_time
from netcenter.files.line import FileError, Line, PolicyText
from netcenter.files.options import FileOptions
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.values import Form
from schemas.records import ContactCount

if TYPE_CHECKING:
    from netcenter.files.shapes.csv_blocks import Cells

#: Texts of these forms that differ in nothing but the digits before the offset are in the order of their times.
_ORDERED = re.compile(
    rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?: ?Z| UTC| ?[+-]\d\d:?\d\d)|(\d{10,16})"
)
#: So many rows show whether the day or the month comes first in the dates of a file, if any do.
_FIRST = 2_000
_ROWS = 256
Passed = Callable[[int, int], None]


class TimeOrder(msgspec.Struct, frozen=True):
    """What a look at the times of a file tells."""

    rows: int
    """How many rows were looked at."""
    sorted: bool
    """Whether no record is earlier than one before it."""
    policy: int | None
    """The number of the first line that holds a policy."""


def time_order(source: SourceFile, options: FileOptions, passed: Passed = lambda *_: None) -> TimeOrder:
    """Looks at the types and times of all rows of a file. Raises FileError for a file of which no row can be read.

    passed: called from time to time with the number of rows that were passed since the last call, and the newest time.
    Of a plain CSV file whose rows are of one type, many cells are looked at together; other files are read row by row.
    """
    from netcenter.files.shapes.csv_blocks import NotPlainError  # numpy takes long to import

    with closing(RecordReader(str(source.path), options)) as reader:
        try:
            return _by_blocks(reader, source, passed)
        except NotPlainError:
            pass
        except ContradictoryDatesError as error:
            raise FileError(f"{source.path}: {error}") from None
        except UndecidedDateError:
            deque(islice(reader.places(source), _FIRST), maxlen=0)
            try:
                return _by_blocks(reader, source, passed)
            except (NotPlainError, UndecidedDateError):
                pass
    with closing(RecordReader(str(source.path), options)) as reader:
        return _by_rows(reader, source, passed)


def _by_rows(reader: RecordReader, source: SourceFile, passed: Passed) -> TimeOrder:
    rows, newest, ordered, policy = 0, 0, True, None
    for number, cls, at in reader.places(source):
        rows += 1
        if rows % _ROWS == 0:
            passed(_ROWS, at)
        if cls is not None:
            if at < newest or cls is ContactCount:
                ordered = False  # when the minutes of a count are over is known from several rows
            newest = at
            if cls is PolicyText and policy is None:
                policy = number
    return TimeOrder(rows, ordered, policy)


def _by_blocks(reader: RecordReader, source: SourceFile, passed: Passed) -> TimeOrder:
    """The same from blocks of cells. Raises NotPlainError and UndecidedDateError."""
    rows, newest, ordered = 0, 0, True
    for cells in reader.cells_of_times(source):
        rows += len(cells)
        if ordered:
            ordered, newest = _look_at(cells, newest, reader.cells)
        passed(len(cells), newest)
    return TimeOrder(rows, ordered, None)


def _look_at(cells: Cells, newest: int, form: Form) -> tuple[bool, int]:
    """Whether the times of some cells are in order and not before the newest so far; and the newest then."""
    if _in_order_as_text(cells, form):
        ends = _times([cells[0], cells[-1]], form)
        if len(ends) == 2:
            return ends[0] >= newest, ends[1]
    times = [newest, *_times(cells.tolist(), form)]
    return times == sorted(times), times[-1]


def _times(texts: list[bytes], form: Form) -> list[int]:
    """The times of some cells (ms). A cell that holds none has none here: its row is refused when it is read."""
    known: dict[bytes, int] = {}
    for text in dict.fromkeys(texts):
        with suppress(ValueError):
            known[text] = as_time(text.decode(), form)
    return [known[text] for text in texts if text in known]


def _in_order_as_text(cells: Cells, form: Form) -> bool:
    """Whether times of one form have the order of their texts, and the texts are in order."""
    match = _ORDERED.fullmatch(cells[0])
    if match is None or form.time_format is not None:
        return False
    digits = match.end(1) if match[1] else match.end(2)
    signs = cells.view("u1").reshape(len(cells), -1)
    decimal = (signs >= ord("0")) & (signs <= ord("9"))
    alike = (decimal == decimal[0]) & (decimal | (signs == signs[0]))
    alike[:, digits:] &= signs[:, digits:] == signs[0, digits:]
    return bool(alike.all() and (cells[1:] >= cells[:-1]).all())


def still_in_order(lines: Iterable[Line], file: str) -> Iterator[Line]:
    """The lines of a file whose order was looked at before. Raises FileError where it is no longer so."""
    newest = 0
    for line in lines:
        if line.at < newest:
            raise FileError(f"{file}:{line.number}: is earlier than a line before it: was the file changed meanwhile?")
        newest = line.at
        yield line
