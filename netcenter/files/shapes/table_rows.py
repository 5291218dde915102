"""The rows of Parquet files and of Excel's .xlsx, with the readers of the extra `netcenter[files]`."""

from __future__ import annotations

import datetime
import math
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NoReturn

from netcenter.disk import amount
from netcenter.files.line import FileError, Refused
from netcenter.files.options import FileOptions
from netcenter.files.shapes.file_row import Row, Rows

#: A batch of Parquet has at most so many rows, and at least one; they are about as large as the second number together.
_BATCH, _BATCH_SIZE = 4_096, 16 * 2**20
#: Excel's own limit.
_LAST_ROW = 1_048_576
#: The texts of a book, which are read before its rows, may have so many bytes together.
_TEXTS = 256 * 2**20
#: No tag of a sheet, and no text between two tags, has so many bytes: a cell of Excel has 32,767 characters.
_LONGEST = 2**20
_PART = 256 * 1024
#: A number from here on is not told from its neighbours by a float.
_WHOLE = 2**53
#: Excel keeps 15 digits of a number.
_EXCEL = 10**15


def _lacking(path: Path, what: str, library: str) -> NoReturn:
    raise FileError(f"{path}: {what} is read with {library}: pip install 'netcenter[files]'") from None


def _plain(value: Any) -> Any:
    """A value as JSON has it: a time as RFC 3339, without an offset where it has none; a whole float as a number; a number
    that few programs hold exactly, but Parquet does, as its digits.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if abs(value) < _WHOLE else str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() and abs(value) < _WHOLE else value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Iterable):
        return [_plain(one) for one in value]
    return str(value)


def parquet_rows(path: Path, stream: IO[bytes]) -> Rows:
    """The rows of a Parquet file, a part of a row group at a time."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        _lacking(path, "Parquet", "pyarrow")
    try:
        file = parquet.ParquetFile(stream)
    except (pyarrow.ArrowException, OSError) as error:
        raise FileError(f"{path}: is damaged Parquet: {str(error).splitlines()[0]}") from None
    columns: list[str] = file.schema_arrow.names

    def rows() -> Iterator[Row | Refused]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=_batch_of(file.metadata)):
                for values in _to_microseconds(batch).to_pylist():
                    number += 1
                    yield Row(number, {name: _plain(value) for name, value in values.items()})
        except (pyarrow.ArrowException, OSError, OverflowError) as error:
            raise FileError(f"{path}: is damaged after row {number:,}: {str(error).splitlines()[0]}") from None
        finally:
            file.close()

    return Rows(True, columns, 0, rows())


def _batch_of(metadata: Any) -> int:
    """How many rows of a Parquet file are held at once."""
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1)
    return max(1, min(_BATCH, int(_BATCH_SIZE / max(largest, 1))))


def _to_microseconds(batch: Any) -> Any:
    """A batch of which no time is finer than a microsecond, as Python has them."""
    import pyarrow

    arrays = []
    for array in batch.columns:
        kind = array.type
        fine = pyarrow.types.is_timestamp(kind) and kind.unit == "ns"
        arrays.append(array.cast(pyarrow.timestamp("us", kind.tz), safe=False) if fine else array)
    return pyarrow.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def xlsx_rows(path: Path, stream: IO[bytes], options: FileOptions) -> Rows:
    """The rows of the one sheet that has any, or of the --sheet; --skip-lines counts its rows."""
    try:
        import openpyxl
    except ModuleNotFoundError:
        _lacking(path, ".xlsx", "openpyxl")
    try:
        with warnings.catch_warnings():  # openpyxl tells of each part of Excel that it passes over
            warnings.simplefilter("ignore")
            _check_size(path, stream)
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        sheet = _sheet(path, book, options.sheet)
        numbered = _filled(sheet, options.skip_lines)
        number, header = next(numbered, (0, []))
    except FileError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged book raises errors of many kinds: zip, XML, KeyError
        raise _damaged(path, 0, error) from None
    if not header:
        raise FileError(f"{path}: no header: the first row of a sheet names its columns")
    columns = ["" if cell is None else str(cell) for cell in header]

    def rows() -> Iterator[Row | Refused]:
        last = number
        try:
            for last, cells in numbered:
                row = Row(last, dict(zip(columns, cells, strict=False)))
                if len(cells) > len(columns):
                    why = f"{len(cells)} cells, but the header has {len(columns)}"
                    yield Refused(last, "", why, row.raw)
                else:
                    yield row
        except FileError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise _damaged(path, last, error) from None
        finally:
            book.close()

    return Rows(True, columns, number, rows())


def _damaged(path: Path, number: int, error: Exception) -> FileError:
    place = f"is damaged after row {number:,} of its sheet" if number else "is a damaged .xlsx"
    return FileError(f"{path}: {place}: {(str(error) or type(error).__name__).splitlines()[0]}: save it again")


def _check_size(path: Path, stream: IO[bytes]) -> None:
    """Raises FileError for a book that few bytes make large beyond the memory, which no program of tables has written."""
    with zipfile.ZipFile(stream) as book:
        for member in book.infolist():
            if "sharedstrings" in member.filename.lower() and member.file_size > _TEXTS:
                told = f"its texts have {amount(member.file_size)} together, more than {amount(_TEXTS)}"
                raise FileError(f"{path}: {told}: save the sheet as .csv")
            if not member.filename.lower().endswith((".xml", ".rels")):
                continue
            with book.open(member) as xml:
                run = 0
                while part := xml.read(_PART):
                    first, last = part.find(b"<"), part.rfind(b"<")
                    run = run + len(part) if first < 0 else max(run + first, len(part) - last)
                    if run > _LONGEST:
                        told = (
                            f"{member.filename} in it holds a text of more than {amount(_LONGEST)}, which no cell has"
                        )
                        raise FileError(f"{path}: {told}: save it again, or save the sheet as .csv")
                    run = run if first < 0 else len(part) - last


def _of_excel(value: Any) -> Any:
    """The value of a cell; a number of which Excel has lost the last digits as it shows such a number, 5.70306E+17."""
    lost = (isinstance(value, float) and abs(value) >= _EXCEL) or (isinstance(value, int) and abs(value) >= _WHOLE)
    return f"{value:.5E}" if lost else _plain(value)


def _sheet(path: Path, book: Any, wanted: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    listed = ", ".join(repr(title) for title in sheets)
    if wanted is not None:
        if wanted not in sheets:
            raise FileError(f"{path}: --sheet {wanted}: no such sheet; the sheets are {listed}")
        return sheets[wanted]
    filled = [sheet for sheet in sheets.values() if next(_filled(sheet, 0), None) is not None]
    if len(filled) > 1:
        raise FileError(f"{path}: the sheets are {listed}: name one with --sheet")
    if not filled:
        raise FileError(f"{path}: no sheet has a row: the first row of a sheet names its columns")
    return filled[0]


def _filled(sheet: Any, skipped: int) -> Iterator[tuple[int, list[Any]]]:
    """(number, cells up to the last that is not empty) of each row of a sheet that is not empty."""
    sheet.reset_dimensions()  # some programs write a wrong size into the sheet
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > _LAST_ROW:
            raise ValueError(f"it has rows after row {_LAST_ROW:,}, the last that a sheet can have")
        if number <= skipped:
            continue
        found = [_of_excel(cell) for cell in cells]
        while found and found[-1] in (None, ""):
            found.pop()
        if found:
            yield number, found
