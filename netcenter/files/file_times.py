"""Times of files: whatever says one moment without a doubt becomes ms since the epoch; what leaves a doubt is refused.

1. A number is told by its size, because times lie between 2000 and 2099: seconds, ms or µs since 1970, or Excel's days
   since 1899-12-30, which are local time.
2. A time without an offset is local time. It is read in the zone that the user names, and refused where they name none.
   A local time that two moments have, because clocks were set back, is the first of them. One that no moment has, because
   clocks were set forward, is read by the clock as it was before.
3. Whether 03/04/2015 is in March or in April is what the user says, or else what the file's other dates leave possible.
4. A year of two digits stands last, and is one of 2000 to 2099.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from netcenter.files.options import DAY_FIRST, MONTH_FIRST, TWITTER
from netcenter.files.values import Form, as_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_SECONDS = {f":{second:02d}": second * 1000 for second in range(60)}
_FRACTIONS = {"Z": 0, **{f".{fraction:03d}Z": fraction for fraction in range(1000)}}

_CLOCK = r"(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?([AaPp])\.? ?[Mm]\.?)?"
_OFFSET = r"(?: ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d\d?)\2(\d\d?)(?:(?:[Tt]|,? ){_CLOCK}{_OFFSET})?", re.ASCII)
_YEAR_LAST = re.compile(rf"(\d\d?)([-/.])(\d\d?)\2(\d{{4}}|\d\d)(?:(?:[Tt]|,? ){_CLOCK}{_OFFSET})?", re.ASCII)
_TWITTER = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d?) (\d\d):(\d\d):(\d\d) ([+-]\d{4}) (\d{4})", re.ASCII)
_NUMBER = re.compile(r"\d{5,16}(?:\.\d+)?", re.ASCII)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: n for n, name in enumerate(_NAMES, 1)}

_FIRST, _END = 946_684_800, 4_102_444_800  # s; from 2000 to 2099
_EXCEL = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel's days are local time
_EXCEL_FIRST, _EXCEL_END = 36_526, 73_051  # days; from 2000 to 2099


class UndecidedDateError(Exception):
    """A date whose day and month could be either, while nothing has said yet which comes first."""


class ContradictoryDatesError(Exception):
    """A date that can only be read in the other order of day and month than an earlier date of the file."""


def as_time(value: Any, form: Form) -> int:
    """A time in ms since the epoch, in any form that is without doubt, or in the format that the user gave."""
    if form.time_format is None:
        if type(value) is str and (plain := _plain(value)) is not None:
            return plain
        if type(value) is int or type(value) is float:
            return _of_number(float(value), str(value), form)
    text = as_text(str(value) if type(value) in (int, float) else value, form)
    if form.time_format is not None:
        return _formatted(text.strip(), form.time_format, form)
    return _told(_with_plain_spaces(text), form)


def _with_plain_spaces(text: str) -> str:
    return text.replace("\u202f", " ").replace("\xa0", " ").strip()


def order_told_by(value: Any) -> str | None:
    """What the date of a value tells: that the day comes first, or the month; None where it tells neither."""
    match = _YEAR_LAST.fullmatch(_with_plain_spaces(value)) if isinstance(value, str) else None
    if match is None:
        return None
    one, two = int(match[1]), int(match[3])
    if one > 12 >= two:
        return DAY_FIRST
    return MONTH_FIRST if two > 12 >= one else None


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


def _told(text: str, form: Form) -> int:
    """ms of a time in one of the known forms."""
    if match := _YEAR_FIRST.fullmatch(text):
        year, _, month, day, *clock = match.groups()
        return _moment(text, (int(year), int(month), int(day)), clock, form)
    if match := _TWITTER.fullmatch(text):
        return _twitter(text, match, form)
    if match := _YEAR_LAST.fullmatch(text):
        one, _, two, year, *clock = match.groups()
        day, month = _day_and_month(text, int(one), int(two), form)
        return _moment(text, (int(year) + (2000 if len(year) == 2 else 0), month, day), clock, form)
    if _NUMBER.fullmatch(text):
        return _of_number(float(text), text, form)
    raise ValueError(f"{text[:40]!r} is no time such as 2026-11-20T14:03:00Z: write it so, or give --time-format")


def _moment(text: str, date: tuple[int, int, int], clock: list[str | None], form: Form) -> int:
    """ms of a date and the parts of a time of day; without these parts it is the local midnight."""
    hour, minute, second, fraction, half, offset = clock
    leap = second == "60"  # RFC 3339 has leap seconds, datetime has not
    try:
        hours = int(hour or 0)
        if half is not None:
            if not 1 <= hours <= 12:
                raise ValueError("hour must be in 1..12 before AM or PM")
            hours = hours % 12 + (12 if half in "Pp" else 0)
        local = datetime(*date, hours, int(minute or 0), 59 if leap else int(second or 0))  # noqa: DTZ001
        ms = _ms(local.replace(tzinfo=UTC)) - _offset(offset) if offset is not None else _local(text, local, form)
    except OverflowError:
        raise ValueError(f"{text!r} is no time: its year is out of range") from None
    except ValueError as error:
        told = str(error)
        raise ValueError(told if told.startswith(repr(text)) else f"{text!r} is no time: {told}") from None
    return ms + (1000 if leap else 0) + int((fraction or "").ljust(3, "0")[:3])


def _local(text: str, local: datetime, form: Form) -> int:
    """ms of a local time in the user's zone."""
    if form.zone is None:
        raise ValueError(
            f"{text!r} has no offset: add Z for UTC or one such as -05:00, or give the zone of all such times, such as "
            "--zone America/Bogota"
        )
    return _ms(local.replace(tzinfo=form.zone))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _offset(text: str) -> int:
    """ms of "Z", "UTC", "-05:00", "-0500" or "-05"."""
    if text[0] not in "+-":
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 23 or minutes > 59:
        raise ValueError(f"{text} is no offset from UTC")
    return (hours * 60 + minutes) * (-60_000 if text[0] == "-" else 60_000)


