"""The policy: the default holds the table of targets, and what is derived from a part follows the part."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from agents.policy import Brand, Features, Policy, Rule, parse
from agents.policy.alert_policy import AlertPolicy
from agents.policy.calendar import Holiday
from agents.policy.desk_policy import Desk
from agents.policy.parsing import check
from agents.policy.policy import CasePolicy
from agents.policy.surge_policy import SurgePolicy
from netcenter.policies import DEFAULT_POLICY
from schemas.records import Kind, Label, Visibility

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture(scope="module")
def default() -> Policy:
    return parse(DEFAULT_POLICY.read_text(), 1, DEFAULT_POLICY.name)


def at(year: int, month: int, day: int, hour: int, minute: int, zone: str) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def due(rule: Rule, start: int, zone: str) -> int:
    assert rule.target is not None
    return Brand(name="andina", zone=zone).due(start, rule.target)


@pytest.mark.parametrize(
    ("label", "channel", "kind", "visibility", "target", "priority", "non_sla"),
    [
        ("complaint", "twitter", "post", "public", 60 * MINUTE, 2, False),
        ("complaint", "facebook", "comment", "public", 60 * MINUTE, 2, False),
        ("complaint", "facebook", "message", "private", 60 * MINUTE, 2, False),
        ("complaint", "playstore", "review", "public", 60 * MINUTE, 2, False),
        ("question", "twitter", "post", "public", 2 * HOUR, 3, False),
        ("question", "instagram", "comment", "public", 2 * HOUR, 3, False),
        ("question", "facebook", "post", "public", "same_day", 3, False),
        ("question", "youtube", "comment", "public", "same_day", 3, False),
        ("question", "playstore", "review", "public", "same_day", 3, False),
        ("question", "facebook", "message", "private", 60 * MINUTE, 3, False),
        ("question", "whatsapp", "message", "public", 60 * MINUTE, 3, False),
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
    non_sla: bool,
) -> None:
    rule = default.rule(Features("andina", channel, kind, label, visibility, "es"))
    assert rule is not None
    assert (rule.target, rule.priority, rule.non_sla) == (target, priority, non_sla)


def test_the_default_policy_writes_out_the_settings_that_hold_anyway(default: Policy) -> None:
    alerts = default.alerts.model_copy(update={"overdue": []})
    assert (default.surge, alerts, default.cases) == (SurgePolicy(), AlertPolicy(), CasePolicy())
    assert [(one.name, one.priority, one.overdue) for one in default.alerts.overdue] == [("urgent", 1, 1)]
    assert default.desks == [Desk(name="care")]


def test_a_brand_that_is_not_listed_observes_in_utc_at_the_desk_care(default: Policy) -> None:
    brand = default.brand("unheard-of")
    assert (brand.mode, brand.care, brand.zone, brand.desk) == ("shadow", True, "UTC", "care")


def test_the_examples_in_the_default_policys_comments_hold_when_they_are_uncommented() -> None:
    text = DEFAULT_POLICY.read_text()
    examples = re.sub(r"^#   (?=[\[\]} a-z])", "", text, flags=re.MULTILINE)
    examples = re.sub(r"^# (?=\w+ = )", "", examples, flags=re.MULTILINE).replace(
        'desk = "complaints"', 'desk = "care"'
    )
    policy, warned = check("\n".join(line for line in examples.splitlines() if "netcenter policy" not in line))
    assert [brand.name for brand in policy.brands] == ["andina", "andina-express", "rival-air"]
    assert policy.brand("andina").accounts["twitter"] == ["4100200300"]
    assert len(policy.brand("andina-express").calendar) == 3 and policy.desk("care").responsible == "ana"
    assert policy.desk("care").overflow == "backup" and [desk.name for desk in policy.desks] == ["care", "backup"]
    assert [rule.resolution for rule in policy.rules if rule.resolution] == [24 * HOUR]
    # The example's people are at work on one day of the weekend, and the window of WhatsApp is shorter than the rest of it.
    assert [(one.field, one.why[:28]) for one in warned] == [("brands.1.calendar", "the reply window of whatsapp")]


def test_a_complaint_that_many_see_goes_before_others_and_has_the_same_target(default: Policy) -> None:
    plain = Features("andina", "twitter", "post", "complaint", "public", "es", followers=180, reach=180)
    ordinary = default.rule(plain)
    assert ordinary is not None
    for seen in (plain._replace(promoted=True), plain._replace(reach=10_000), plain._replace(followers=60_000)):
        rule = default.rule(seen)
        assert rule is not None
        assert rule.priority < ordinary.priority and rule.target == ordinary.target


def test_a_copy_with_another_part_goes_by_that_part(default: Policy) -> None:
    message = Features("andina", "twitter", "post", "complaint", "public", "es")
    start = at(2026, 11, 21, 12, 0, "UTC")
    brand = Brand(name="andina", desk="first")
    held = default.model_copy(update={"brands": [brand]})
    assert held.rule(message) is not None and held.brand("andina").desk == "first"
    assert held.model_copy(update={"rules": []}).rule(message) is None
    assert held.model_copy(update={"brands": []}).brand("andina").desk == "care"
    assert held.model_copy(update={"channels": []}).reply_window("whatsapp") is None
    assert brand.due(start, HOUR) == start + HOUR
    closed = brand.model_copy(update={"holidays": [Holiday(date=date(2026, 11, 21))]})
    assert closed.due(start, HOUR) == start + 13 * HOUR


def test_an_unlisted_brand_a_desk_and_a_channel_have_defaults(default: Policy) -> None:
    assert default.desk("nowhere") == Desk(name="nowhere")
    assert default.reply_window("whatsapp") == 24 * HOUR
    assert default.reply_window("twitter") is None


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


@pytest.mark.parametrize("name", ["ACME Corp", "", "a|b", "ñ", "a\0b", "\ud800", "x" * 100_000])
def test_any_name_at_all_has_a_brand_and_a_desk(name: str) -> None:
    """They are asked for outside of what may fail: whoever asks has a record in hand, not a policy."""
    policy = parse(f'[classifier]\nmodel = "{"a" * 64}"\n')
    assert (policy.brand(name).name, policy.brand(name).care, policy.brand(name).mode) == (name, True, "shadow")
    assert (policy.desk(name).name, policy.desk(name).responsible) == (name, None)
