"""How a file is read: what the options of a command say about its columns and values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from netcenter.files.values import FREE_TEXT

TWITTER = "twitter"
"""The name of the form of Twitter's API: Tue Feb 24 11:35:52 +0000 2015."""
DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
_NONE: Mapping[str, str] = MappingProxyType({})


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a command that reads files; each is documented with its command-line option."""

    map: Mapping[str, str] = _NONE
    """By field: the column, or the key of a JSON object, that it is taken from; empty: from none."""
    set: Mapping[str, str] = _NONE
    """By field: a constant, written as in a CSV cell, which replaces the file's value."""
    ignore_unknown: bool = False
    """Whether fields that no record has are skipped."""
    make_ids: bool = False
    """Whether a post without an id, or with one that has lost digits, gets one that is made of its author, time and words."""
    time_format: str | None = None
    """A format of `strptime`, or "twitter"; None: every form that is without doubt."""
    zone: str | None = None
    """The zone of times without an offset, a name of the tz database; None: such a time is refused."""
    dates: str | None = None
    """"day-first" or "month-first"; None: as the dates of the file tell."""
    value: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    """By field: values of the file, each with the value, written as in a CSV cell, that takes its place."""
    each: str | None = None
    """The column whose list holds a record in each element; a --map then names a field of it as `column.field`."""
    skip_if: Mapping[str, frozenset[str]] = MappingProxyType({})
    """By column: the values of rows that are left out, in lower case."""
    reply_if: Mapping[str, frozenset[str]] = MappingProxyType({})
    """By column: the values of the rows that are the brand's own answers, in lower case."""
    own_accounts: frozenset[str] = frozenset()
    """The authors whose posts are the brand's own answers, without `@`, in lower case."""
    reply_to: str | None = None
    """The column that names the customer whom a row is about; None: who wrote the post that the row answers. Without
    `reply_if` and `own_accounts`, every row by somebody else is the brand's own answer."""
    reply_map: Mapping[str, str] = _NONE
    """By field of a reply: its column in the row of the post that is answered."""
    may_lack: frozenset[str] = frozenset()
    """Columns that a profile names and a file of its kind may lack, unless a record needs them."""
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

    @property
    def columns(self) -> frozenset[str]:
        """The columns that the options name."""
        told = (*self.map.values(), *self.reply_map.values(), *self.reply_if, *self.skip_if)
        return frozenset(told if self.reply_to is None else (*told, self.reply_to)) - {""}

    @property
    def private(self) -> frozenset[str]:
        """The columns whose values no message quotes: those of texts and of authors."""
        fields = ("author_id", *FREE_TEXT)
        return frozenset((*fields, *(self.map[field] for field in fields if field in self.map)))
