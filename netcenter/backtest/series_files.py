"""Reads series of posts per bin, from CSV files of counts (`timestamp,value`) or of posts (one in each row)."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agents.surge.burst import BIN
from netcenter.errors import UsageError

_COUNTS = ("timestamp", "value")


class CountSeries(NamedTuple):
    """Counts of posts in bins of 5 minutes, oldest first."""

    name: str
    times: list[int]
    """ms; the starts of the bins, in the order of the file"""
    values: list[float]
    """posts"""


def read(path: Path, columns: Mapping[str, str], time_format: str | None) -> list[CountSeries]:
    """Return the series of a CSV file: a file of counts has one series, a file of posts one for each brand.

    `columns` names the columns of created_at and brand; a file without a brand column is one series. Times without an
    offset are UTC. Raises UsageError with the file, the line and what is wrong there.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or ()
            if set(_COUNTS) <= set(header):
                return [_counts(path, rows, time_format)]
            created, brand = columns.get("created_at", "created_at"), columns.get("brand", "brand")
            if created not in header:
                raise UsageError(
                    f"{path}:1: no columns timestamp and value, and no {created}: name the time of a post, "
                    "--map created_at=COLUMN"
                )
            if "brand" in columns and brand not in header:
                raise UsageError(f"{path}:1: no column {brand}")
            return _posts(path, rows, created, brand if brand in header else None, time_format)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None


def _counts(path: Path, rows: csv.DictReader[str], time_format: str | None) -> CountSeries:
    moment = _moments(path, time_format)
    found = CountSeries(path.stem, [], [])
    for row in rows:
        number, text = rows.line_num, row["value"] or ""
        at = moment(row["timestamp"] or "", number)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < 1e12:
            raise UsageError(f"{path}:{number}: value: {text!r} is no count of posts")
        if found.times and at <= found.times[-1]:
            raise UsageError(f"{path}:{number}: timestamp: is not after that of the row before: sort the file")
        found.times.append(at)
        found.values.append(value)
    return _some(path, found)


def _posts(
    path: Path, rows: csv.DictReader[str], created: str, brand: str | None, time_format: str | None
) -> list[CountSeries]:
    moment = _moments(path, time_format)
    bins: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        at = moment(row[created] or "", rows.line_num)
        bins[row[brand] if brand is not None else path.stem][at // BIN * BIN] += 1
    if not bins:
        raise UsageError(f"{path}: no rows")
    first, last = min(map(min, bins.values())), max(map(max, bins.values()))
    times = list(range(first, last + BIN, BIN))
    return [CountSeries(name, times, [float(found[at]) for at in times]) for name, found in sorted(bins.items())]


def _some(path: Path, series: CountSeries) -> CountSeries:
    if not series.times:
        raise UsageError(f"{path}: no rows")
    return series


def _moments(path: Path, time_format: str | None) -> Callable[[str, int], int]:
    """Return a function (text, line number) -> ms, whose errors name the file and the line."""

    def moment(text: str, number: int) -> int:
        try:
            found = datetime.strptime(text, time_format) if time_format else datetime.fromisoformat(text)  # noqa: DTZ007
        except ValueError:
            raise UsageError(
                f"{path}:{number}: {text!r} is no time: write 2026-11-20T14:03:00Z, or give --time-format"
            ) from None
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)

    return moment


def names(series: list[CountSeries]) -> Iterator[str]:
    """Yield a file name for each series: letters, digits, dots and hyphens, with a number where two would be equal."""
    seen: Counter[str] = Counter()
    for one in series:
        plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in one.name) or "series"
        seen[plain] += 1
        yield plain if seen[plain] == 1 else f"{plain}-{seen[plain]}"
