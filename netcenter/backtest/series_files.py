"""Reads series of counts, from files of counts (`timestamp,value`) or of posts (one in each row), whatever their shape."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agents.policy.zone import zone
from agents.surge.burst import BIN
from netcenter.errors import UsageError
from netcenter.files.file_rows import open_rows
from netcenter.files.file_times import ContradictoryDatesError, UndecidedDateError, as_time, order_told_by
from netcenter.files.line import FileError, Refused
from netcenter.files.options import FileOptions
from netcenter.files.shapes.file_row import Row, Rows
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.values import DateOrder, Form, written

FIELDS = ("timestamp", "value", "created_at", "brand")
"""What a column may be mapped to."""
_COUNTS = ("timestamp", "value")
_MINUTE = 60_000
_MOST_COUNTED = 1e12
_COUNT_BY = "count by 5 minutes, a part of 5 such as 1, or a multiple of 5"


class CountSeries(NamedTuple):
    """Counts of posts in bins of one length, oldest first."""

    name: str
    times: list[int]
    """ms; the starts of the bins, in the order of the file"""
    values: list[float]
    """posts"""
    bin: int = BIN
    """ms; five minutes or a multiple of it"""
    gaps: int = 0
    """how many bins do not begin where the bin before them ends"""


class _Series:
    """The rows of one file as times and values."""

    def __init__(self, path: Path, options: FileOptions) -> None:
        self.path, self.options = path, options
        self._source = SourceFile(path)
        try:
            chosen = None if options.zone is None else zone(options.zone).info
        except ValueError as error:
            raise UsageError(f"{path}: --zone: {error}") from None
        self._form = Form(True, options.time_format, chosen, DateOrder(options.dates))

    def read(self) -> list[CountSeries]:
        """Each series of the file. Raises UsageError and FileError."""
        with open_rows(self._source, self.options, FIELDS) as file:
            rows = self._sound(file)
            first = next(rows, None)
            names = file.columns if file.columns is not None else list(first.values) if first is not None else []
            mapped = {field: self.options.map.get(field, field) for field in FIELDS}
            if first is None and not names:
                raise UsageError(f"{self.path}: no rows")
            place = f"{self.path}:{file.header or 1}"
            for field, column in self.options.map.items():
                if column not in names:
                    raise UsageError(f"{place}: --map {field}: no column {column}; the columns are {', '.join(names)}")
            self._form = msgspec.structs.replace(self._form, cells=file.cells)
            found = _chain(first, rows)
            if all(mapped[field] in names for field in _COUNTS):
                return [self._counts(found, mapped)]
            if mapped["created_at"] not in names:
                raise UsageError(
                    f"{place}: no columns timestamp and value, and no {mapped['created_at']}: name the time of a post, "
                    "--map created_at=COLUMN, or both columns of counts, --map timestamp=COLUMN --map value=COLUMN"
                )
            return self._posts(found, mapped["created_at"], mapped["brand"] if mapped["brand"] in names else None)

    def _sound(self, file: Rows) -> Iterator[Row]:
        for row in file.rows:
            if isinstance(row, Refused):
                raise UsageError(row.in_words(str(self.path)))
            yield row

    def _moment(self, row: Row, column: str) -> int:
        """ms of a row's time. Where the day or the month may come first, the dates of the whole file tell."""
        value = row.values.get(column)
        try:
            return as_time(value, self._form)
        except UndecidedDateError:
            self._learn(column)
            return self._moment(row, column)
        except (ValueError, ContradictoryDatesError) as error:
            raise UsageError(f"{self.path}:{row.number}: {column}: {error}") from None

    def _learn(self, column: str) -> None:
        with open_rows(self._source, self.options, FIELDS) as file:
            told = (order_told_by(row.values.get(column)) for row in file.rows if isinstance(row, Row))
            order = next(filter(None, told), None)
        if order is None:
            raise UsageError(
                f"{self.path}: {column}: no date says whether its day or its month comes first: --dates day-first"
            )
        self._form.dates.learn(order)

    def _counts(self, rows: Iterator[Row], mapped: dict[str, str]) -> CountSeries:
        times, values = list[int](), list[float]()
        for row in rows:
            at = self._moment(row, mapped["timestamp"])
            given = row.values.get(mapped["value"])
            value = _number(given)
            if value is None:
                raise UsageError(f"{self.path}:{row.number}: value: {written(given)[:40]!r} is no count of posts")
            if times and at <= times[-1]:
                raise UsageError(
                    f"{self.path}:{row.number}: timestamp: is not after that of the row before: sort the file"
                )
            times.append(at)
            values.append(value)
        if not times:
            raise UsageError(f"{self.path}: no rows")
        return self._binned(times, values)

    def _binned(self, times: list[int], values: list[float]) -> CountSeries:
        """The counts in bins as long as most rows are apart; shorter ones are summed to five minutes."""
        apart = Counter(later - earlier for earlier, later in pairwise(times))
        length, often = apart.most_common(1)[0] if apart else (BIN, 1)
        if apart and 2 * often <= len(times) - 1:
            raise UsageError(
                f"{self.path}: its rows are no constant time apart: {_COUNT_BY}, or give a row a post and --map created_at=COLUMN"
            )
        if length % BIN and BIN % length:
            raise UsageError(f"{self.path}: its rows are {length / _MINUTE:g} minutes apart: {_COUNT_BY}")
        gaps = len(times) - 1 - often if apart else 0
        if length >= BIN:
            return CountSeries(self.path.stem, times, values, length, gaps)
        sums: Counter[int] = Counter()
        for at, value in zip(times, values, strict=True):
            sums[at // BIN * BIN] += value  # type: ignore[assignment]  # counts may be fractions
        return CountSeries(self.path.stem, list(sums), [float(value) for value in sums.values()], BIN, gaps)

    def _posts(self, rows: Iterator[Row], created: str, brand: str | None) -> list[CountSeries]:
        bins: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for row in rows:
            name = self.path.stem if brand is None else written(row.values.get(brand))
            bins[name][self._moment(row, created) // BIN * BIN] += 1
        if not bins:
            raise UsageError(f"{self.path}: no rows")
        first, last = min(map(min, bins.values())), max(map(max, bins.values()))
        times = list(range(first, last + BIN, BIN))
        return [CountSeries(name, times, [float(found[at]) for at in times]) for name, found in sorted(bins.items())]


def read(path: Path, options: FileOptions) -> list[CountSeries]:
    """Return the series of a file: a file of counts has one series, a file of posts one for each brand.

    A file of counts has the columns timestamp and value, or what `options.map` names for them; a file of posts has created_at
    and perhaps brand. Raises UsageError with the file, the line and what is wrong there.
    """
    try:
        return _Series(path, options).read()
    except FileError as error:
        raise UsageError(str(error)) from None


def _chain(first: Row | None, rest: Iterator[Row]) -> Iterator[Row]:
    if first is not None:
        yield first
    yield from rest


def _number(value: Any) -> float | None:
    """A count; None where the value is none."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if 0 <= found < _MOST_COUNTED else None


def names(series: list[CountSeries]) -> Iterator[str]:
    """Yield a file name for each series: letters, digits, dots and hyphens, with a number where two would be equal."""
    seen: Counter[str] = Counter()
    for one in series:
        plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in one.name) or "series"
        seen[plain] += 1
        yield plain if seen[plain] == 1 else f"{plain}-{seen[plain]}"
