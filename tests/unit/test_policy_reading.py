"""A policy's text: each fault is named by file, line and field, and what is hardly meant is warned of."""

from __future__ import annotations

from datetime import date

import pytest

from agents.policy import PolicyError, parse
from agents.policy.parsing import Remark, check

MODEL = f'[classifier]\nmodel = "{"a" * 64}"\n'
DESK = '[[desks]]\nname = "care"\n'
BRAND = '[[brands]]\nname = "a"\n'
RULE = '[[rules]]\nname = "r"\n'


def fault(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(text, name="mine.toml")
    return str(caught.value)


def faults_when_checked(text: str) -> list[Remark]:
    with pytest.raises(PolicyError) as caught:
        check(text, name="mine.toml")
    return caught.value.remarks


def warned(text: str) -> list[Remark]:
    return check(MODEL + DESK + text).warnings


@pytest.mark.parametrize(
    ("text", "line", "field", "why"),
    [
        ("[surge]\nwidth = 3\n", 4, "surge.width", "is not known here; known are minimum, rarity, "),
        ("[surge]\nrarety = 3\n", 4, "surge.rarety", "is not known here: did you mean rarity?"),
        ("[desk]\n", 3, "desk", "is not known here: did you mean desks?"),
        ("[desk.care]\n", 3, "desk", "is not known here: did you mean desks?"),
        (BRAND + "accounts = { twitter = [1] }\n", 5, "brands.0.accounts.twitter.0", "write text in quotes"),
        (BRAND + '[brands.accounts]\nfb = "1"\n', 6, "brands.0.accounts.fb", "write a list"),
        (BRAND + 'care = "no"\n', 5, "brands.0.care", "write true or false"),
        (BRAND + 'zone = "Mars/Base"\n', 5, "brands.0.zone", "'Mars/Base' is no time zone"),
        (BRAND + '[[brands]]\nname = "b"\nmode = "loud"\n', 7, "brands.1.mode", "'loud' is none of 'shadow', 'live'"),
        ("[[brands]]\n", 3, "brands.0.name", "is missing"),
        (
            '[[brands]]\nname = "A b"\n',
            4,
            "brands.0.name",
            "does not have the form ^[a-z0-9_-]+$: write its key, 'a-b'",
        ),
        (RULE + 'target = "0m"\n', 5, "rules.0.target", "no duration above zero"),
        (RULE + 'resolution = "4000d"\n', 5, "rules.0.resolution", "'4000d' is more than ten years"),
        (RULE + "priority = 0\n", 5, "rules.0.priority", "0 is below 1"),
        (RULE + 'match = { label = ["rant"] }\n', 5, "rules.0.match.label.0", "'rant' is none of 'complaint', "),
        (RULE + 'match = { kind = ["post",\n"tweet"] }\n', 6, "rules.0.match.kind.1", "'tweet' is none of "),
        (RULE + "[rules.match]\nreach = -1\n", 6, "rules.0.match.reach", "-1 is below 0"),
        ("rules = 3\n", 3, "classifier.rules", "is not known here"),
        ('[surge]\nrarity = "soon"\n', 4, "surge.rarity", "no duration above zero"),
        ("[surge]\nrarity = 30\n", 4, "surge.rarity", "as text"),
        ('[surge]\nrarity = "30m"\n', 4, "surge.rarity", "30m is below 60m"),
        ("[surge]\nload_ratio = 1.0\n", 4, "surge.load_ratio", "1.0 is not above 1"),
        (
            BRAND + "expected_events = [{ name = 'x', start = 2026-11-20T08:00:00, end = 2026-11-21T08:00:00Z }]\n",
            5,
            "brands.0.expected_events.0.start",
            "write a date and a time with its zone",
        ),
        (
            BRAND + "expected_events = [{ name = 'x', start = 2026-11-22T08:00:00Z, end = 2026-11-21T08:00:00Z }]\n",
            5,
            "brands.0.expected_events.0",
            "end is not after start",
        ),
        ("[cases]\nwarn_at = [50,\n 100]\n", 5, "cases.warn_at.1", "100 is above 99"),
        (
            BRAND + 'calendar = [{ days = ["mon"], from = "08:00", to = "25:00" }]\n',
            5,
            "brands.0.calendar.0.to",
            "'25:00' is no time of day",
        ),
        (
            BRAND
            + 'calendar = [\n{ days = ["mon"], from = "08:00", to = "18:00" },\n{ days = ["may"], from = "08:00", to = "18:00" },\n]\n',
            7,
            "brands.0.calendar.1.days.0",
            "'may' is none of 'mon', ",
        ),
        (
            BRAND + '[[brands.calendar]]\ndays = []\nfrom = "08:00"\nto = "18:00"\n',
            6,
            "brands.0.calendar.0.days",
            "is empty",
        ),
        (
            BRAND + 'calendar = [\n{ days = ["mon"], from = "24:00", to = "18:00" }]\n',
            6,
            "brands.0.calendar.0.from",
            'nothing begins at "24:00"',
        ),
        (
            BRAND + 'calendar = [\n{ days = ["mon"], from = "08:00", to = "08:00" }]\n',
            6,
            "brands.0.calendar.0",
            "is empty: a whole day is",
        ),
        (BRAND + "holidays = [\n2026-12-25,\n2026-12-26T00:00:00]\n", 7, "brands.0.holidays.1", "2026-12-25"),
        (BRAND + "holidays = [9999-12-25]\n", 5, "brands.0.holidays.0", "9999-12-25 is not between 1970 and 2099"),
        (BRAND + 'holidays = ["2026-12-25"]\n', 5, "brands.0.holidays.0", "without quotes"),
        (BRAND + 'holidays = ["02-30"]\n', 5, "brands.0.holidays.0", "no day of every year"),
        (BRAND + "holidays = [1225]\n", 5, "brands.0.holidays.0", 'a day of every year: "12-25"'),
        (
            BRAND + 'holidays = [\n"12-25",\n{ date = "12-24", from = "08:00" }]\n',
            7,
            "brands.0.holidays.1",
            "one end only",
        ),
        (
            BRAND + 'holidays = [{ date = "12-24", from = "08:00", to = "8" }]\n',
            5,
            "brands.0.holidays.0.to",
            "no time of day",
        ),
        (
            BRAND + 'holidays = [\n2026-12-24,\n{ date = 2026-12-24, from = "08:00", to = "12:00" }]\n',
            7,
            "brands.0.holidays.1",
            "2026-12-24 08:00-12:00 stands beside 2026-12-24 of holidays.0",
        ),
        (
            BRAND + 'holidays = [\n{ date = "12-24", from = "08:00", to = "12:00" },\n'
            '{ date = "12-24", from = "11:00", to = "13:00" }]\n',
            7,
            "brands.0.holidays.1",
            "12-24 11:00-13:00 overlaps 12-24 08:00-12:00",
        ),
        (
            BRAND + "expected_events = [\n{ name = 'x', start = 2026-11-20T08:00:00Z, end = 2026-11-22T08:00:00Z,"
            " repeats = 'daily' }]\n",
            6,
            "brands.0.expected_events.0",
            "lasts longer than it takes to come again",
        ),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(text: str, line: int, field: str, why: str) -> None:
    told = fault(MODEL + text)
    assert told.startswith(f"mine.toml:{line}: {field}: ")
    assert why in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "line", "field", "why"),
    [
        ('[classifier]\nmodel = "abc"\n', 2, "classifier.model", "does not have the form"),
        ("version = 3\n" + MODEL, 1, "version", "policy apply"),
        ("", 1, "classifier", "is missing"),
        ("[classifier\n", 1, "column 12", "not TOML: Expected ']'"),
        ('a = 1\nb = "\n', 2, "column 6", "not TOML: "),
        ("a = [1,\n2\n", 2, "the end", "not TOML: "),
        ("[a]\nb = 1\nb = 2\n", 3, "column 6", "not TOML: Cannot overwrite"),
    ],
)
def test_a_text_that_is_no_policy_is_told_with_its_line(text: str, line: int, field: str, why: str) -> None:
    told = fault(text)
    assert told.startswith(f"mine.toml:{line}: {field}: ")
    assert why in told


def test_every_fault_is_told_on_a_line_of_its_own() -> None:
    told = fault(MODEL + '[surge]\nrarity = "x"\nsilent = "y"\n').splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        ["mine.toml:4", "surge.rarity"],
        ["mine.toml:5", "surge.silent"],
    ]


