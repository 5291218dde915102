"""A brand's calendar counts what a clerk would who looks at the wall clock once a minute, whatever the clocks do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from agents.policy import Brand
from agents.policy.calendar import DAYS, shown
from tests.support.examples import examples

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: A zone, and the day on which its clocks change: an hour on, an hour back, at midnight, by half an hour, by a day.
CHANGES = [
    ("Europe/Madrid", (2026, 3, 29)),
    ("Europe/Madrid", (2026, 10, 25)),
    ("America/New_York", (2026, 11, 1)),
    ("America/Santiago", (2026, 9, 6)),
    ("America/Santiago", (2026, 4, 5)),
    ("America/Havana", (2026, 11, 1)),
    ("Asia/Beirut", (2026, 3, 29)),
    ("Australia/Lord_Howe", (2026, 10, 4)),
    ("Australia/Lord_Howe", (2026, 4, 5)),
    ("Pacific/Apia", (2011, 12, 30)),
    ("Asia/Kathmandu", (2026, 6, 1)),
    ("UTC", (2026, 2, 28)),
]


class Interval(NamedTuple):
    """Hours as the clerk has them: days of the week from Monday 0, minutes of the day."""

    days: frozenset[int]
    opens: int
    closes: int


class Office(NamedTuple):
    """What a brand's calendar says."""

    zone: str
    hours: Sequence[Interval]
    holidays: frozenset[date]
    yearly: frozenset[date]
    """Days of every year, of any year; a holiday of one date holds against them."""
    special: dict[date, tuple[int, int]]
    """Minutes of a date on which no other hours hold."""

    @property
    def brand(self) -> Brand:
        written = [
            {"days": [DAYS[d] for d in sorted(h.days)], "from": shown(h.opens), "to": shown(h.closes)}
            for h in self.hours
        ]
        holidays: list[Any] = sorted(self.holidays)
        holidays += [f"{day:%m-%d}" for day in self.yearly]
        holidays += [{"date": day, "from": shown(a), "to": shown(b)} for day, (a, b) in self.special.items()]
        return Brand.model_validate({"name": "b", "zone": self.zone, "calendar": written, "holidays": holidays})

    def closed(self, day: date) -> bool:
        """Whether the hours of the week do not hold."""
        return (
            day in self.holidays
            or day in self.special
            or any((y.month, y.day) == (day.month, day.day) for y in self.yearly)
        )

    def local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at // 1000, ZoneInfo(self.zone))

    def is_open(self, at: int) -> bool:
        """What the clerk sees at a moment: an interval of today, or one of yesterday that runs on."""
        local = self.local(at)
        today, minute = local.date(), local.hour * 60 + local.minute
        yesterday = today - timedelta(days=1)
        for day, late in ((today, 0), (yesterday, 24 * 60)):
            if day in self.special and (day == today or not self.closed(today)):
                opens, closes = self.special[day]
                if opens <= minute + late < closes + 24 * 60 * (closes <= opens):
                    return True
        if self.closed(today):
            return False
        if not self.hours:
            return True
        for hours in self.hours:
            across = hours.closes <= hours.opens
            if today.weekday() in hours.days and hours.opens <= minute < (24 * 60 if across else hours.closes):
                return True
            if across and yesterday.weekday() in hours.days and not self.closed(yesterday) and minute < hours.closes:
                return True
        return False

    def counted(self, start: int, end: int) -> int:
        """ms, a minute at a time."""
        total = 0
        while start < end:
            until = min(end, (start // MINUTE + 1) * MINUTE)
            total += (until - start) if self.is_open(start) else 0
            start = until
        return total

    def after(self, at: int, left: int) -> int:
        """ms; when so much has counted, a minute at a time."""
        while True:
            until = (at // MINUTE + 1) * MINUTE
            if self.is_open(at):
                if left <= until - at:
                    return at + left
                left -= until - at
            at = until

    def same_day(self, at: int) -> int:
        """ms; when the last open minute of the first open day ends, or two hours that count if they last longer."""
        first = at
        while not self.is_open(first):
            first = (first // MINUTE + 1) * MINUTE
        midnight = (first // MINUTE + 1) * MINUTE
        while self.local(midnight).date() <= self.local(first).date():
            midnight += MINUTE
        while not self.is_open(midnight - MINUTE):
            midnight -= MINUTE
        return max(midnight, self.after(at, 2 * HOUR))


@st.composite
def offices(draw: st.DrawFn) -> tuple[Office, int]:
    """An office, and a moment within two days of a change of its clocks."""
    zone, day = draw(st.sampled_from(CHANGES))
    noon = datetime(*day, 12, tzinfo=ZoneInfo(zone))
    quarter = st.integers(0, 95).map(lambda n: 15 * n)
    interval = st.builds(
        Interval,
        st.frozensets(st.integers(0, 6), min_size=3),
        quarter,
        st.integers(0, 96).map(lambda n: 15 * n),
    ).filter(lambda h: h.opens != h.closes)
    days = st.integers(-2, 3).map(lambda n: (noon + timedelta(days=n)).date())
    dates = st.frozensets(days, max_size=2)
    hours = st.tuples(quarter, st.integers(0, 96).map(lambda n: 15 * n)).filter(lambda pair: pair[0] != pair[1])
    holidays, special = draw(dates), draw(st.dictionaries(days, hours, max_size=2))
    office = Office(
        zone,
        draw(st.lists(interval, max_size=3)),
        holidays - special.keys(),
        draw(st.frozensets(days, max_size=1)),
        special,
    )
    return office, int(noon.timestamp()) * 1000 + draw(st.integers(-2 * DAY, 2 * DAY))


targets = st.one_of(st.sampled_from([MINUTE, HOUR, 2 * HOUR, 24 * HOUR]), st.integers(1, 24 * HOUR))


@examples(100)
@given(offices(), targets)
def test_a_due_is_when_the_clerk_has_counted_the_target(given_: tuple[Office, int], target: int) -> None:
    office, start = given_
    assert office.brand.due(start, target) == office.after(start, target)


@examples(100)
@given(offices(), st.integers(0, 4 * DAY))
def test_what_is_counted_is_what_the_clerk_counts(given_: tuple[Office, int], length: int) -> None:
    office, start = given_
    assert office.brand.counted(start, start + length) == office.counted(start, start + length)


@examples(100)
@given(offices())
def test_the_same_day_ends_when_the_clerk_has_gone_home(given_: tuple[Office, int]) -> None:
    office, start = given_
    assert office.brand.due(start, "same_day") == office.same_day(start)


@examples(150)
@given(offices(), targets, st.integers(0, 60 * DAY))
def test_due_counted_and_after_agree(given_: tuple[Office, int], target: int, later: int) -> None:
    office, start = given_
    brand = office.brand
    due = brand.due(start, target)
    assert brand.counted(start, due) == target
    assert brand.after(start, brand.counted(start, due)) == due
    assert brand.after(start, brand.counted(start, start + later)) <= start + later
    assert brand.after(start, 0) == start
    assert brand.counted(start, start - later) == 0


@examples(150)
@given(offices(), targets, targets, st.integers(0, 40 * DAY))
def test_a_later_start_or_a_longer_target_is_never_due_earlier(
    given_: tuple[Office, int], target: int, more: int, later: int
) -> None:
    office, start = given_
    brand = office.brand
    assert brand.due(start, target) < brand.due(start, target + more)
    assert brand.due(start, target) <= brand.due(start + later, target)
    assert brand.due(start, "same_day") <= brand.due(start + later, "same_day")


@examples(150)
@given(offices(), st.integers(0, 50 * DAY), st.integers(0, 50 * DAY))
def test_counted_time_adds_up(given_: tuple[Office, int], first: int, second: int) -> None:
    office, start = given_
    brand, middle, end = office.brand, start + first, start + first + second
    assert brand.counted(start, end) == brand.counted(start, middle) + brand.counted(middle, end)
