"""The cells of a few columns of a CSV file, many rows at a time: what a look at a whole file needs, in a tenth of the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

import numpy as np
import numpy.typing as npt

from netcenter.files.shapes.csv_header import CsvHeader
from netcenter.files.shapes.row_limit import LARGEST_ROW

#: Characters of a block: so few that its arrays stay in the processor's cache.
_BLOCK = 256 * 1024
#: No cell of a field that is looked at has more bytes.
_LONGEST = 256
_END, _RETURN = 10, 13

Cells = npt.NDArray[np.bytes_]
_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.intp]


class NotPlainError(Exception):
    """The file is not so plain that its cells can be found by their delimiters and quotes alone."""


class CsvBlocks:
    """The rows of a CSV file after its header, as blocks of cells.

    Every row that `CsvRows` makes is there, with the same cells. A row that `CsvRows` refuses may be there as well.
    """

    def __init__(self, text: TextIO, header: CsvHeader) -> None:
        self.columns = header.columns
        self._text, self._form = text, header.form
        self._delimiter, self._quote = (ord(sign or "\n") for sign in (header.form.delimiter, header.form.quote))

    def cells_of(self, columns: Sequence[str]) -> Iterator[list[Cells]]:
        """Of each block the cells of each of these columns, as the bytes of UTF-8.

        Raises NotPlainError for an escape sign, a quote within a cell that does not begin with one, a line that ends with
        a carriage return alone, a row of several lines that has not as many cells as the header, a row that is too long,
        and a cell of these columns that is long or holds a quote.
        """
        if self._form.escape is not None or max(self._delimiter, self._quote) > 127:
            raise NotPlainError
        numbers = [self.columns.index(column) for column in columns]
        for data in self._blocks():
            ends = self._ends_of_cells(data)
            if len(ends):
                yield [self._cells(data, ends, number) for number in numbers]

    def _blocks(self) -> Iterator[_Bytes]:
        """The file in parts of whole rows, each of which ends with a line end, as the bytes of UTF-8."""
        while block := self._text.read(_BLOCK):
            block += self._text.readline(LARGEST_ROW)
            data = _encoded(block)
            if self._form.quote and np.count_nonzero(data == self._quote) % 2:
                block += self._up_to_quote()
                data = _encoded(block)
            if len(block) > LARGEST_ROW:
                raise NotPlainError
            yield data

    def _up_to_quote(self) -> str:
        """The next lines, up to one with which a cell ends that is open. Raises NotPlainError for too many."""
        lines, size = list[str](), 0
        while (line := self._text.readline(LARGEST_ROW)) and size < LARGEST_ROW:
            lines.append(line)
            size += len(line)
            if line.count(self._form.quote) % 2:
                return "".join(lines)
        raise NotPlainError

    def _ends_of_cells(self, data: _Bytes) -> _Places:
        """A row of places for each row of the file: where the row before it ended, and where each of its cells ends."""
        line_end = data == _END
        signs = np.flatnonzero(line_end | (data == self._delimiter))
        returns = np.flatnonzero(data == _RETURN)
        if self._form.quote and len(quotes := np.flatnonzero(data == self._quote)):
            self._check_quotes(data, quotes)
            signs, returns = (places[np.searchsorted(quotes, places) % 2 == 0] for places in (signs, returns))
        if (data[returns + 1] != _END).any():
            raise NotPlainError
        signs = np.concatenate((np.array([-1]), signs))
        last = np.flatnonzero(data[signs[1:]] == _END) + 1
        width = len(self.columns)
        whole = np.diff(last, prepend=0) == width
        if not whole.all():
            lines = np.diff(np.searchsorted(np.flatnonzero(line_end), signs[last]), prepend=-1)
            if (lines[~whole] > 1).any():
                raise NotPlainError
            last = last[whole]
        found: _Places = signs[last[:, None] + np.arange(-width, 1)]
        return found

    def _check_quotes(self, data: _Bytes, quotes: _Places) -> None:
        """Raises NotPlainError where a quote stands neither at an end of its cell nor beside another quote."""
        before, after = data[quotes[::2] - 1], data[quotes[1::2] + 1]
        opens = (before == self._delimiter) | (before == _END) | (before == self._quote)
        closes = (after == self._delimiter) | (after == _END) | (after == _RETURN) | (after == self._quote)
        if not (opens.all() and closes.all()):
            raise NotPlainError

    def _cells(self, data: _Bytes, ends: _Places, number: int) -> Cells:
        """The cells of a column, without their quotes and line ends."""
        begin, end = ends[:, number] + 1, ends[:, number + 1]
        if number == len(self.columns) - 1:
            end = end - ((data[end - 1] == _RETURN) & (end > begin))
        if self._form.quote:
            quoted = (data[begin] == self._quote) & (end - begin > 1)
            begin, end = begin + quoted, end - quoted
        longest = max(int((end - begin).max()), 1)
        if longest > _LONGEST:
            raise NotPlainError
        offsets = np.arange(longest)
        found = data[np.minimum(begin[:, None] + offsets, len(data) - 1)]
        found[offsets >= (end - begin)[:, None]] = 0
        if self._form.quote and (found == self._quote).any():
            raise NotPlainError
        cells: Cells = found.view(f"S{longest}").ravel()
        return cells


def _encoded(block: str) -> _Bytes:
    """The bytes of some lines, the last of which gets a line end where it has none."""
    return np.frombuffer((block if block.endswith("\n") else block + "\n").encode(errors="replace"), np.uint8)
