"""How a file is read: what the options of a command say about its columns and values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

_NONE: Mapping[str, str] = MappingProxyType({})


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a command that reads files; each is documented with its command-line option."""

    map: Mapping[str, str] = _NONE
    """By field: the column, or the key of a JSON object, that it is taken from."""
    set: Mapping[str, str] = _NONE
    """By field: a constant, written as in a CSV cell, which replaces the file's value."""
    ignore_unknown: bool = False
    """Whether fields that no record has are skipped."""
    time_format: str | None = None
    """A format of `strptime`, UTC where it has no offset; None: RFC 3339."""
    default_type: str = "mention"
    """The type of a line without a type."""
    classified: bool = False
    """Whether a mention with a `label` is read as a ClassifiedMention, with `confidence` (1), `probabilities`,
    `classified_lang` (the mention's own) and `model`; otherwise no mention has these fields."""
    rejects: Path | None = None
    """The CSV file to which the refused rows are written, with line and reason."""
    max_rejects: float = 0.01
    """The share of rows that may be refused: if more are, the command ends with exit 1."""
