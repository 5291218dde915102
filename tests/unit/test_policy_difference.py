"""The difference of two policies in their own words."""

from __future__ import annotations

import pytest

from agents.policy import Policy, parse
from agents.policy.difference import difference, summary
from netcenter.policies import DEFAULT_POLICY

MODEL = f'[classifier]\nmodel = "{"a" * 64}"\n'


def told(old: str, new: str) -> list[str]:
    return [str(change) for change in difference(parse(MODEL + old), parse(MODEL + new))]


def rules(*names: str) -> str:
    return "".join(f'[[rules]]\nname = "{name}"\n' for name in names)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '[[rules]]\nname = "r"\ntarget = "60m"\n',
            '[[rules]]\nname = "r"\ntarget = "30m"\n',
            "rule r: target 60m -> 30m",
        ),
        (
            '[[rules]]\nname = "r"\ntarget = "2h"\n',
            '[[rules]]\nname = "r"\ntarget = "same_day"\n',
            "rule r: target 2h -> same_day",
        ),
        ('[[rules]]\nname = "r"\n', '[[rules]]\nname = "r"\nresolution = "2d"\n', "rule r: resolution none -> 48h"),
        (
            '[[rules]]\nname = "r"\nmatch = { label = ["praise"] }\n',
            '[[rules]]\nname = "r"\nmatch = { label = ["praise", "other"] }\n',
            "rule r: match.label [praise] -> [praise, other]",
        ),
        ('[[brands]]\nname = "b"\n', '[[brands]]\nname = "b"\ncare = false\n', "brand b: care true -> false"),
        (
            '[[brands]]\nname = "b"\n',
            '[[brands]]\nname = "b"\naccounts = { twitter = ["1"] }\n',
            "brand b: accounts.twitter none -> [1]",
        ),
        (
            '[[brands]]\nname = "b"\nholidays = [2026-12-25]\n',
            '[[brands]]\nname = "b"\ncalendar = [{ days = ["mon", "tue"], from = "22:00", to = "06:00" }]\nholidays = [2026-12-25]\n',
            "brand b: calendar none -> [mon tue 22:00-06:00]",
        ),
        (
            '[[brands]]\nname = "b"\nholidays = [2026-12-25]\n',
            '[[brands]]\nname = "b"\nholidays = [2026-12-26]\n',
            "brand b: holidays [2026-12-25] -> [2026-12-26]",
        ),
        (
            '[[brands]]\nname = "b"\n',
            '[[brands]]\nname = "b"\n[[brands.expected_events]]\nname = "sale"\nstart = 2026-11-27T00:00:00Z\n'
            "end = 2026-11-28T00:00:00Z\nfactor = 4.0\n",
            "brand b: expected_events none -> [sale 2026-11-27T00:00:00Z to 2026-11-28T00:00:00Z, 4 times]",
        ),
        (
            '[[brands]]\nname = "b"\nholidays = ["12-25"]\nexpected_events = [\n'
            '{ name = "sale", start = 2026-11-27T00:00:00Z, end = 2026-11-28T00:00:00Z, repeats = "yearly" }]\n',
            '[[brands]]\nname = "b"\nholidays = ["12-25"]\nexpected_events = [\n'
            '{ name = "sale", start = 2026-11-27T00:00:00Z, end = 2026-11-28T00:00:00Z, repeats = "weekly" }]\n',
            "brand b: expected_events [sale 2026-11-27T00:00:00Z to 2026-11-28T00:00:00Z, 1 times, yearly] -> "
            "[sale 2026-11-27T00:00:00Z to 2026-11-28T00:00:00Z, 1 times, weekly]",
        ),
        (
            '[[brands]]\nname = "b"\nholidays = ["12-24"]\n',
            '[[brands]]\nname = "b"\nholidays = [{ date = "12-24", from = "08:00", to = "12:00" }]\n',
            "brand b: holidays [12-24] -> [12-24 08:00-12:00]",
        ),
        ("", '[[desks]]\nname = "d"\n', "desk d: added"),
        ('[[channels]]\nname = "whatsapp"\n', "", "channel whatsapp: removed"),
        ('[cases]\nsilence = "72h"\n', '[cases]\nsilence = "48h"\n', "cases: silence 72h -> 48h"),
        ("", "[surge]\nminimum = 20\n", "surge: minimum 10 -> 20"),
    ],
)
def test_each_difference_is_one_line(old: str, new: str, said: str) -> None:
    assert told(old, new) == [said]


def test_each_condition_of_a_rule_is_one_line() -> None:
    assert told(rules("r"), rules("r") + 'match = { reach = 9, promoted = true, lang = ["es"] }\n') == [
        "rule r: match.lang none -> [es]",
        "rule r: match.reach none -> 9",
        "rule r: match.promoted none -> true",
    ]


def test_a_default_that_is_written_out_and_a_comment_are_no_difference() -> None:
    assert told("", '[alerts]\nsla_overdue = 5 # as it was\n[cases]\nno_target = "1d"\n') == []
    assert summary([]) == "no difference"


def test_a_rule_that_changed_its_place_is_told_and_no_other() -> None:
    assert told(rules("a", "b", "c", "d"), rules("d", "a", "b", "c")) == ["rule d: moved, now the first"]
    assert told(rules("a", "b", "c"), rules("b", "c", "a")) == ["rule a: moved, now after c"]


def test_an_added_rule_is_told_with_its_place() -> None:
    assert told(rules("a", "b"), rules("a", "x", "b")) == ["rule x: added, after a"]
    assert told(rules("a"), rules("x", "a")) == ["rule x: added, the first"]


def test_the_summary_counts_parts_not_fields() -> None:
    old = rules("a", "b") + '[[brands]]\nname = "x"\n'
    new = '[[rules]]\nname = "a"\npriority = 1\nnon_sla = true\n' + rules("b", "c", "d") + "[surge]\nminimum = 1\n"
    changes = difference(parse(MODEL + old), parse(MODEL + new))
    assert summary(changes) == "1 brand removed, 2 rules added, 1 rule changed, surge changed"


@pytest.mark.parametrize("edit", [("sla_overdue = 5", "sla_overdue = 4"), ('"same_day"', '"3h"')])
def test_the_default_policy_differs_from_itself_by_what_was_edited(edit: tuple[str, str]) -> None:
    text = DEFAULT_POLICY.read_text()
    default: Policy = parse(text)
    assert difference(default, default) == []
    edited = difference(default, parse(text.replace(*edit)))
    assert edited and all(str(change).endswith(edit[1].split()[-1].strip('"')) for change in edited)
