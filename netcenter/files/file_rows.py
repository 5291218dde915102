"""Reads the rows of a file, whatever its shape: JSON lines and CSV."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from netcenter.files.line import FileError, Refused
from netcenter.files.values import SURROGATE, json_type

_CELL = 64 * 2**20  # a CSV cell above 64 MiB is an unclosed quote


class Row(msgspec.Struct, frozen=True):
    """One row: a JSON object, or the cells of a CSV row by column."""

    number: int
    """The number of the line on which the row starts, from 1."""
    values: Mapping[str, Any]
    raw: str
    """The row as it stands in the file, without the line end."""


class Rows(msgspec.Struct, frozen=True):
    """An open file."""

    cells: bool
    """Whether all values are text, as in CSV."""
    columns: list[str] | None
    """The columns of the header; None where each row names its own fields."""
    rows: Iterator[Row | Refused]


@contextlib.contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """The rows of a file, in its own order, one at a time.

    path: ends in .jsonl, .ndjson or .json for JSON lines, .csv for CSV with a header; `-` is JSON lines on the standard
    input. Raises FileError for a file that cannot be read at all; a row that cannot be read is a Refused.
    """
    ending = path.suffix.lower()
    if str(path) != "-" and ending not in (".jsonl", ".ndjson", ".json", ".csv"):
        raise FileError(f"{path}: ending {ending!r} is not known: use .jsonl for JSON lines or .csv")
    try:
        if ending == ".csv":
            # Bytes that are not UTF-8 become surrogates, so that the error can name the line and field.
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
                yield _csv(text, path)
            return
        with contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as raws:
            yield Rows(False, None, _json_lines(raws))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None


def json_row(raw: bytes, number: int) -> Row | Refused:
    """The row of one JSON line."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = re.search(r"\(byte (\d+)\)", str(error))
        found = _json_slowly(raw, int(place[1]) + 1 if place else 1)
        if isinstance(found, str):
            return Refused(number, "", found, raw.decode(errors="replace"))
        [value] = found
    if type(value) is not dict:
        why = f"is {json_type(value)}, not an object: write one {{...}} a line"
        return Refused(number, "", why, raw.decode(errors="replace"))
    return Row(number, value, raw.decode(errors="replace"))


def _json_lines(raws: Iterable[bytes]) -> Iterator[Row | Refused]:
    for number, raw in enumerate(raws, 1):
        raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if not raw.isspace():
            yield json_row(raw.rstrip(b"\r\n"), number)


def _json_slowly(raw: bytes, column: int) -> tuple[Any] | str:
    """The value of a line that the fast decoder refused, which may have lone surrogates; or the fault and its column."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON: leave the field out")

    try:
        return (_mended(json.loads(raw.decode(), parse_constant=refuse)),)
    except UnicodeDecodeError as error:
        return f"column {error.start + 1}: not UTF-8: save the file as UTF-8"
    except json.JSONDecodeError as error:
        return f"column {error.colno}: not JSON: {error.msg}; write one whole object a line"
    except RecursionError:
        return f"column {column}: nested too deep: a record is one flat object"
    except ValueError as error:
        return f"column {column}: {error}"


def _csv(lines: Iterable[str], path: Path) -> Rows:
    """The rows of a CSV file, of which the first is the header."""
    csv.field_size_limit(_CELL)
    kept = _Kept(lines)
    reader = csv.reader(kept, strict=True)
    try:
        header = next(reader)
    except StopIteration:
        raise FileError(f"{path}:1: no header: the first line of a CSV file names its columns") from None
    except csv.Error as error:
        raise FileError(f"{path}:1: not CSV: {error}; a quote inside quotes is written twice") from None

    def rows() -> Iterator[Row | Refused]:
        while True:
            number = reader.line_num + 1
            kept.lines.clear()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise FileError(f"{path}:{number}: not CSV: {error}; a quote inside quotes is written twice") from None
            if len(row) == len(header):
                yield Row(number, dict(zip(header, row, strict=True)), kept.raw)
            elif row:
                why = f"{len(row)} cells, but the header has {len(header)}: quote commas"
                yield Refused(number, "", why, kept.raw)

    return Rows(True, header, rows())


class _Kept:
    """Lines that are kept until the row that they make is whole."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._from, self.lines = iter(lines), list[str]()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._from)
        self.lines.append(line)
        return line

    @property
    def raw(self) -> str:
        return "".join(self.lines).rstrip("\r\n")


def _mended(value: Any) -> Any:
    """The value, with each lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(v) for v in value]
    if isinstance(value, dict):
        return {_mended(k): _mended(v) for k, v in value.items()}
    return value
