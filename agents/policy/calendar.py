"""The working hours and holidays of a brand, and the working time between two moments.

A moment counts when the brand's local time is within its working hours. Real milliseconds are counted: an hour that the
clocks skip in spring does not count, and an hour that they repeat in autumn counts twice.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date, datetime
from itertools import accumulate
from operator import sub
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from agents.policy.parts import Part
from agents.policy.zone import BLOCK, DAY, Zone

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE = 60_000
_MIDNIGHT = 24 * 60


def _clock(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError('write a time of day as text: "08:00"')
    match = re.fullmatch(r"(\d\d):(\d\d)", value, re.ASCII)
    minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else _MIDNIGHT + 1
    if minutes > _MIDNIGHT:
        raise ValueError(f'{value!r} is no time of day: write "08:00", at most "24:00"')
    return minutes


def _opening(value: Any) -> Any:
    minutes = _clock(value)
    if minutes == _MIDNIGHT:
        raise ValueError('nothing begins at "24:00": write "00:00" and the next day')
    return minutes


def shown(minutes: int) -> str:
    """Minutes since midnight, written in the file as "08:00"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _date(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d\d)-(\d\d)", value, re.ASCII)
        try:
            leap = date(2000, int(match[1]), int(match[2])) if match else None
        except ValueError:
            leap = None
        if leap is None:
            raise ValueError(
                f'{value!r} is no day of every year such as "12-25"; write one date without quotes: 2026-12-25'
            )
        return leap.month, leap.day
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError('write a date without quotes and without a time: 2026-12-25, or a day of every year: "12-25"')
    if not 1970 <= value.year <= 2099:
        raise ValueError(f"{value} is not between 1970 and 2099")
    return value


def shown_date(value: date | tuple[int, int]) -> str:
    """A date, or a day of every year, as the file writes it."""
    return value.isoformat() if isinstance(value, date) else f"{value[0]:02}-{value[1]:02}"


_DATE: dict[str, Any] = {"type": "string", "format": "date"}
_YEARLY: dict[str, Any] = {
    "type": "string",
    "pattern": "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "examples": ["12-25"],
}


