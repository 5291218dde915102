"""Calendars by example: office hours, nights, holidays and the days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.policy import Brand
from agents.policy.zone import zone

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]
WEEK = [*WORKDAYS, "sat", "sun"]
MADRID = "Europe/Madrid"


def brand(*hours: tuple[list[str], str, str], holidays: tuple[date, ...] = (), zone: str = MADRID) -> Brand:
    calendar: list[dict[str, Any]] = [{"days": days, "from": opens, "to": closes} for days, opens, closes in hours]
    return Brand.model_validate({"name": "b", "zone": zone, "calendar": calendar, "holidays": list(holidays)})


def at(text: str, zone: str = MADRID) -> int:
    """ms of "2026-11-20 09:00" local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


OFFICE = brand((WORKDAYS, "08:00", "18:00"), holidays=(date(2026, 12, 25),))
SPLIT = brand((WORKDAYS, "08:00", "12:00"), (WORKDAYS, "13:00", "18:00"))
NIGHT = brand((["fri"], "22:00", "06:00"), holidays=(date(2026, 12, 25), date(2027, 1, 2)))


@pytest.mark.parametrize(
    ("office", "start", "target", "due"),
    [
        (OFFICE, "2026-11-20 09:00", HOUR, "2026-11-20 10:00"),
        (OFFICE, "2026-11-20 07:00", HOUR, "2026-11-20 09:00"),
        (OFFICE, "2026-11-20 17:30", HOUR, "2026-11-23 08:30"),
        (OFFICE, "2026-11-20 17:00", HOUR, "2026-11-20 18:00"),
        (OFFICE, "2026-11-20 18:00", HOUR, "2026-11-23 09:00"),
        (OFFICE, "2026-11-21 12:00", 24 * HOUR, "2026-11-25 12:00"),
        (OFFICE, "2026-12-24 17:30", HOUR, "2026-12-28 08:30"),
        (SPLIT, "2026-11-20 11:30", HOUR, "2026-11-20 13:30"),
        (SPLIT, "2026-11-20 11:00", HOUR, "2026-11-20 12:00"),
        (NIGHT, "2026-11-20 23:00", 2 * HOUR, "2026-11-21 01:00"),
        (NIGHT, "2026-11-21 05:30", HOUR, "2026-11-27 22:30"),
    ],
)
def test_a_target_runs_in_open_time_only(office: Brand, start: str, target: int, due: str) -> None:
    assert office.due(at(start), target) == at(due)


def test_a_holiday_is_closed_from_midnight_to_midnight_and_its_own_night_shift_does_not_take_place() -> None:
    # The 25th is a Friday: its night would run into the 26th. The 2nd is a Saturday: Friday's night ends at midnight.
    assert NIGHT.counted(at("2026-12-25 00:00"), at("2026-12-27 00:00")) == 0
    assert NIGHT.counted(at("2027-01-01 12:00"), at("2027-01-03 00:00")) == 2 * HOUR


HALF = Brand.model_validate(
    {
        "name": "b",
        "zone": MADRID,
        "calendar": [{"days": WORKDAYS, "from": "08:00", "to": "18:00"}],
        "holidays": [
            "12-25",
            {"date": "12-24", "from": "08:00", "to": "12:00"},
            {"date": date(2026, 12, 26), "from": "10:00", "to": "12:00"},
            {"date": date(2026, 12, 26), "from": "22:00", "to": "02:00"},
            {"date": date(2028, 12, 25), "from": "09:00", "to": "10:00"},
        ],
    }
)


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        ("2026-12-23", 10),
        ("2026-12-24", 4),
        ("2027-12-24", 4),
        ("2026-12-25", 0),
        ("2029-12-25", 0),
        ("2026-12-26", 4),
        ("2026-12-27", 2),
        ("2028-12-25", 1),
    ],
)
def test_a_date_may_have_hours_of_its_own_and_come_every_year(day: str, hours: int) -> None:
    """Half of each Christmas Eve; a Saturday with a late shift; one Christmas on which somebody works."""
    start = at(f"{day} 00:00")
    assert HALF.counted(start, start + DAY) == hours * HOUR


def test_a_target_runs_over_half_a_day_and_same_day_ends_with_it() -> None:
    assert HALF.due(at("2026-12-24 11:00"), 2 * HOUR) == at("2026-12-26 11:00")
    assert HALF.due(at("2026-12-24 08:30"), "same_day") == at("2026-12-24 12:00")


def test_a_day_of_every_year_that_few_years_have_is_that_of_those() -> None:
    leap = Brand.model_validate({"name": "b", "zone": MADRID, "holidays": ["02-29"]})
    assert [leap.counted(at(f"{year}-02-28 00:00"), at(f"{year}-03-02 00:00")) // DAY for year in (2027, 2028)] == [
        2,
        2,
    ]


