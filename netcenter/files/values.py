"""The values of fields: each function converts a file's value to the record's value, or raises ValueError(why)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec

from schemas import records
from schemas.names import key_of

SURROGATE = re.compile("[\ud800-\udfff]")
#: How Excel and pandas write a number whose last digits are lost.
_SCIENTIFIC = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE][+-]\d{2,3}", re.ASCII)
_FLOAT = re.compile(r"\d+\.0", re.ASCII)
_EXACT = 2**53
"""From here on, most programs cannot tell a number from its neighbour."""
NO_VALUE = frozenset(
    (
        "",
        "NULL",
        "Null",
        "null",
        "(null)",
        "None",
        "NaN",
        "nan",
        "NaT",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "<NA>",
        "\\N",
        "undefined",
    )
)
"""What databases, Python, R, Excel and JavaScript write into a cell that has no value."""
FREE_TEXT = frozenset(("text", "author_name", "note", "reason"))
"""The fields that people write: there such a word is a word."""


class DamagedIdError(ValueError):
    """An id that may have lost digits, because a program took it for a number."""


class DateOrder:
    """Whether the day or the month comes first in the dates of a file: as the user says, or as a date of the file tells."""

    def __init__(self, order: str | None = None) -> None:
        self.order, self.learnt, self.asked = order, False, False

    def learn(self, order: str) -> None:
        """A date of the file leaves only this order possible."""
        self.order, self.learnt = order, True


class Form(msgspec.Struct, frozen=True):
    """How values are written."""

    cells: bool
    """True: as text, in a CSV cell or a constant."""
    time_format: str | None
    """A format of `strptime`, or "twitter"; None: whatever is without doubt."""
    zone: ZoneInfo | None
    """The zone of times without an offset; None: they are refused."""
    dates: DateOrder


Convert = Callable[[Any, Form], Any]


def json_type(value: Any) -> str:
    """The type of a decoded JSON value, as an error names it: "text", "a number", "a list"."""
    names = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def written(value: Any) -> str:
    """A value of a file as it would stand in a CSV cell."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def has_nothing(field: str, value: Any, form: Form) -> bool:
    """Whether there is no value for a field. A text of JSON is a value: JSON has a null of its own."""
    if value is None or value == "":
        return True
    return form.cells and field not in FREE_TEXT and type(value) is str and value.strip() in NO_VALUE


def as_text(value: Any, form: Form) -> str:
    """Text; in a CSV cell, a lone surrogate means that the file is not UTF-8."""
    if type(value) is not str:
        raise ValueError(f"is {json_type(value)}, not text: put it in quotes")
    if form.cells and not value.isascii() and SURROGATE.search(value):
        raise ValueError("is not UTF-8: save the file as UTF-8, or name its --encoding, such as cp1252")
    return value


def as_id(value: Any, form: Form) -> str:
    """An id of a network or a tool. A whole number of JSON is its digits, unless programs may have rounded it. Raises
    DamagedIdError.
    """
    if type(value) is str and value.isalnum():
        return value
    if type(value) is int:
        if abs(value) < _EXACT:
            return str(value)
        raise DamagedIdError(
            "is a number of 2^53 or more, which many programs round: write it in quotes, or --map the field to one that has "
            "the id as text, such as id_str"
        )
    if type(value) is float:
        raise DamagedIdError(
            "is a number with a decimal point or an exponent, which may have been rounded: write it in quotes"
        )
    text = as_text(value, form)
    if _SCIENTIFIC.fullmatch(text.strip()):
        raise DamagedIdError(
            f"{text!r} is what Excel makes of a long id, and its last digits are lost: export the file again and do not "
            "save it in Excel, or import the column there as text"
        )
    if _FLOAT.fullmatch(text.strip()):
        raise DamagedIdError(
            f"{text[:40]!r} is what pandas makes of the ids in a column with gaps: read it with dtype=str and save it again"
        )
    return text


def as_reference(value: Any, form: Form) -> str | None:
    """The id of another post; an empty text means that there is none."""
    return as_id(value, form) or None


def as_name(value: Any, form: Form) -> str:
    """The key of a name as people write it."""
    text = as_text(value, form)
    key = key_of(text)
    if not key and text.strip():
        raise ValueError("has no letter and no digit: map it to a name with --value")
    return key


def as_count(value: Any, form: Form) -> int:
    """A whole number, also as 5.0: programs write it so where other rows have no number."""
    if form.cells and isinstance(value, str):
        whole = re.fullmatch(r"([+-]?\d{1,4000})(?:\.0{1,6})?", value, re.ASCII)
        if whole is None:
            raise ValueError(f"{value[:40]!r} is not a whole number")
        value = int(whole[1])
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if type(value) is not int:
        raise ValueError(f"is {json_type(value)}, not a whole number")
    return value


def as_flag(value: Any, form: Form) -> bool:
    """True or false; in a CSV cell also 1 and 0."""
    if form.cells and isinstance(value, str):
        value = {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    if type(value) is not bool:
        raise ValueError(f"is {json_type(value)}, not true or false")
    return value


def as_words(value: Any, form: Form) -> list[str]:
    """A list of words; in a CSV cell they are separated by commas, semicolons or spaces."""
    if form.cells and isinstance(value, str):
        value = re.split(r"[,; ]+", value.strip(",; "))
    if type(value) is not list:
        raise ValueError(f'is {json_type(value)}, not a list such as ["es", "pt"]')
    return [as_text(word, form) for word in value]


def as_share(value: Any, form: Form) -> float:
    """A number from 0 to 1."""
    if form.cells and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError(f"{value[:40]!r} is not a number") from None
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError("is not a number between 0 and 1")
    return float(value)


def as_shares(value: Any, form: Form) -> list[float]:
    """A probability for each label, in the order of the labels."""
    if form.cells and isinstance(value, str):
        value = re.split(r"[,; ]+", value.strip(",; "))
    if type(value) is not list or len(value) != len(LABELS):
        raise ValueError(f"is not a list of {len(LABELS)} numbers: {', '.join(LABELS)}")
    return [as_share(share, form) for share in value]


def one_of(words: tuple[str, ...]) -> Convert:
    """A function that accepts one of these words, but not "unknown", which only readers use."""
    known = frozenset(words) - {"unknown"}
    listed = ", ".join(w for w in words if w in known)

    def convert(value: Any, form: Form) -> str:
        text = as_text(value, form)
        if text not in known:
            raise ValueError(f"{text[:40]!r} is not known: use one of {listed}")
        return text

    return convert


LABELS: tuple[str, ...] = get_args(records.Label)
