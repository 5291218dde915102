"""The policy: the default holds the table of targets, and a fault is named by file, line and field."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents.policy import Brand, Features, Policy, PolicyError, Rule, parse
from agents.policy.model import Alerts, Cases, Desk, Surge
from schemas.records import Kind, Label, Visibility

DEFAULT = Path(__file__).parents[2] / "netcenter" / "policies" / "default.toml"
MODEL = f'[classifier]\nmodel = "{"a" * 64}"\n'
MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture(scope="module")
def default() -> Policy:
    return parse(DEFAULT.read_text(), 1, DEFAULT.name)


def fault(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(text, name="mine.toml")
    return str(caught.value)


def at(year: int, month: int, day: int, hour: int, minute: int, zone: str) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def due(rule: Rule, start: int, zone: str) -> int:
    assert rule.target is not None
    return Brand(name="andina", zone=zone).due(start, rule.target)


@pytest.mark.parametrize(
    ("label", "channel", "kind", "visibility", "target", "priority", "courtesy"),
    [
        ("complaint", "twitter", "post", "public", 60 * MINUTE, 1, False),
        ("complaint", "facebook", "comment", "public", 60 * MINUTE, 1, False),
        ("complaint", "facebook", "message", "private", 60 * MINUTE, 1, False),
        ("complaint", "playstore", "review", "public", 60 * MINUTE, 1, False),
        ("question", "twitter", "post", "public", 2 * HOUR, 2, False),
        ("question", "instagram", "comment", "public", 2 * HOUR, 2, False),
        ("question", "facebook", "post", "public", "same_day", 2, False),
        ("question", "youtube", "comment", "public", "same_day", 2, False),
        ("question", "playstore", "review", "public", "same_day", 2, False),
        ("question", "facebook", "message", "private", 60 * MINUTE, 2, False),
        ("question", "whatsapp", "message", "public", 60 * MINUTE, 2, False),
        ("praise", "twitter", "post", "public", 24 * HOUR, 8, True),
        ("praise", "facebook", "message", "private", 24 * HOUR, 8, True),
        ("other", "twitter", "post", "public", None, 9, False),
        ("other", "facebook", "message", "private", None, 9, False),
    ],
)
def test_the_default_policy_gives_each_message_its_target(
    default: Policy,
    label: Label,
    channel: str,
    kind: Kind,
    visibility: Visibility,
    target: object,
    priority: int,
    courtesy: bool,
) -> None:
    rule = default.rule(Features("andina", channel, kind, label, visibility, "es"))
    assert rule is not None
    assert (rule.target, rule.priority, rule.courtesy) == (target, priority, courtesy)


def test_the_default_policy_writes_out_the_settings_that_hold_anyway(default: Policy) -> None:
    assert (default.surge, default.alerts, default.cases) == (Surge(), Alerts(), Cases())
    assert default.desks == [Desk(name="care")]


def test_a_brand_that_is_not_listed_observes_in_utc_at_the_desk_care(default: Policy) -> None:
    brand = default.brand("unheard-of")
    assert (brand.mode, brand.care, brand.zone, brand.desk) == ("observe", True, "UTC", "care")


@pytest.mark.parametrize(
    ("text", "line", "field", "why"),
    [
        (MODEL + "[surge]\nwidth = 3\n", 4, "surge.width", "Extra inputs"),
        (
            MODEL + '[[brands]]\nname = "a"\nzone = "Mars/Base"\n',
            5,
            "brands.0.zone",
            "'Mars/Base' is no time zone",
        ),
        (
            MODEL + '[[brands]]\nname = "a"\n[[brands]]\nname = "b"\nmode = "loud"\n',
            7,
            "brands.1.mode",
            "'observe'",
        ),
        (MODEL + '[[rules]]\nname = "r"\ntarget = "0m"\n', 5, "rules.0.target", "no duration above zero"),
        (MODEL + '[surge]\nwindow = "soon"\n', 4, "surge.window", "no duration above zero"),
        (MODEL + "[surge]\nwindow = 30\n", 4, "surge.window", "as text"),
        ('[classifier]\nmodel = "abc"\n', 2, "classifier.model", "pattern"),
        (
            MODEL + '[[rules]]\nname = "r"\nmatch = { label = ["rant"] }\n',
            5,
            "rules.0.match.label.0",
            "'complaint'",
        ),
        ("version = 3\n" + MODEL, 1, "version", "policy apply"),
        ("", 1, "classifier", "Field required"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(text: str, line: int, field: str, why: str) -> None:
    told = fault(text)
    assert told.startswith(f"mine.toml:{line}: {field}: ")
    assert why in told


def test_every_fault_is_told_on_a_line_of_its_own() -> None:
    told = fault(MODEL + '[surge]\nwindow = "x"\nbaseline = "y"\n').splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        ["mine.toml:4", "surge.window"],
        ["mine.toml:5", "surge.baseline"],
    ]


def test_a_name_given_twice_is_told() -> None:
    assert fault(MODEL + '[[desks]]\nname = "a"\n[[desks]]\nname = "a"\n') == "mine.toml: desks: named twice: a"


def test_a_text_that_is_not_toml_is_told_with_its_line() -> None:
    told = fault("[classifier\n")
    assert told.startswith("mine.toml: not TOML: ")
    assert "line 1" in told


def test_a_question_of_noon_is_due_at_local_midnight(default: Policy) -> None:
    rule = default.rule(Features("andina", "facebook", "post", "question", "public", "es"))
    assert rule is not None
    start = at(2026, 11, 20, 12, 0, "America/Bogota")
    assert due(rule, start, "America/Bogota") == at(2026, 11, 21, 0, 0, "America/Bogota")
    assert due(rule, start, "UTC") == int(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000)


def test_a_question_a_minute_before_midnight_still_has_two_hours(default: Policy) -> None:
    rule = default.rule(Features("andina", "facebook", "post", "question", "public", "es"))
    assert rule is not None
    start = at(2026, 11, 20, 23, 59, "America/Bogota")
    assert due(rule, start, "America/Bogota") == start + 2 * HOUR


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Madrid", (2026, 3, 29), 23),
        ("Europe/Madrid", (2026, 10, 25), 25),
        ("America/Bogota", (2026, 3, 29), 24),
    ],
)
def test_the_same_day_has_23_or_25_hours_when_the_clocks_change(
    default: Policy, zone: str, day: tuple[int, int, int], hours: int
) -> None:
    rule = default.rule(Features("andina", "facebook", "post", "question", "public", "es"))
    assert rule is not None
    start = at(*day, 0, 0, zone)
    assert due(rule, start, zone) == start + hours * HOUR


def test_a_midnight_that_the_clocks_skip_is_the_moment_of_the_change(default: Policy) -> None:
    rule = default.rule(Features("andina", "facebook", "post", "question", "public", "es"))
    assert rule is not None
    # In Santiago the clocks went from 24:00 on 5 September 2026 to 01:00 on the 6th.
    start = at(2026, 9, 5, 12, 0, "America/Santiago")
    assert due(rule, start, "America/Santiago") == start + 12 * HOUR