def test_holidays_alone_close_a_brand_that_works_round_the_clock() -> None:
    office = brand(holidays=(date(2026, 12, 25),))
    assert office.due(at("2026-12-24 23:30"), HOUR) == at("2026-12-26 00:30")


def test_a_day_until_24_runs_into_the_next_without_a_gap() -> None:
    office = brand((WEEK, "00:00", "24:00"))
    start = at("2026-11-20 23:30")
    assert office.due(start, 30 * HOUR) == start + 30 * HOUR


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 3), ("2026-10-25", 5), ("2026-06-07", 4)],
)
def test_an_hour_that_the_clocks_skip_is_nobodys_and_one_that_they_repeat_counts_twice(day: str, hours: int) -> None:
    office = brand((WEEK, "01:00", "05:00"))
    assert office.counted(at(f"{day} 00:00"), at(f"{day} 12:00")) == hours * HOUR


def test_an_interval_that_begins_in_the_skipped_hour_opens_at_the_change() -> None:
    office = brand((WEEK, "02:30", "10:00"))
    assert office.due(at("2026-03-29 00:00"), HOUR) == at("2026-03-29 04:00")
    assert office.counted(at("2026-03-29 00:00"), at("2026-03-29 12:00")) == 7 * HOUR


def test_an_interval_within_the_skipped_hour_does_not_take_place_that_day() -> None:
    office = brand((WEEK, "02:15", "02:45"))
    assert office.due(at("2026-03-29 00:00"), 30 * MINUTE) == at("2026-03-30 02:45")


def test_an_interval_within_the_repeated_hour_takes_place_twice() -> None:
    office = brand((WEEK, "02:15", "02:45"))
    assert office.counted(at("2026-10-25 00:00"), at("2026-10-25 12:00")) == HOUR


@pytest.mark.parametrize(
    ("start", "due"),
    [
        ("2026-11-20 09:00", "2026-11-20 18:00"),
        ("2026-11-20 17:00", "2026-11-23 09:00"),
        ("2026-11-20 19:00", "2026-11-23 18:00"),
        ("2026-11-21 12:00", "2026-11-23 18:00"),
        ("2026-12-24 18:00", "2026-12-28 18:00"),
    ],
)
def test_the_same_day_is_that_of_the_first_open_moment_and_has_two_open_hours(start: str, due: str) -> None:
    assert OFFICE.due(at(start), "same_day") == at(due)


def test_the_same_day_of_a_night_shift_ends_at_midnight_and_without_a_calendar_too() -> None:
    for office in (NIGHT, brand()):
        assert office.due(at("2026-11-20 12:00"), "same_day") == at("2026-11-21 00:00")


def test_a_day_that_a_zone_left_out_ends_when_the_next_begins() -> None:
    # Samoa went from the end of 29 December 2011 to the 31st.
    eve = at("2011-12-29 12:00", "Pacific/Apia")
    assert brand(zone="Pacific/Apia").due(eve, "same_day") == eve + 12 * HOUR


def test_a_day_that_the_clocks_break_off_and_begin_again_ends_with_its_second_part() -> None:
    # In Newfoundland a minute of Sunday was followed by the last hour of Saturday, once more.
    sunday = at("2010-11-07 00:00", "America/St_Johns")
    office = brand(zone="America/St_Johns")
    assert office.due(sunday + 30_000, "same_day") == sunday + 25 * HOUR
    assert office.due(sunday - 3 * HOUR, "same_day") == sunday


def test_no_time_has_passed_where_the_end_is_not_later() -> None:
    start = at("2026-11-20 09:00")
    for office in (OFFICE, brand()):
        assert office.counted(start, start) == office.counted(start, start - HOUR) == 0
        assert office.after(start, 0) == start


def test_a_due_is_in_real_milliseconds() -> None:
    start = at("2026-11-20 17:59") + 59_999
    assert OFFICE.due(start, 2) == at("2026-11-23 08:00") + 1


def test_local_time_is_the_zones_own() -> None:
    moment = int(datetime(2026, 11, 20, 14, 3, tzinfo=UTC).timestamp() * 1000) + 250
    assert zone("America/Bogota").local(moment).isoformat() == "2026-11-20T09:03:00.250000-05:00"


@pytest.mark.parametrize("name", ["Mars/Base", "America", "", "../etc/passwd", "Europe/Madrid\0"])
def test_a_zone_that_is_none_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="is no time zone of the tz database"):
        zone(name)
