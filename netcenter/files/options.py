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
    format: str | None = None
    """The ending of which the file is read as if its name had it, such as csv; None: told from the bytes, else by the name."""
    encoding: str | None = None
    """The encoding of text, by its name in Python; None: told from the mark, else UTF-8."""
    delimiter: str | None = None
    """What stands between two CSV cells; None: told from the header."""
    quote: str = '"'
    """What stands around a CSV cell that holds a delimiter; empty: nothing."""
    escape: str | None = None
    """What stands before a quote or delimiter within a CSV cell, where a quote is not written twice."""
    skip_lines: int = 0
    """How many lines, or rows of a sheet, stand before the header."""
    sheet: str | None = None
    """The sheet of an .xlsx; None: the only one that has rows."""
    rejects: Path | None = None
    """The CSV file to which the refused rows are written, with line and reason."""
    max_rejects: float = 0.01
    """The share of rows that may be refused: if more are, the command ends with exit 1."""
