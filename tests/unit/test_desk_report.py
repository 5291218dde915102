"""`desk show`: the queue is in the order in which the desk offers it, with the desk's own reasons, and says who could have the next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from agents.desk import DeskDecider
from agents.desk.index import DeskState
from agents.desk.outlook import desks, outlook
from agents.desk.state import Operator, WorkItem, person_key
from netcenter.operate.desk_report import desk_json, desk_text, summary_line
from schemas.records import Offered
from tests.support.care_facts import MINUTE, POLICY, at, operator, work
from tests.support.decider_runner import Run

NOON = at("12:00")


def run_of(*facts: Any) -> Run:
    """A desk at noon that has read these facts."""
    run = Run(DeskDecider(), POLICY)
    run.tick(NOON)
    for fact in facts:
        run.fact(fact)
    return run


def desk_state(run: Run) -> DeskState:
    assert isinstance(run.state, DeskState)
    return run.state


def stays(name: str, **fields: Any) -> Any:
    return operator(name, "12:00", until="20:00", **fields)


#: Of two classes, overdue and in time, one without a promise, and one whose reply window closes.
WORK = [
    work("late", "10:00", due="11:00", priority=2),
    work("later", "10:00", due="11:30", priority=2),
    work("soon", "12:00", due="12:30", priority=2),
    work("first", "12:00", due="14:00", priority=1),
    work("second", "12:00", due="15:00", priority=1),
    work("praise", "09:00", priority=3),
    work("closing", "12:00", due="18:00", priority=5, window_closes_at=NOON + 10 * MINUTE),
]


def test_the_queue_is_shown_in_the_order_in_which_an_operator_gets_it() -> None:
    """Somebody who has room for all is offered the cases in just that order, for just these reasons."""
    run = run_of(*WORK)
    view = outlook(desk_state(run), "care", POLICY, NOON, 100)
    events = [one for one in run.fact(stays("ana", capacity=50)) if isinstance(one, Offered)]
    assert [case.item.case_id for case in view.waiting] == [one.case_id for one in events]
    assert len(events) == len(WORK) == view.queued
    for case, event in zip(view.waiting, events, strict=True):
        assert case.reason in event.reason


def test_each_case_is_shown_in_a_line_with_its_reason_and_the_rest_is_counted() -> None:
    run = run_of(*WORK)
    text = desk_text(desk_state(run), outlook(desk_state(run), "care", POLICY, NOON, 2), NOON)
    lines = text.splitlines()
    for line in (
        "care: 7 cases wait, 0 offered, 0 accepted; 0 operators take work, 0 of them free; as the desk stands at 2026-11-20 12:00:00",
        "next: case case of closing, its reply window closes in 10 min",
        "  to nobody now: nobody takes work here: `netcenter operators sign-in`",
        "   1  case case of closing, priority 5, complaint, es, due in 6 h, waits less than a minute",
        "      its reply window closes in 10 min",
        "      … and 5 more",
        "people: nobody is signed in",
    ):
        assert line in lines, text


def test_where_all_have_as_much_as_they_can_have_the_next_waits_for_one_of_them() -> None:
    run = run_of(stays("ana", capacity=1), stays("eva", capacity=1), *WORK)
    state = desk_state(run)
    view = outlook(state, "care", POLICY, NOON, 10)
    assert view.queued == 5 and all(case.next is None for case in view.waiting)
    text = desk_text(state, view, NOON)
    assert "to nobody now: all 2 who take work have as much as they can have: whoever is free first" in text
    assert "2 offered, 0 accepted; 2 operators take work, 0 of them free" in text
    assert text.count("  offered until") == 2


def test_who_would_have_room_and_may_not_have_the_next_is_named() -> None:
    """The case was given back a short while ago, and nobody else is there but one who is full."""
    run = run_of(stays("ana", capacity=2), stays("eva", capacity=1), work("w", "12:00"), work("x", "12:00"))
    state = desk_state(run)
    key, item = next((key, row) for key in state if isinstance(row := state[key], WorkItem) and row.operator == "ana")
    state.put(key, replace(item, status="queued", operator=None, resting=(("ana", NOON + MINUTE),)))
    view = outlook(state, "care", POLICY, NOON, 10)
    assert "ana would have room, and cannot have it, or have given it back" in desk_text(state, view, NOON)


def test_the_next_goes_to_whom_the_desk_would_choose() -> None:
    """Somebody has room and nothing was decided since: the choice, its reason and the candidates are the desk's own."""
    run = run_of(stays("ana", capacity=1), work("w", "12:00"), work("x", "12:00"))
    state = desk_state(run)
    row = state.operator(person_key("care", "ana"))
    assert isinstance(row, Operator)
    state.put(person_key("care", "ana"), replace(row, capacity=3))
    view = outlook(state, "care", POLICY, NOON, 10)
    text = desk_text(state, view, NOON)
    assert "  to ana: least_loaded: ana 1/3" in text
    assert desk_json(state, view, NOON)["next"]["operator"] == "ana"


def test_a_case_that_is_kept_for_one_person_says_for_whom_and_until_when() -> None:
    run = run_of(work("w", "12:00", url="https://example.org/w"))
    state = desk_state(run)
    [key] = [key for key in state if isinstance(state[key], WorkItem)]
    state.put(key, replace(state[key], reserved_for="boss", reserved_until=NOON + 5 * MINUTE))
    view = outlook(state, "care", POLICY, NOON, 10)
    assert "      kept for boss until 2026-11-20 12:05:00" in desk_text(state, view, NOON).splitlines()
    assert desk_json(state, view, NOON)["queue"][0]["kept_for"] == "boss"


def test_a_desk_is_told_in_a_line_where_none_is_named() -> None:
    run = run_of(*WORK, stays("ana", capacity=2), work("n", "12:00", desk="night"))
    state = desk_state(run)
    assert desks(state) == ["care", "night"]
    assert summary_line(state, outlook(state, "care", POLICY, NOON, 1)) == (
        "care: 5 cases wait, 2 offered, 0 accepted; 1 operator takes work, 0 of them free"
    )
    assert summary_line(state, outlook(state, "night", POLICY, NOON, 1)).startswith("night: 1 case waits")


@pytest.mark.parametrize("as_json", [True, False])
def test_no_author_is_shown_neither_to_people_nor_to_programs(as_json: bool) -> None:
    run = run_of(work("w", "12:00", author_id="u4711"), stays("ana"), *WORK)
    state = desk_state(run)
    view = outlook(state, "care", POLICY, NOON, 10)
    said = json.dumps(desk_json(state, view, NOON)) if as_json else desk_text(state, view, NOON)
    assert "4711" not in said and "author" not in said