@pytest.mark.parametrize("table", ["brands", "rules", "desks", "channels"])
def test_a_name_given_twice_is_told_where_it_is_given_again(table: str) -> None:
    text = MODEL + f'[[{table}]]\nname = "a"\n[[{table}]]\nname = "b"\n[[{table}]]\nname = "a"\n'
    assert fault(text) == f"mine.toml:8: {table}.2.name: 'a' is the name of {table}.0 already"


def calendar(*intervals: str) -> str:
    return MODEL + BRAND + "calendar = [\n" + "".join(f"{{ {i} }},\n" for i in intervals) + "]\n"


@pytest.mark.parametrize(
    ("intervals", "line", "told"),
    [
        (
            ('days = ["mon", "tue"], from = "08:00", to = "18:00"', 'days = ["tue"], from = "17:00", to = "20:00"'),
            7,
            "calendar.1: 17:00-20:00 on tue overlaps 08:00-18:00 of calendar.0",
        ),
        (
            ('days = ["mon"], from = "22:00", to = "06:00"', 'days = ["tue"], from = "05:59", to = "10:00"'),
            7,
            "calendar.1: 05:59-10:00 on tue overlaps 22:00-06:00 of calendar.0, which begins on mon",
        ),
        (
            ('days = ["mon"], from = "00:00", to = "08:00"', 'days = ["sun"], from = "20:00", to = "00:30"'),
            7,
            "calendar.1: 20:00-00:30 on sun overlaps 00:00-08:00 of calendar.0, which begins on mon",
        ),
        (('days = ["mon", "mon"], from = "08:00", to = "18:00"',), 6, "calendar.0: mon is named twice"),
    ],
)
def test_intervals_that_overlap_are_told_which_and_on_which_day(
    intervals: tuple[str, ...], line: int, told: str
) -> None:
    assert fault(calendar(*intervals)) == f"mine.toml:{line}: brands.0.{told}"


