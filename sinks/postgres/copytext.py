"""Rows in the text form of COPY: tab-separated, escaped by backslashes, null as a backslash and N."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sinks.postgres.table import Kind, ProjectionTable
from sinks.postgres.tables import TABLES

NULL = "\\N"
#: The replacement for NUL, which PostgreSQL cannot store in a text.
SUBSTITUTE = "\ufffd"
_SPECIAL = re.compile("[\\\\\n\r\t\0]").search
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_ENCODE_JSON = msgspec.json.Encoder().encode

Encode = Callable[[Any], str]


def json(value: Any) -> bytes:
    """A value of plain types and records as JSON, for a column of kind `json`."""
    return _ENCODE_JSON(value)


class TextRows:
    """Encodes rows. `nuls` counts the NUL characters that were replaced."""

    def __init__(self) -> None:
        self.nuls = 0
        kinds: dict[Kind, Encode] = {
            "uuid": self._uuid,
            "text": self._text,
            "time": _number,
            "int": _number,
            "float": _number,
            "floats": _floats,
            "bool": _bool,
            "json": self._json,
        }
        self._encoders = {table.name: [kinds[kind] for _, kind in table.columns] for table in TABLES}

    def line(self, table: ProjectionTable, row: Sequence[Any]) -> str:
        """One row as a line with its end. The row's values are in the order of the table's columns."""
        encoders = self._encoders[table.name]
        return "\t".join([encode(value) for encode, value in zip(encoders, row, strict=True)]) + "\n"

    def _text(self, value: str | None) -> str:
        if value is None:
            return NULL
        if _SPECIAL(value) is None:
            return value
        if "\0" in value:
            self.nuls += value.count("\0")
            value = value.replace("\0", SUBSTITUTE)
        return value.translate(_ESCAPES)

    def _uuid(self, value: str | None) -> str:
        return self._text(value or None)

    def _json(self, value: bytes | None) -> str:
        if value is None:
            return NULL
        if b"\\u0000" in value:
            value = _ENCODE_JSON(self._without_nul(msgspec.json.decode(value)))
        return self._text(value.decode())

    def _without_nul(self, value: Any) -> Any:
        """The same JSON value with each NUL in its strings replaced: jsonb cannot hold NUL, escaped or not."""
        if isinstance(value, str):
            self.nuls += value.count("\0")
            return value.replace("\0", SUBSTITUTE)
        if isinstance(value, list):
            return [self._without_nul(item) for item in value]
        if isinstance(value, dict):
            return {self._without_nul(name): self._without_nul(item) for name, item in value.items()}
        return value


def _number(value: float | None) -> str:
    return NULL if value is None else repr(value)


def _bool(value: bool | None) -> str:
    return NULL if value is None else "t" if value else "f"


def _floats(value: list[float]) -> str:
    return "{" + ",".join(map(repr, value)) + "}"
