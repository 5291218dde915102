"""One row of a file, and the rows of an open file, whatever its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TextIO

import msgspec

from netcenter.files.conditions import Conditions
from netcenter.files.line import Refused
from netcenter.files.shapes.csv_header import CsvHeader


class Row(msgspec.Struct, frozen=True):
    """One row: a JSON object, the cells of a CSV row by column, or a row of a table."""

    number: int
    """From 1: the line on which the row starts; in a JSON array and in Parquet the record's place among the records; in a
    sheet the row's own number."""
    values: Mapping[str, Any]
    source: bytes | str | None = None
    """The row as it stands in the file; None where it stands there in no form that people read."""

    @property
    def raw(self) -> str:
        """The row as text, without the line end; as a JSON object where the file holds no text."""
        if self.source is None:
            return msgspec.json.encode(self.values, enc_hook=str).decode()
        text = self.source if isinstance(self.source, str) else self.source.decode(errors="replace")
        return text.rstrip("\r\n")


class Rows(msgspec.Struct, frozen=True):
    """An open file."""

    cells: bool
    """Whether numbers and the like may be written as text, as in CSV."""
    columns: list[str] | None
    """The columns of the header; None where each row names its own fields."""
    header: int
    """The number of the line on which the header stands; 0 without a header."""
    rows: Iterator[Row | Refused]
    left_out: Conditions = msgspec.field(default_factory=partial(Conditions, "--skip-if", {}))
    """Of the rows that are not among `rows`, as far as the file was read."""
    csv: tuple[TextIO, CsvHeader] | None = None
    """Of a CSV file all of whose rows count, the text after the header: who reads it reads no `rows`."""
