"""Opens the rows of a file, whatever its shape."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from netcenter.files.conditions import Conditions
from netcenter.files.line import FileError, Refused
from netcenter.files.line_types import CLASSIFIER_FIELDS, KNOWN
from netcenter.files.options import FileOptions
from netcenter.files.shapes.csv_header import read_header
from netcenter.files.shapes.csv_rows import CsvRows
from netcenter.files.shapes.file_bytes import FORMATS, OpenFile, open_file
from netcenter.files.shapes.file_row import Row, Rows
from netcenter.files.shapes.json_rows import each_element, json_array, json_lines, listed_elements, nested_values
from netcenter.files.shapes.looks_like import assignment, whole_object
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.shapes.table_rows import parquet_rows, xlsx_rows
from netcenter.files.shapes.text_encoding import as_utf_8, encoding_of, head_lines, text_of_stream

_FIELDS = KNOWN.union(CLASSIFIER_FIELDS)


@contextlib.contextmanager
def open_rows(source: SourceFile, options: FileOptions, known: Collection[str] = _FIELDS) -> Iterator[Rows]:
    """The rows of a file, in its own order, one at a time.

    source: a file of JSON lines, a JSON array, CSV, Parquet or .xlsx, also packed with gzip, zstd or as the only one in a
    zip; `-` is the standard input. known: the columns that fill a field without a --map. Raises FileError for a file that
    cannot be read at all, or that is changed meanwhile; a row that cannot be read is a Refused.
    """
    named = {*known, *options.columns, *(column.partition(".")[0] for column in options.columns)}
    path = source.path
    with contextlib.ExitStack() as stack:
        try:
            file = open_file(source, options.format, stack)
            if file.format == "Parquet":
                rows = parquet_rows(path, file.stream)
                if options.each is not None:
                    rows = Rows(rows.cells, rows.columns, rows.header, each_element(rows.rows, options.each))
                rows = _with_nested(rows, options)
            elif file.format == "xlsx":
                rows = xlsx_rows(path, file.stream, options)
            else:
                rows = _text(source, file, options, named, stack)
            yield _without_skipped(path, rows, options)
            source.check_end()
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise FileError(f"{path}: not {error.encoding}: {error.reason}: name its --encoding") from None


def _text(
    source: SourceFile, file: OpenFile, options: FileOptions, named: Collection[str], stack: contextlib.ExitStack
) -> Rows:
    """The rows of JSON or CSV."""
    path = source.path
    rest = file.stream if not file.packed and file.stream.seekable() else None
    encoding = encoding_of(path, file.head, options.encoding, rest)
    source.grows = source.grows and not encoding.startswith(("utf-16", "utf-32"))
    head = head_lines(file.head, encoding)
    first = next((line for line in head if line.strip()), "").lstrip()
    assigned = assignment(file.head.decode(encoding, errors="replace"))
    chosen = file.format or ("JSON" if first.startswith(("{", "[")) or assigned else None)
    if chosen is None and not _looks_like_csv(first, named):
        raise FileError(
            f"{path}: ending {path.suffix!r} is not known: use .csv or .jsonl, or --format: {', '.join(FORMATS)}"
        )
    if chosen != "JSON":
        text = text_of_stream(file.stream, encoding, stack)
        header = read_header(text, path, options, named, head)
        return Rows(True, header.columns, header.number, iter(CsvRows(text, path, header)), csv=(text, header))
    stream = as_utf_8(file.stream, encoding, stack)
    if assigned or first.startswith("["):
        source.grows = False
        stream.read(len(assigned.encode()))
        rows = json_array(stream, path)
        rows = rows if options.each is None else each_element(rows, options.each)
    else:
        _check_json(path, first, head, options, named)
        rows = json_lines(stream) if options.each is None else listed_elements(stream, path, options.each)
    return _with_nested(Rows(False, None, 0, rows), options)


def _check_json(path: Path, first: str, head: list[str], options: FileOptions, named: Collection[str]) -> None:
    """Raises FileError for what is no JSON lines. first: the first line that is not blank."""
    if first and not first.startswith("{") and _looks_like_csv(first, named):
        raise FileError(f"{path}:1: looks like CSV, not JSON: --format csv")
    told = whole_object("\n".join(head).encode(), named) if first.startswith("{") and options.each is None else None
    if told is not None:
        raise FileError(f"{path}:1: {told}")


def _looks_like_csv(first: str, named: Collection[str]) -> bool:
    """Whether a line is a header: two of its cells are columns that fill a field."""
    return any(sum(cell.strip(' "') in named for cell in first.split(sign)) > 1 for sign in ",;\t|")


def _with_nested(file: Rows, options: FileOptions) -> Rows:
    """The rows with the values of the columns that lead into an object."""
    columns = file.columns or ()
    nested = [column for column in sorted(options.columns) if "." in column and column not in columns]
    return Rows(file.cells, file.columns, file.header, nested_values(file.rows, nested) if nested else file.rows)


def _without_skipped(path: Path, file: Rows, options: FileOptions) -> Rows:
    """The rows but for those that --skip-if leaves out. Raises FileError for a column that the header does not have."""
    if not options.skip_if:
        return file
    missing = [] if file.columns is None else [c for c in options.skip_if if c.partition(".")[0] not in file.columns]
    if missing:
        raise FileError(f"{path}: --skip-if: no column {missing[0]!r}; the columns are {', '.join(file.columns or ())}")

    conditions = Conditions("--skip-if", options.skip_if, options.private)

    def kept() -> Iterator[Row | Refused]:
        for row in file.rows:
            if isinstance(row, Refused) or not conditions.count(row.values):
                yield row

    return Rows(file.cells, file.columns, file.header, kept(), conditions)
