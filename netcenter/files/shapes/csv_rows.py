"""The rows of a CSV file. A row that is broken costs itself alone."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from netcenter.files.line import FileError, Refused
from netcenter.files.shapes.csv_header import CsvHeader
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.row_limit import LARGEST_ROW, too_large

#: So many lines after a broken row none of which begins a row are the end of the reading.
_LOST = 10_000
_UNCLOSED = f"has more than {LARGEST_ROW:,} characters: is a quote that closes missing? See --quote and --escape"
_QUOTES = "a quote inside quotes is written twice, or see --quote and --escape"


class _LongLine(str):
    """The beginning of a line that is too large for a row; the rest of the line was passed over."""

    length = 0
    """Characters; of the whole line."""


class CsvRows:
    """The rows of a CSV file after its header.

    Most lines hold no quote: these are split here, which is what the csv module would make of them. A line with a quote
    goes to the csv module, with as many lines after it as the row has.
    """

    def __init__(self, text: TextIO, path: Path, header: CsvHeader) -> None:
        csv.field_size_limit(2 * LARGEST_ROW)
        self._path, self._columns, self._form = path, header.columns, header.form
        self._read_line = partial(text.readline, LARGEST_ROW)
        self._source = iter(self._read_line, "")
        #: Lines that were read ahead of a row that is broken.
        self._back: deque[str] = deque()
        #: The number of the line that was read last.
        self._number = header.last
        self._taken: list[str] = []
        self._size = 0
        self._pending: str | None = None
        self._reader = self._new_reader()
        #: A line that is a row alone, and the reader of it: most rows with a quote are of this kind.
        self._line: list[str] = []
        self._single = self._form.reader(iter(self._line.pop, None))

    # branches: the common line is split in place, because a call a row would cost a tenth of the speed
    def __iter__(self) -> Iterator[Row | Refused]:
        columns, width, back, source = self._columns, len(self._columns), self._back, self._source
        delimiter, alone = self._form.delimiter, self._alone
        quote, escape = self._form.quote or self._form.escape or "\n\n", self._form.escape
        number, count = self._number, 0
        while line := back.popleft() if back else next(source, ""):
            number += 1
            if len(line) >= LARGEST_ROW:
                count += 1
                yield self._too_large(number, line)
                continue
            whole, first = line, number
            if quote not in line and (escape is None or escape not in line):
                cells = line.rstrip("\r\n").split(delimiter)
            elif (found := alone(line)) is not None:
                cells = found
            else:
                self._number = number
                several = self._quoted(line)
                if isinstance(several, str) or (len(several) != width and len(self._taken) > 1):
                    why = several if isinstance(several, str) else self._uneven(len(several))
                    for row in self._after_fault(number, why, count):
                        count += 1
                        yield row
                    number = self._number
                    continue
                number, cells, whole = self._number, several, "".join(self._taken)
            if len(cells) == width and (cells[0] or any(cells)):
                count += 1
                yield Row(first, dict(zip(columns, cells, strict=True)), whole)
            elif any(cells):
                count += 1
                yield Refused(first, "", self._uneven(len(cells)), whole.rstrip("\r\n"))

    def _whole(self, line: str) -> str:
        """A line from the file; of one that is too large, the rest is passed over."""
        if len(line) < LARGEST_ROW:
            return line
        found, end = _LongLine(line), line[-1:]
        found.length = len(line)
        while end not in "\r\n" and (rest := self._read_line()):
            found.length += len(rest)
            end = rest[-1]
        return found

    def _too_large(self, number: int, line: str) -> Refused:
        """The refusal of a line that is too large."""
        long = line if isinstance(line, _LongLine) else self._whole(line)
        return too_large(number, getattr(long, "length", 0), "characters", line)

    def _uneven(self, count: int) -> str:
        return (
            f"{count} cells, but the header has {len(self._columns)}: quote a cell that holds {self._form.delimiter!r}"
        )

    def _new_reader(self) -> Any:
        return self._form.reader(iter(self._line_of_row, ""))

    def _next(self) -> str:
        """The next line; empty at the end."""
        line = self._back.popleft() if self._back else self._whole(next(self._source, ""))
        self._number += bool(line)
        return line

    def _line_of_row(self) -> str:
        """The next line of the row that is being read; empty where the file ends, or the row is too large."""
        if self._pending is not None:
            line, self._pending = self._pending, None
        else:
            line = self._next() if self._size <= LARGEST_ROW else ""
        if line:
            self._taken.append(line)
            self._size += len(line)
        return line

    def _alone(self, line: str) -> list[str] | None:
        """The cells of a row that is whole in its line; None where more lines may belong to it, or where it is broken."""
        self._line.append(line)
        try:
            return next(self._single)  # type: ignore[no-any-return]
        except (csv.Error, IndexError):  # IndexError: the csv module asks for the next line
            self._line.clear()
            self._single = self._form.reader(iter(self._line.pop, None))
            return None

    def _quoted(self, line: str) -> list[str] | str:
        """The cells of the row that begins with a line; or why it is none. `_taken` holds the lines that it took."""
        self._pending, self._taken, self._size = line, [], 0
        try:
            cells: list[str] = next(self._reader)
        except csv.Error as error:
            self._reader = self._new_reader()
            return f"not CSV: {error}; {_QUOTES}" if self._size <= LARGEST_ROW else _UNCLOSED
        return cells if self._size <= LARGEST_ROW else _UNCLOSED

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
            if len(lost) > _LOST or size > LARGEST_ROW:
                told = (
                    f"{why}; none of the {len(lost):,} lines after it begins a row; {count:,} rows were read before it"
                )
                raise FileError(f"{self._path}:{number}: {told}")
        yield Refused(number, "", why, "".join(lost).rstrip("\r\n"))
