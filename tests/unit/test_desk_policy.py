"""The settings of desks and reply windows: what contradicts itself is a fault, and what is hardly meant is warned of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.policy import Brand, PolicyError, parse
from agents.policy.difference import difference
from agents.policy.parsing import Remark, check

MODEL = f'[classifier]\nmodel = "{"a" * 64}"\n'
ROUTES = '[[alerts.routes]]\nname = "r"\nreceivers = ["webhook"]\n'
WORKDAYS = 'calendar = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "09:00", to = "18:00" }]\n'
WINDOW = '[[channels]]\nname = "whatsapp"\nreply_window = "24h"\n'
HOUR = 3_600_000


def desks(**settings: str) -> str:
    """The desks of these names, each with its settings."""
    return MODEL + ROUTES + "".join(f'[[desks]]\nname = "{name}"\n{more}\n' for name, more in settings.items())


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(PolicyError) as caught:
        check(text)
    return [(one.field, one.why) for one in caught.value.remarks]


def warned(text: str) -> list[Remark]:
    return check(text).warnings


@pytest.mark.parametrize("field", ["overflow", "crisis_desk"])
def test_a_desk_to_which_work_is_handed_and_that_is_not_listed_is_a_fault_with_its_line(field: str) -> None:
    text = desks(care=f'{field} = "nihgt"', night="")
    assert faults(text) == [(f"desks.0.{field}", "nihgt is not listed under desks; listed are care, night")]
    assert parse(text).desk("care").name == "care"


@pytest.mark.parametrize(
    ("text", "field", "why"),
    [
        (desks(care='overflow = "care"'), "desks.0.overflow", "care is this desk: leave it out"),
        (desks(care='crisis_desk = "care"'), "desks.0.crisis_desk", "care is this desk: leave it out"),
        (
            desks(care='overflow = "b"', b='overflow = "care"'),
            "desks.0.overflow",
            "hands work round: care to b to care",
        ),
        (
            desks(x='overflow = "a"', a='overflow = "b"', b='overflow = "c"', c='overflow = "a"', care=""),
            "desks.1.overflow",
            "hands work round: a to b to c to a",
        ),
    ],
)
def test_desks_that_hand_work_round_in_a_circle_are_one_fault(text: str, field: str, why: str) -> None:
    ((found, said),) = faults(text)
    assert found == field and said.startswith(why)


@pytest.mark.parametrize(
    "text",
    [
        desks(care='overflow = "b"\ncrisis_desk = "c"', b='overflow = "c"', c=""),
        desks(care='crisis_desk = "team"', team='overflow = "care"'),
        desks(care='crisis_desk = "b"', b='crisis_desk = "care"'),
    ],
)
def test_desks_that_hand_work_on_without_a_circle_are_no_fault(text: str) -> None:
    """What a crisis team cannot take of its own may go back to the desk whose crises it works on."""
    assert warned(text) == []


@pytest.mark.parametrize("field", ["templates", "closed"])
def test_a_holding_reply_in_a_language_that_the_classifier_does_not_name_is_a_fault(field: str) -> None:
    texts = {"templates": 'es = "t"', "closed": 'und = "t"'} | {field: 'fr = "attente"'}
    holding = ", ".join(f"{name} = {{ {said} }}" for name, said in texts.items())
    ((found, why),) = faults(desks(care=f"holding = {{ {holding} }}"))
    assert found == f"desks.0.holding.{field}.fr"
    assert why == "'fr' is no language of the classifier: known are es, pt, en, und, any"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (desks(care='lead = "luis"'), ["desks.0.lead"]),
        (desks(care='lead = "luis"\nresponsible = "ana"'), []),
        (desks(care="ladder = { operator = 40 }", night="ladder = { operator = 40 }\n" + '[[rules]]\nname = "r"\ndesk = "night"'),
         ["desks.0.ladder"]),
        (desks(care='ladder = { operator = 40 }\nresponsible = "ana"'), []),
        (desks(care='overflow_after = "5m"'), ["desks.0.overflow_after"]),
        (desks(care='overflow_after = "5m"\noverflow = "night"', night=""), []),
    ],
)  # fmt: skip
def test_a_ladder_without_people_and_a_time_that_nothing_waits_for_are_warned_of_once(
    text: str, found: list[str]
) -> None:
    assert [one.field for one in warned(text)] == found


def test_a_reply_window_that_closes_before_answers_are_due_is_warned_of_with_an_example() -> None:
    text = desks(care="") + WINDOW + '[[rules]]\nname = "r"\ntarget = "60m"\n'
    (told,) = warned(text + '[[brands]]\nname = "a"\nzone = "America/Bogota"\n' + WORKDAYS)
    assert told.field == "brands.0.calendar"
    assert told.why == (
        "the reply window of whatsapp (24h) closes before some answers are due: a message of Fri 18:00 is due on Mon 10:00 "
        "(rule 'r', 60m), and cannot be answered after Sat 18:00"
    )


@pytest.mark.parametrize(
    "changed",
    [
        ('reply_window = "24h"', 'reply_window = "7d"'),
        (WORKDAYS, ""),
        ('target = "60m"', 'match = { channel = ["twitter"] }\ntarget = "60m"'),
        ('target = "60m"', 'match = { brand = ["b"] }\ntarget = "60m"'),
        ('target = "60m"', 'target = "60m"\nnon_sla = true'),
        ('target = "60m"\n', ""),
        ('name = "a"', 'name = "a"\ncare = false'),
    ],
)
def test_a_reply_window_that_holds_is_not_warned_of(changed: tuple[str, str]) -> None:
    text = desks(care="") + WINDOW + '[[rules]]\nname = "r"\ntarget = "60m"\n[[brands]]\nname = "a"\n' + WORKDAYS
    assert any("reply window" in one.why for one in warned(text))
    assert not any("reply window" in one.why for one in warned(text.replace(*changed)))


def at(day: int, hour: int, minute: int = 0) -> int:
    """ms; a moment of November 2026, whose 20th is a Friday, in UTC."""
    return int(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("start", "closes", "by"),
    [
        (at(20, 17, 30), None, at(23, 9, 30)),
        (at(20, 17, 30), at(24, 0), at(23, 9, 30)),
        (at(20, 17, 30), at(21, 17, 30), at(20, 18)),
        (at(20, 17, 30), at(20, 17, 50), at(20, 17, 50)),
        (at(20, 18, 30), at(21, 18, 30), at(21, 18, 30)),
    ],
)
def test_an_answer_is_kept_within_the_reply_window_and_the_working_time(
    start: int, closes: int | None, by: int
) -> None:
    brand = parse(MODEL + '[[brands]]\nname = "a"\n' + WORKDAYS).brand("a")
    assert brand.answer_by(start, brand.due(start, HOUR), closes) == by


def test_without_a_calendar_an_answer_is_due_by_the_earlier_of_due_and_window() -> None:
    assert Brand(name="a").answer_by(0, 2 * HOUR, HOUR) == HOUR
    assert Brand(name="a").answer_by(0, HOUR, 2 * HOUR) == HOUR


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", 'responsible = "ana"', ["desk care: responsible none -> ana"]),
        ("", "ladder = { responsible = 60 }", ["desk care: ladder.responsible 75 -> 60"]),
        (
            "",
            'holding = { templates = { es = "wait-es" }, at = 30 }',
            ["desk care: holding.templates.es none -> wait-es", "desk care: holding.at none -> 30"],
        ),
        (
            'holding = { templates = { es = "wait-es" } }',
            'holding = { templates = { es = "wait-es", pt = "wait-pt" }, again = "48h" }',
            ["desk care: holding.templates.pt none -> wait-pt", "desk care: holding.again 24h -> 48h"],
        ),
        ("", "weights = { whatsapp = 2 }", ["desk care: weights.whatsapp none -> 2"]),
        ("", 'overflow = "night"', ["desk care: overflow none -> night"]),
        ("", 'answer_within = "20m"', ["desk care: answer_within 30m -> 20m"]),
        ("", "wait_frees = false", ["desk care: wait_frees true -> false"]),
    ],
)
def test_each_difference_of_a_desk_is_one_line_with_its_field(old: str, new: str, said: list[str]) -> None:
    found = [str(one) for one in difference(parse(desks(care=old, night="")), parse(desks(care=new, night="")))]
    for line in said:
        assert line in found
    assert len(found) == len(said) or "holding" in said[0]
