"""The values of fields: each function converts a file's value to the record's value, or raises ValueError(why)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, get_args

import msgspec

from schemas import records

SURROGATE = re.compile("[\ud800-\udfff]")
_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_SECONDS = {f":{second:02d}": second * 1000 for second in range(60)}
_FRACTIONS = {"Z": 0, **{f".{fraction:03d}Z": fraction for fraction in range(1000)}}
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))? ?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)


class Form(msgspec.Struct, frozen=True):
    """How values are written."""

    cells: bool
    """True: as text, in a CSV cell or a constant."""
    time_format: str | None
    """A format of `strptime`; None: RFC 3339."""


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


def as_text(value: Any, form: Form) -> str:
    """Text; in a CSV cell, a lone surrogate means that the file is not UTF-8."""
    if type(value) is not str:
        raise ValueError(f"is {json_type(value)}, not text: put it in quotes")
    if form.cells and not value.isascii() and SURROGATE.search(value):
        raise ValueError("is not UTF-8: save the file as UTF-8, or name its --encoding, such as cp1252")
    return value


def as_reference(value: Any, form: Form) -> str | None:
    """The id of another post; an empty text means that there is none."""
    return as_text(value, form) or None


def as_name(value: Any, form: Form) -> str:
    """A name in the form that records have: lower case, with a hyphen for each space."""
    return as_text(value, form).strip().lower().replace(" ", "-")


def as_time(value: Any, form: Form) -> int:
    """A time in ms since the epoch, from RFC 3339 or from the format that the user gave."""
    text = as_text(value, form)
    if form.time_format is not None:
        try:
            moment = datetime.strptime(text, form.time_format)  # noqa: DTZ007 - made UTC below where naive
        except ValueError as error:
            raise ValueError(f"{error}; mend the time or --time-format") from None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        ms = int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
    elif (plain := _plain(text)) is not None:
        ms = plain
    else:
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text[:40]!r} is no time such as 2026-11-20T14:03:00Z: write it so, or give --time-format"
            )
        date, minute, second, fraction, offset = match.groups()
        if offset is None:
            raise ValueError(f"{text!r} has no offset: add Z for UTC or one such as -05:00, or give --time-format")
        leap = second == "60"  # RFC 3339 has leap seconds, datetime has not
        try:
            moment = datetime.fromisoformat(f"{date}T{minute}:{'59' if leap else second}{offset.upper()}")
        except ValueError as error:
            raise ValueError(f"{text!r} is no time: {error}") from None
        ms = int(moment.timestamp()) * 1000 + (1000 if leap else 0)
        if fraction is not None:
            ms += int(fraction.ljust(3, "0")[:3])
    return ms


def _plain(text: str) -> int | None:
    """ms of a time in the most common forms, 2026-11-20T14:03:00Z or 2026-11-20T14:03:00.250Z; None for other forms."""
    second = _SECONDS.get(text[16:19])
    fraction = _FRACTIONS.get(text[19:])
    minute = _minute_of(text[:16]) if second is not None and fraction is not None else None
    return None if minute is None or second is None or fraction is None else minute + second + fraction


@lru_cache(maxsize=8_192)
def _minute_of(text: str) -> int | None:
    if _MINUTE.fullmatch(text) is None:
        return None
    try:
        return int(datetime.fromisoformat(f"{text}Z").timestamp()) * 1000
    except ValueError:
        return None


def as_count(value: Any, form: Form) -> int:
    """A whole number."""
    if form.cells and isinstance(value, str):
        if re.fullmatch(r"[+-]?\d{1,4000}", value, re.ASCII) is None:
            raise ValueError(f"{value[:40]!r} is not a whole number")
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
