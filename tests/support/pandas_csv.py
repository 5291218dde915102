"""Writes a table as pandas' `to_csv` does. pandas itself is too large for the environment; `test_file_shapes.py` compares."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def as_pandas(columns: Mapping[str, Sequence[Any]], *, index: bool = True, **dialect: Any) -> str:
    """The text that `DataFrame(columns).to_csv(index=index, **dialect)` gives. Columns are of texts, whole numbers, true and
    false, or times; None is a hole, which makes floats of whole numbers.
    """
    cells = {name: _cells(values) for name, values in columns.items()}
    text = io.StringIO()
    writer = csv.writer(text, **({"lineterminator": "\n"} | dialect))
    writer.writerow(["", *cells] if index else list(cells))
    for number, row in enumerate(zip(*cells.values(), strict=True)):
        writer.writerow([number, *row] if index else row)
    return text.getvalue()


def _cells(values: Sequence[Any]) -> list[Any]:
    """The values of a column as pandas hands them to the csv module."""
    held = [value for value in values if value is not None]
    if held and all(type(value) is int for value in held) and len(held) < len(values):
        return ["" if value is None else float(value) for value in values]
    if held and all(isinstance(value, datetime) for value in held):
        fine = any(value.microsecond for value in held)
        return [
            "" if value is None else value.isoformat(" ", "milliseconds" if fine else "seconds") for value in values
        ]
    return ["" if value is None else value for value in values]