def _day_and_month(text: str, one: int, two: int, form: Form) -> tuple[int, int]:
    order = form.dates.order
    if min(one, two) > 12:
        raise ValueError(f"{text!r} is no date: neither {one} nor {two} is a month")
    if order is None and one != two:
        told = order_told_by(text)
        if told is not None:
            form.dates.learn(told)
        elif not form.dates.asked:
            raise UndecidedDateError(text)
        else:
            raise ValueError(
                f"{text!r} is day {one} of month {two} or day {two} of month {one}, and the first rows do not tell: give "
                f"--dates {DAY_FIRST} or --dates {MONTH_FIRST}"
            )
        order = told
    day, month = (two, one) if order == MONTH_FIRST else (one, two)
    if month > 12:
        first, other = ("month", "day") if order == MONTH_FIRST else ("day", "month")
        if form.dates.learnt:
            raise ContradictoryDatesError(
                f"{text!r} has the {other} first, and an earlier date of the file the {first}: say which of the two is right: "
                f"--dates {DAY_FIRST} or --dates {MONTH_FIRST}"
            )
        raise ValueError(f"{text!r} is no date with the {first} first, as --dates says")
    return day, month


def _twitter(text: str, match: re.Match[str], form: Form) -> int:
    month, day, hour, minute, second, offset, year = match.groups()
    if month not in _MONTHS:
        raise ValueError(f"{text!r} is no time: {month} is no month")
    return _moment(text, (int(year), _MONTHS[month], int(day)), [hour, minute, second, None, None, offset], form)


def _formatted(text: str, time_format: str, form: Form) -> int:
    """ms of a time in the format that the user gave."""
    if time_format == TWITTER:
        match = _TWITTER.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text[:40]!r} is no time such as Tue Feb 24 11:35:52 +0000 2015; mend the time or --time-format"
            )
        return _twitter(text, match, form)
    try:
        moment = datetime.strptime(text, time_format)  # noqa: DTZ007 - local in the user's zone where naive
    except ValueError as error:
        raise ValueError(f"{error}; mend the time or --time-format") from None
    try:
        return _local(text, moment, form) if moment.tzinfo is None else _ms(moment)
    except OverflowError:
        raise ValueError(f"{text!r} is no time: its year is out of range") from None


def _of_number(number: float, text: str, form: Form) -> int:
    """ms of a time that is a number: its size says what it counts."""
    if _EXCEL_FIRST <= number < _EXCEL_END:
        return _local(text, _EXCEL + timedelta(milliseconds=round(number * 86_400_000)), form)
    for units in (1, 1_000, 1_000_000):
        if _FIRST <= number / units < _END:
            return int(text) * 1000 // units if text.isdecimal() else round(number * 1000 / units)
    raise ValueError(
        f"{text[:40]} is no time: a number is seconds, milliseconds or microseconds since 1970, or Excel's days, between "
        "2000 and 2099"
    )
