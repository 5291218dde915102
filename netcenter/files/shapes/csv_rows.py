"""The rows of a CSV file. A row that is broken costs itself alone."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from netcenter.files.line import FileError, Refused
from netcenter.files.shapes.csv_header import CsvHeader
from netcenter.files.shapes.file_row import Row

#: A row above this many characters is one with an unclosed quote; the largest record of the log is far smaller.
_LARGEST = 4 * 2**20
#: So many lines after a broken row none of which begins a row are the end of the reading.
_LOST = 10_000
_QUOTES = "a quote inside quotes is written twice, or see --quote and --escape"


class CsvRows:
    """The rows of a CSV file after its header.

    Most lines hold no quote: these are split here, which is what the csv module would make of them. A line with a quote
    goes to the csv module, with as many lines after it as the row has.
    """

    def __init__(self, text: TextIO, path: Path, header: CsvHeader) -> None:
        csv.field_size_limit(2 * _LARGEST)
        self._path, self._columns, self._form = path, header.columns, header.form
        self._source = iter(text)
        #: Lines that were read ahead of a row that is broken.
        self._back: deque[str] = deque()
        #: The number of the line that was read last.
        self._number = header.last
        self._taken: list[str] = []
        self._size = 0
        self._pending: str | None = None
        self._reader = self._new_reader()

    # branches: the common line is split in place, because a call a row would cost a tenth of the speed
    def __iter__(self) -> Iterator[Row | Refused]:
        columns, width, form, back, source = self._columns, len(self._columns), self._form, self._back, self._source
        delimiter, quote, escape = form.delimiter, form.quote, form.escape
        count = 0
        while line := back.popleft() if back else next(source, ""):
            self._number += 1
            if (quote and quote in line) or (escape is not None and escape in line):
                number = self._number
                found = self._quoted(line)
                if isinstance(found, str) or (len(found) != width and len(self._taken) > 1):
                    why = found if isinstance(found, str) else self._uneven(len(found))
                    for row in self._after_fault(number, why, count):
                        count += 1
                        yield row
                    continue
                cells, whole = found, line if len(self._taken) == 1 else "".join(self._taken)
            else:
                number, cells, whole = self._number, line.rstrip("\r\n").split(delimiter), line
            if len(cells) == width and (cells[0] or any(cells)):
                count += 1
                yield Row(number, dict(zip(columns, cells, strict=True)), whole)
            elif any(cells):
                count += 1
                yield Refused(number, "", self._uneven(len(cells)), whole.rstrip("\r\n"))

    def _uneven(self, count: int) -> str:
        return (
            f"{count} cells, but the header has {len(self._columns)}: quote a cell that holds {self._form.delimiter!r}"
        )

    def _new_reader(self) -> Any:
        return self._form.reader(iter(self._line_of_row, ""))

    def _next(self) -> str:
        """The next line; empty at the end."""
        line = self._back.popleft() if self._back else next(self._source, "")
        self._number += bool(line)
        return line

    def _line_of_row(self) -> str:
        """The next line of the row that is being read; empty where the file ends, or the row is too large."""
        if self._pending is not None:
            line, self._pending = self._pending, None
        else:
            line = self._next() if self._size <= _LARGEST else ""
        if line:
            self._taken.append(line)
            self._size += len(line)
        return line

    def _quoted(self, line: str) -> list[str] | str:
        """The cells of the row that begins with a line; or why it is none. `_taken` holds the lines that it took."""
        self._pending, self._taken, self._size = line, [], 0
        try:
            cells: list[str] = next(self._reader)
        except csv.Error as error:
            self._reader = self._new_reader()
            return f"not CSV: {error}; {_QUOTES}"
        return cells

    def _give_back(self) -> None:
        """Give back the lines that a row took after its first."""
        self._back.extendleft(reversed(self._taken[1:]))
        self._number -= len(self._taken) - 1

    def _after_fault(self, number: int, why: str, count: int) -> Iterator[Row | Refused]:
        """The broken row, and the row after it: the first line from which as many cells can be read as the header has.

        count: how many rows were read before it.
        """
        lost, size = [self._taken[0]], 0
        self._give_back()
        while line := self._next():
            start = self._number
            found = self._quoted(line)
            if not isinstance(found, str) and len(found) == len(self._columns) and any(found):
                yield Refused(number, "", why, "".join(lost).rstrip("\r\n"))
                yield Row(start, dict(zip(self._columns, found, strict=True)), "".join(self._taken))
                return
            self._give_back()
            lost.append(line)
            size += len(line)
            if len(lost) > _LOST or size > _LARGEST:
                told = (
                    f"{why}; none of the {len(lost):,} lines after it begins a row; {count:,} rows were read before it"
                )
                raise FileError(f"{self._path}:{number}: {told}")
        yield Refused(number, "", why, "".join(lost).rstrip("\r\n"))
