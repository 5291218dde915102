"""The JSON Schema for editors accepts what the models accept, and tells slips as they do."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from agents.policy import PolicyError, parse
from agents.policy.schema import schema
from netcenter.demo.story import STORY_POLICY
from netcenter.policies import DEFAULT_POLICY

ROOT = Path(__file__).parents[2]
POLICIES = [
    DEFAULT_POLICY,
    STORY_POLICY,
    ROOT / "deploy" / "k8s" / "base" / "policy.toml",
]
MODEL = f'[classifier]\nmodel = "{"a" * 64}"\n'
EVERYTHING = (
    MODEL
    + """
[[brands]]
name = "a"
care = true
mode = "live"
zone = "America/Bogota"
desk = "care"
names = ["A"]
comments = "all"
automatic_apps = ["bot"]
calendar = [{ days = ["mon", "sun"], from = "22:00", to = "06:00" }, { days = ["wed"], from = "00:00", to = "24:00" }]
holidays = [2026-12-25, "12-26", { date = "12-24", from = "08:00", to = "12:00" }]
hidden = "keep"
accounts.twitter = ["1"]

[[rules]]
name = "r"
target = "same_day"
non_sla = true
priority = 9
desk = "care"
resolution = "01h"
skills = ["baggage"]

[rules.match]
brand = ["a"]
channel = ["twitter"]
kind = ["post"]
label = ["praise"]
visibility = ["public"]
lang = ["es"]
followers = 1
reach = 0
promoted = false
uncertain = true

[[desks]]
name = "care"
offer_timeout = "5m"
answer_within = "30m"
same_operator = "7d"
wait_frees = false
weights = { whatsapp = 2, complaint = 3 }
ladder = { operator = 40, responsible = 60, lead = 80 }
responsible = "ana"
lead = "luis"
holding = { templates = { es = "wait-es", any = "wait" }, closed = { any = "closed" }, at = 25, per_hour = 60 }
overflow = "night"
crisis_desk = "night"

[[desks]]
name = "night"

[[channels]]
name = "whatsapp"
reply_window = "24h"
"""
)


def as_editors_hold_it(value: Any) -> Any:
    """Dates and times of TOML are text to a JSON Schema."""
    if isinstance(value, dict):
        return {key: as_editors_hold_it(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_editors_hold_it(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


def slips(text: str) -> list[str]:
    """What an editor would underline."""
    validator = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())
    return [error.message for error in validator.iter_errors(as_editors_hold_it(tomllib.loads(text)))]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_our_own_policies_are_valid(path: Path) -> None:
    assert slips(path.read_text()) == []


def test_a_policy_that_says_everything_is_valid_for_both() -> None:
    assert slips(EVERYTHING) == []
    assert parse(EVERYTHING).brand("a").desk == "care"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('mode = "live"', 'mode = "loud"'),
        ('from = "22:00"', 'from = "24:00"'),
        ('to = "06:00"', 'to = "6:00"'),
        ('days = ["wed"]', "days = []"),
        ("2026-12-25", '"christmas"'),
        ('"12-26"', '"26.12."'),
        ('date = "12-24"', 'day = "12-24"'),
        ('to = "12:00"', 'to = "noon"'),
        ('hidden = "keep"', 'hidden = "drop"'),
        ('target = "same_day"', 'target = "0h"'),
        ('resolution = "01h"', "resolution = 3600"),
        ("priority = 9", "priority = 10"),
        ("reach = 0", "reach = -1"),
        ("promoted = false", 'promoted = "no"'),
        ('reply_window = "24h"', 'reply_windows = "24h"'),
        ('accounts.twitter = ["1"]', "accounts.twitter = [1]"),
        ('name = "whatsapp"', 'name = "Whats App"'),
        ('name = "whatsapp"\n', ""),
        ("complaint = 3", "complaint = 0"),
        ("wait_frees = false", 'wait_frees = "no"'),
        ("lead = 80", "lead = 100"),
        ("lead = 80", "head = 80"),
        ('es = "wait-es", any = "wait"', ""),
        ("per_hour = 60", "per_hour = 0"),
        ('overflow = "night"', 'overflow = "The night"'),
        ("[classifier]", "version = 1\n[classifier]"),
    ],
)
def test_a_slip_is_told_by_the_editor_as_by_the_check(right: str, wrong: str) -> None:
    text = EVERYTHING.replace(right, wrong, 1)
    assert text != EVERYTHING
    assert slips(text)
    with pytest.raises(PolicyError):
        parse(text)


def test_every_field_is_described_and_shows_its_default_as_it_is_written() -> None:
    parts = {"Policy": schema(), **schema()["$defs"]}
    fields = {f"{name}.{field}": said for name, part in parts.items() for field, said in part["properties"].items()}
    assert [name for name, part in parts.items() if not part.get("description")] == []
    # One that is a table of its own is described there.
    assert [name for name, said in fields.items() if not (said.get("description") or "$ref" in said)] == []
    assert fields["CasePolicy.silence"]["default"] == "72h"
    assert fields["SurgePolicy.calm"]["default"] == "30m"
    assert "default" not in fields["Rule.target"]