def test_intervals_that_touch_do_not_overlap() -> None:
    everyday = 'days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]'
    text = calendar(
        f'{everyday}, from = "00:00", to = "08:00"',
        f'{everyday}, from = "20:00", to = "00:00"',
        f'{everyday}, from = "08:00", to = "20:00"',
    )
    assert len(parse(text).brands[0].calendar) == 3


def test_a_calendar_that_stays_closed_for_a_year_is_told() -> None:
    fridays = ", ".join(f"2026-{m:02}-{d:02}" for m in range(1, 13) for d in range(1, 29))
    ends = "2026-01-30, 2026-05-29, 2026-07-31, 2026-10-30, 2027-01-01"
    text = calendar('days = ["fri"], from = "08:00", to = "18:00"') + f"holidays = [{fridays}, {ends}]\n"
    assert fault(text) == "mine.toml:8: brands.0.holidays: nothing is open in the year from 2026-01-01 on"
    assert parse(text.replace(", 2027-01-01", "")).brands[0].calendar


def test_holidays_and_events_that_are_all_past_are_warned_of_and_what_comes_again_is_not() -> None:
    text = MODEL + '[[desks]]\nname = "care"\n' + BRAND + "holidays = [2019-12-25, 2020-01-01{more}]\n"
    text += "expected_events = [{{ name = 'x', start = 2019-11-20T08:00:00Z, end = 2019-11-21T08:00:00Z{repeats} }}]\n"
    today = date(2026, 11, 29)

    def told(more: str = "", repeats: str = "", day: date | None = today) -> list[str]:
        found = check(text.format(more=more, repeats=repeats), today=day).warnings
        return [f"{r.field}: {r.why.partition(':')[0]}" for r in found]

    holidays = "brands.0.holidays: all are past, the last on 2020-01-01"
    events = "brands.0.expected_events: all are past, the last on 2019-11-21"
    assert told() == [holidays, events]
    assert told(more=', "12-25"', repeats=", repeats = 'yearly'") == []
    assert told(more=", 2026-11-29") == [events]
    assert told(day=None) == []


