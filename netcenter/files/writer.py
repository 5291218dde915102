"""Writes a record as its line in a file."""

from __future__ import annotations

from typing import Any

import msgspec

from netcenter.files.line_types import BY_CLASS, TIMES, TYPES
from schemas import records
from schemas.records import Record
from schemas.times import rfc3339


def line_of(record: Record) -> dict[str, Any]:
    """The fields of a record's line, without fields that have their default. Raises TypeError for a record that has no
    line.
    """
    if isinstance(record, records.ClassifiedMention):
        told = {"label": record.label, "confidence": record.confidence, "probabilities": record.probabilities}
        return {**line_of(record.mention), **told, "classified_lang": record.classified_lang, "model": record.model}
    kind = BY_CLASS.get(type(record))
    if kind is None:
        raise TypeError(f"{type(record).__name__} has no line in a file; those that do: {', '.join(TYPES)}")
    line: dict[str, Any] = {"type": kind.name}
    for field, default in kind.written:
        value = getattr(record, field)
        if value != default:
            line[field] = rfc3339(value) if field in TIMES else value
    if isinstance(record, records.OperatorChanged):
        line[line.pop("change")] = line.pop("at")
    return line


def dump(record: Record) -> str:
    """A record as its JSON line, without the newline. `read` gives the same record back."""
    return msgspec.json.encode(line_of(record)).decode()
