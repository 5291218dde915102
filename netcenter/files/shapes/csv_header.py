"""The header of a CSV file, and how its cells are written: told from the header where no option says it."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import msgspec

from netcenter.files.column_names import suggested
from netcenter.files.line import FileError
from netcenter.files.options import FileOptions
from netcenter.files.shapes.row_limit import LARGEST_ROW

#: The delimiters that are told from a header, and the words for them.
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_WORDS = {"tab": "\t", "\\t": "\t"}
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
#: What no column is named: a number, a date, a link.
_VALUE = re.compile(r"\s*(?:[-+]?\d+(?:[.,]\d+)?\s*$|\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{2,4}|https?://)")
#: A header has at most this many lines.
_LINES = 100


class CsvForm(msgspec.Struct, frozen=True):
    """How the cells of a CSV file are written."""

    delimiter: str
    quote: str
    """Empty: no cell is quoted."""
    escape: str | None

    def reader(self, lines: Any) -> Any:
        """A reader of Python's csv module over lines."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar=self.escape,
            doublequote=True,
            strict=True,
        )


class CsvHeader(msgspec.Struct, frozen=True):
    """The header of a CSV file."""

    columns: list[str]
    form: CsvForm
    number: int
    """The line on which it stands, from 1."""
    last: int
    """The last line of it."""


def read_header(
    text: TextIO, path: Path, options: FileOptions, named: Collection[str], head: Sequence[str]
) -> CsvHeader:
    """Read the lines of a file up to the end of its header.

    named: the columns that fill a field. head: the first lines of the file, for what an error suggests.
    """
    quote, escape = options.quote, options.escape
    given = _WORDS.get(options.delimiter or "", options.delimiter)
    for option, sign in (("--delimiter", given), ("--quote", quote or None), ("--escape", escape)):
        if sign is not None and (len(sign) != 1 or sign in "\r\n"):
            raise FileError(f"{path}: {option} {sign!r}: is not one character")
    number = 0
    for _ in range(options.skip_lines):
        number += 1
        if not _line(text, path, number):
            raise FileError(f"{path}: --skip-lines {options.skip_lines}: the file has only {number - 1} lines")
    first = _next_filled(text, path, number)
    number += first[0]
    if (separator := _SEP.fullmatch(first[1])) is not None:
        given = given or separator[1]
        first = _next_filled(text, path, number)
        number += first[0]
    if not first[1]:
        why = "no header: the first line of a CSV file names its columns"
        raise FileError(f"{path}:{max(number, 1)}: {why}{'' if any(head) else '; the file is empty'}")
    lines = _whole_header(text, path, number, first[1], quote)
    forms = [CsvForm(sign, quote, escape) for sign in ([given] if given else _DELIMITERS)]
    parsed = [(form, columns) for form in forms if (columns := _parsed(lines, form)) is not None]
    if not parsed:
        _fail(path, number, lines, forms[0])
    form, columns = max(parsed, key=lambda one: (_score(one[1], named), len(one[1])))
    if _score(columns, named) == 0:
        _suggest(path, number, lines, columns, named, head, CsvForm(form.delimiter, quote, escape))
    return CsvHeader(columns, form, number, number + len(lines) - 1)


def _line(text: TextIO, path: Path, number: int) -> str:
    """The next line; empty at the end. Raises FileError for one that is too large. number: that of the line."""
    line = text.readline(LARGEST_ROW)
    if len(line) == LARGEST_ROW:
        told = f"has {LARGEST_ROW:,} characters or more, so it is no header: are the line ends missing?"
        raise FileError(f"{path}:{number}: {told}")
    return line


def _whole_header(text: TextIO, path: Path, number: int, first: str, quote: str) -> list[str]:
    """The lines of a header, whose quotes are closed in the last. number: that of the first line."""
    lines, length = [first], len(first)
    while quote and "".join(lines).count(quote) % 2 and len(lines) < _LINES and length < LARGEST_ROW:
        line = _line(text, path, number + len(lines))
        if not line:
            break
        lines.append(line)
        length += len(line)
    return lines


def _next_filled(text: TextIO, path: Path, number: int) -> tuple[int, str]:
    """(how many lines were read, the last of them), which is the next that is not blank; empty at the end.

    number: how many lines were read before.
    """
    count = 0
    while line := _line(text, path, number + count + 1):
        count += 1
        if not line.isspace() or "\t" in line:
            break
    return count, line


def _parsed(lines: Sequence[str], form: CsvForm) -> list[str] | None:
    try:
        columns: list[str] = next(form.reader(iter(lines)))
    except (csv.Error, StopIteration):
        return None
    return columns


def _score(columns: Sequence[str], named: Collection[str]) -> int:
    """How many columns fill a field."""
    return sum(column in named for column in columns)


def _fail(path: Path, number: int, lines: Sequence[str], form: CsvForm) -> NoReturn:
    try:
        next(form.reader(iter(lines)))
    except (csv.Error, StopIteration) as error:
        raise FileError(f"{path}:{number}: not CSV: {error}; a quote inside quotes is written twice") from None
    raise AssertionError(f"{path}: a header that was not read before is read now")


# branches: each shape of file that a header tells has its own sentence
def _suggest(
    path: Path,
    number: int,
    lines: Sequence[str],
    columns: Sequence[str],
    named: Collection[str],
    head: Sequence[str],
    form: CsvForm,
) -> None:
    """Raises FileError where the header is no header, but something else in the file is one."""
    if lines[0].lstrip().startswith(("{", "[{")):
        raise FileError(f"{path}:{number}: looks like JSON, not CSV: --format jsonl")
    for sign, word in _DELIMITERS.items():
        other = _parsed(lines, CsvForm(sign, form.quote, form.escape)) or []
        if sign != form.delimiter and (_score(other, named) > 0 or (len(other) > 2 and len(columns) == 1)):
            raise FileError(
                f"{path}:{number}: looks like {word}: --delimiter {'tab' if sign == chr(9) else repr(sign)}"
            )
    if len(suggested(columns, ())) > 1:
        return
    _find_later(path, number, named, head, form)
    if any(_VALUE.match(column) for column in columns):
        raise FileError(
            f"{path}:{number}: no header: the line looks like a row: write the names of the columns above it"
        )


def _find_later(path: Path, number: int, named: Collection[str], head: Sequence[str], form: CsvForm) -> None:
    """Raises FileError where one of the next lines looks like the header."""
    for at, line in enumerate(head[number : number + 30], number + 1):
        for sign in (form.delimiter, *_DELIMITERS):
            found = _parsed([line], CsvForm(sign, form.quote, form.escape)) or []
            if _score(found, named) > 1 or len(suggested(found, ())) > 2:
                raise FileError(f"{path}:{number}: no header; line {at} looks like the header: --skip-lines {at - 1}")