def _time_of_day(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


_Opening = Annotated[
    int, BeforeValidator(_opening), PlainSerializer(shown), _time_of_day("^([01][0-9]|2[0-3]):[0-5][0-9]$", "08:00")
]
_Closing = Annotated[
    int,
    BeforeValidator(_clock),
    PlainSerializer(shown),
    _time_of_day("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "18:00", "24:00"),
]
_Date = Annotated[
    date | tuple[int, int],
    BeforeValidator(_date),
    PlainSerializer(shown_date),
    WithJsonSchema({"anyOf": [_DATE, _YEARLY]}),
]


class Hours(Part):
    """An interval of working time on some days of the week, in local time."""

    days: Annotated[list[Day], Field(min_length=1)]
    """The days on which it begins."""
    opens: Annotated[_Opening, Field(alias="from")]
    """Local time of day."""
    closes: Annotated[_Closing, Field(alias="to")]
    """Local time of day, of the next day where it is before `from`. 24:00 is the end of the day."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.opens == self.closes:
            raise ValueError('is empty: a whole day is from = "00:00", to = "24:00"')
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        """(from, to) in minutes since the midnight at which the day begins. `to` may lie in the next day."""
        return self.opens, self.closes if self.closes > self.opens else self.closes + _MIDNIGHT

    def __str__(self) -> str:
        return f"{shown(self.opens)}-{shown(self.closes)}"


class Holiday(Part):
    """A date on which the week's hours do not apply. If it has no hours of its own, nobody works on that date."""

    date: _Date
    """A date of one year, without quotes, or a day of every year, such as "12-25"."""
    opens: Annotated[_Opening | None, Field(alias="from")] = None
    """Local time of day from which people work on this date, instead of the usual hours."""
    closes: Annotated[_Closing | None, Field(alias="to")] = None
    """Local time of day until which they work, of the next day where it is before `from`."""

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        _date(value)  # This makes the error name the holiday, and not a field that the file does not have.
        return {"date": value}

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.opens is None) != (self.closes is None):
            raise ValueError("has one end only: write from and to, or neither for a day on which nobody works")
        if self.opens is not None and self.opens == self.closes:
            raise ValueError("is empty: a day on which nobody works has neither from nor to")
        return self

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> Any:
        return shown_date(self.date) if self.opens is None else handler(self)

    @property
    def minutes(self) -> tuple[int, int] | None:
        """(from, to) in minutes since the midnight at which the date begins; None where nobody works."""
        if self.opens is None or self.closes is None:
            return None
        return self.opens, self.closes if self.closes > self.opens else self.closes + _MIDNIGHT

    def __str__(self) -> str:
        if self.opens is None or self.closes is None:
            return shown_date(self.date)
        return f"{shown_date(self.date)} {shown(self.opens)}-{shown(self.closes)}"


class _OrADate:
    """Tells the JSON Schema that a list of holidays may contain a plain date."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [_DATE, _YEARLY, handler(core)]}


Holidays = list[Annotated[Holiday, _OrADate()]]


class _Block(NamedTuple):
    """The open intervals of one block, in ms."""

    opens: list[int]
    closes: list[int]
    before: list[int]
    """Open time since the block's start when each interval opens."""
    total: int

    def until(self, at: int) -> int:
        """Open time (ms) from the block's start to a moment of the block."""
        i = bisect_right(self.opens, at) - 1
        return self.before[i] + min(at, self.closes[i]) - self.opens[i] if i >= 0 else 0


class Calendar:
    """Counts the time in which a brand's people work. It computes the open intervals once for each block of 32 days."""

    def __init__(self, zone: Zone, hours: Iterable[Hours], holidays: Iterable[Holiday]) -> None:
        """Makes the calendar of a zone. Without hours every moment counts, except on holidays.

        On a holiday only its own hours count. A holiday of one date replaces a holiday of that day of every year.
        """
        week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
        for interval in hours:
            for day in interval.days:
                week[DAYS.index(day)].append(interval.minutes)
        if not any(week):
            week = [[(0, _MIDNIGHT)] for _ in DAYS]
        self._zone = zone
        self._week = week
        self._dated: dict[int, list[tuple[int, int]]] = {}
        self._yearly: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for holiday in holidays:
            when = holiday.date
            own = (
                self._dated.setdefault(when.toordinal() - _EPOCH, [])
                if isinstance(when, date)
                else self._yearly.setdefault(when, [])
            )
            if holiday.minutes is not None:
                own.append(holiday.minutes)
        self._blocks: dict[int, _Block] = {}

    def counted(self, start: int, end: int) -> int:
        """Milliseconds that count between two moments (ms); 0 where `end` is not later than `start`."""
        if end <= start:
            return 0
        first, last = start // BLOCK, end // BLOCK
        whole = sum(self._block(number).total for number in range(first, last))
        return whole + self._block(last).until(end) - self._block(first).until(start)

    def after(self, start: int, counted: int) -> int:
        """ms; the earliest moment by which `counted` ms have counted since `start` (ms); `start` itself for 0."""
        if counted <= 0:
            return start
        number = start // BLOCK
        block = self._block(number)
        left = counted + block.until(start)
        while left > block.total:
            left -= block.total
            number += 1
            block = self._block(number)
        i = bisect_left(block.before, left) - 1
        return block.opens[i] + left - block.before[i]

    def opening(self, start: int) -> int:
        """ms; the first moment at or after `start` (ms) that counts."""
        return self.after(start, 1) - 1

    def _block(self, number: int) -> _Block:
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self._worked_out(number * BLOCK)
        return block

    def _worked_out(self, start: int) -> _Block:
        opens: list[int] = []
        closes: list[int] = []
        for since, until, offset in self._zone.pieces(start, start + BLOCK):
            for opened, closed in self._local(since + offset, until + offset):
                opened, closed = opened - offset, closed - offset
                if closes and opened <= closes[-1]:
                    closes[-1] = max(closes[-1], closed)
                else:
                    opens.append(opened)
                    closes.append(closed)
        *before, total = accumulate(map(sub, closes, opens), initial=0)
        return _Block(opens, closes, before, total)

    def _local(self, start: int, end: int) -> list[tuple[int, int]]:
        """The open intervals between two local times (ms), in order and cut to these times. They may touch or
        overlap.
        """
        found = []
        days = range(
            start // DAY - 1, (end - 1) // DAY + 1
        )  # An interval that begins on the day before may last into the first day.
        own = self._holiday(days.start)
        for day in days:
            hours, own = self._week[(day + _FIRST) % 7] if own is None else own, self._holiday(day + 1)
            midnight = day * DAY
            for opens, closes in hours:
                if own is not None:
                    closes = min(closes, _MIDNIGHT)
                opened, closed = max(start, midnight + opens * _MINUTE), min(end, midnight + closes * _MINUTE)
                if opened < closed:
                    found.append((opened, closed))
        return sorted(found)

    def _holiday(self, day: int) -> list[tuple[int, int]] | None:
        """The hours of a holiday, looked up by days since the epoch; None where the week's hours apply."""
        own = self._dated.get(day)
        if own is None and self._yearly:
            when = date.fromordinal(day + _EPOCH)
            own = self._yearly.get((when.month, when.day))
        return own


_EPOCH = date(1970, 1, 1).toordinal()
_FIRST = date(1970, 1, 1).weekday()