def test_a_target_that_a_calendar_would_stretch_over_ten_years_is_told() -> None:
    text = calendar('days = ["mon"], from = "08:00", to = "08:30"')
    rule = RULE + 'target = "365h"\n'
    assert fault(text + rule) == (
        "mine.toml:5: brands.0.calendar: 0.5 hours a week: the 365h of rule 'r' would take over ten years"
    )
    assert parse(text + rule + 'match = { brand = ["b"] }\n').rules


def test_a_policy_without_a_desk_runs_and_is_not_put_in_force() -> None:
    assert parse(MODEL).desk("care").name == "care"
    ((line, field, why),) = faults_when_checked(MODEL)
    assert (line, field) == (1, "desks") and "no desk is listed" in why


def test_a_brand_and_a_rule_whose_desk_is_not_listed_are_told() -> None:
    text = MODEL + '[[desks]]\nname = "night"\n' + BRAND + BRAND.replace('"a"', '"b"') + 'desk = "nihgt"\n'
    text += RULE + 'desk = "day"\n[[brands]]\nname = "c"\ncare = false\n'
    assert faults_when_checked(text) == [
        (5, "brands.0.desk", "care (the default) is not listed under desks; listed are night"),
        (9, "brands.1.desk", "nihgt is not listed under desks; listed are night"),
        (12, "rules.0.desk", "day is not listed under desks; listed are night"),
    ]


@pytest.mark.parametrize(
    ("earlier", "later", "why"),
    [
        ('match = { label = ["complaint", "question"] }', 'match = { label = ["question"] }', "all that it matches"),
        ('match = { label = ["complaint"] }', 'match = { label = ["complaint"], reach = 9 }', "all that it matches"),
        ("match = { reach = 5 }", 'match = { lang = ["es"], reach = 9, promoted = true }', "all that it matches"),
        ("priority = 9", 'match = { label = ["complaint"] }', "everything"),
        ("match = { reach = 0 }", 'match = { label = ["complaint"] }', "everything"),
        ('match = { visibility = ["private", "public"] }', "priority = 9", "everything"),
    ],
)
def test_a_rule_that_can_never_match_is_warned_of(earlier: str, later: str, why: str) -> None:
    text = f'[[rules]]\nname = "one"\n{earlier}\n[[rules]]\nname = "two"\n{later}\n'
    assert warned(text) == [(8, "rules.1", f"'two' never matches: 'one' before it matches {why}")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('match = { label = ["complaint"] }', 'match = { label = ["complaint", "question"] }'),
        ('match = { label = ["complaint"], reach = 9 }', 'match = { label = ["complaint"], reach = 8 }'),
        ('match = { label = ["complaint"] }', "priority = 9"),
        ("match = { promoted = true }", "match = { promoted = false }"),
        ("match = { uncertain = false }", "priority = 9"),
        ('match = { channel = ["twitter"] }', 'match = { kind = ["post"] }'),
    ],
)
def test_a_rule_that_can_match_is_not_warned_of(earlier: str, later: str) -> None:
    assert warned(f'[[rules]]\nname = "one"\n{earlier}\n[[rules]]\nname = "two"\n{later}\n') == []


def test_settings_that_nothing_follows_from_are_warned_of() -> None:
    text = '[[brands]]\nname = "rival"\ncare = false\nzone = "America/Bogota"\ncomments = "all"\n'
    text += RULE + 'match = { brand = ["rival"] }\ntarget = "30s"\n[[desks]]\nname = "spare"\n'
    assert warned(text) == [
        (9, "brands.0.comments", "is for cases, and with care = false this brand has none"),
        (12, "rules.0.match.brand", "'r' is for cases, and its brands have care = false"),
        (13, "rules.0.target", "30s is less than a minute: nobody answers so fast"),
        (14, "desks.1", "no brand, no rule and no other desk names spare: work comes to it by a transfer only"),
    ]


def test_a_setting_of_an_earlier_release_is_accepted_with_a_warning_and_changes_nothing() -> None:
    old = '[surge]\nsustained = "5h"\njump = "soon"\nminimum = 12\n'
    assert parse(MODEL + old) == parse(MODEL + "[surge]\nminimum = 12\n")
    found = warned(old)
    assert [(w.line, w.field) for w in found] == [(6, "surge.sustained"), (7, "surge.jump")]
    assert all("`rarity`" in w.why for w in found)
