"""What happens at the edges of a desk: people at several desks, steps that pass while somebody has a case, heavy work, wrong clocks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.desk import DeskDecider, outlook
from agents.desk.state import WorkItem
from agents.policy import Policy, parse
from schemas.records import Assigned, CrisisOpened, Escalated, HoldingReplyDue, Offered, Overflowed, Returned
from tests.support.care_facts import HOUR, MINUTE, answer, at, operator, work
from tests.support.decider_runner import Run

BASE = f"""
[classifier]
model = "{"0" * 64}"
[[brands]]
name = "andina"
mode = "live"
[[rules]]
name = "complaint"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2
"""


def policy(care: str = "", others: str = "") -> Policy:
    """A policy whose desk `care` has these settings, and with these other desks."""
    return parse(f'{BASE}[[desks]]\nname = "care"\n{care}\n{others}\n')


def begin(care: str = "", others: str = "") -> Run:
    """A desk at 14:00."""
    run = Run(DeskDecider(), policy(care, others))
    run.tick(at("14:00"))
    return run


def comes(run: Run, *names: str, **fields: Any) -> None:
    """People who stay until midnight."""
    for name in names:
        run.fact(operator(name, run.time, until="1 00:00", **fields))


def holders(run: Run) -> dict[str, str | None]:
    """By round of work: who is offered it or has it."""
    return {row.work_id: row.operator for row in run.state.values() if isinstance(row, WorkItem)}


def last_offer(run: Run, name: str) -> Offered:
    return [event for event in run.events if isinstance(event, Offered) and event.aggregate == name][-1]


def climbs(run: Run) -> list[tuple[str, str]]:
    return [(event.rung, event.to) for event in run.events if isinstance(event, Escalated)]


def asks(run: Run, by: str, seq: int) -> None:
    """An operator escalates the case w."""
    run.fact(work("w", run.time, "changed", seq, due="16:00", escalated=True, escalated_by=by))


# --- people at several desks ---


def test_what_somebody_has_from_another_desk_returns_when_they_leave_the_desk_where_they_are() -> None:
    """The boss is at the office only, is asked for a case of care, and goes home."""
    run = begin('responsible = "boss"')
    comes(run, "boss", desk="office")
    comes(run, "ana")
    run.fact(work("w", "14:00", due="16:00"))
    asks(run, "ana", 2)
    run.fact(answer(last_offer(run, "w"), "accepted"))
    assert holders(run) == {"w": "boss"}
    run.fact(operator("boss", run.time, "signed_out", desk="office"))
    assert holders(run)["w"] == "ana", "who is alone again"


def test_whoever_leaves_one_desk_is_offered_the_work_of_their_other_desk() -> None:
    run = begin()
    comes(run, "ana", capacity=1)
    comes(run, "ana", desk="night", capacity=1)
    run.fact(work("a", "14:00", due="16:00"))
    run.fact(work("b", "14:00", due="16:00", desk="night", author_id="u2"))
    assert holders(run) == {"a": "ana", "b": None}
    run.fact(operator("ana", run.time, "signed_out"))
    assert holders(run) == {"a": None, "b": "ana"}


def test_a_break_holds_at_every_desk_also_where_somebody_signs_in_meanwhile() -> None:
    run = begin()
    comes(run, "ana")
    run.fact(operator("ana", run.time, "paused", "15:00"))
    comes(run, "ana", desk="night")
    run.fact(work("b", "14:00", due="16:00", desk="night"))
    assert holders(run) == {"b": None}
    run.tick(at("15:00"))
    assert holders(run) == {"b": "ana"}


def test_what_others_may_have_now_is_offered_when_somebody_signs_in_anew_with_less() -> None:
    """Rui alone spoke Portuguese; now nobody does, so Portuguese is not asked for."""
    run = begin()
    comes(run, "rui", languages=["pt"], capacity=1)
    comes(run, "ana", languages=["es"])
    run.fact(work("a", "14:00", due="16:00", lang="pt"))
    run.fact(work("b", "14:00", due="16:00", lang="pt", author_id="u2"))
    assert holders(run) == {"a": "rui", "b": None}
    comes(run, "rui", languages=["es"], capacity=1)
    assert holders(run) == {"a": "rui", "b": "ana"}


def test_somebody_without_capacity_does_not_staff_a_desk() -> None:
    run = begin('overflow = "night"', '[[desks]]\nname = "night"')
    comes(run, "ana", capacity=0)
    run.fact(work("w", "14:00", due="16:00"))
    assert [type(event) for event in run.events] == [Overflowed]


# --- presence and clocks ---


@pytest.mark.parametrize("until", [None, "14:20"])
def test_a_renewal_never_shortens(until: str | None) -> None:
    run = begin()
    comes(run, "ana")
    run.fact(operator("ana", run.time, "renewed", until))
    run.fact(work("w", "14:00", due="16:00"))
    run.fact(answer(last_offer(run, "w"), "accepted"))
    run.tick(at("14:29"))
    assert holders(run) == {"w": "ana"}


def test_a_console_whose_clock_runs_ahead_keeps_nobody_at_the_desk() -> None:
    run = begin()
    comes(run, "ana")
    run.fact(operator("ana", run.time + 9_000 * HOUR, "renewed", run.time + 9_001 * HOUR))
    run.fact(operator("ana", run.time, "signed_out"))
    assert run.fact(work("w", "14:00", due="16:00")) == []


def test_a_break_that_is_over_already_changes_nothing() -> None:
    run = begin()
    comes(run, "ana")
    run.fact(work("w", "14:00", due="16:00"))
    run.tick(at("14:04"))
    assert run.fact(operator("ana", "14:00", "paused", "14:03")) == []


# --- steps ---


def test_a_case_that_comes_back_late_goes_on_to_the_next_desk() -> None:
    """Its time to overflow passed while Ana had it."""
    run = begin('overflow = "night"\noverflow_after = "10m"', '[[desks]]\nname = "night"')
    comes(run, "ana")
    comes(run, "bea", desk="night")
    run.fact(work("w", "14:00", due="18:00"))
    run.fact(answer(last_offer(run, "w"), "accepted"))
    run.tick(at("14:20"))
    run.fact(operator("ana", run.time, "signed_out"))
    run.tick(at("14:21"))
    assert holders(run) == {"w": "bea"}


def test_a_case_stays_at_the_second_desk_for_that_desks_own_time() -> None:
    others = '[[desks]]\nname = "night"\noverflow = "third"\noverflow_after = "60m"\n[[desks]]\nname = "third"'
    run = begin('overflow = "night"\noverflow_after = "1m"', others)
    comes(run, "bea", desk="night", capacity=1)
    run.fact(work("x", "14:00", due="20:00", desk="night", author_id="u2"))
    run.fact(answer(last_offer(run, "x"), "accepted"))
    run.fact(work("w", "14:00", due="20:00"))
    run.tick(at("15:30"))
    assert [
        (event.next_desk, event.time)
        for event in run.events
        if isinstance(event, Overflowed) and event.aggregate == "w"
    ] == [
        ("night", at("14:00")),
        ("third", at("15:00")),
    ]


def test_an_empty_second_desk_hands_a_case_on_at_once() -> None:
    others = '[[desks]]\nname = "night"\noverflow = "third"\n[[desks]]\nname = "third"'
    run = begin('overflow = "night"', others)
    comes(run, "cora", desk="third")
    run.fact(work("w", "14:00", due="20:00"))
    assert holders(run) == {"w": "cora"}


# --- escalations ---


@pytest.mark.parametrize(("minute", "told"), [(10, 0), (50, 2), (58, 3)])
def test_an_operator_who_escalates_late_is_heard_all_the_same(minute: int, told: int) -> None:
    """After 75 and after 90 % of the target too: the person responsible gets the case."""
    run = begin('responsible = "boss"\nlead = "chief"\nanswer_within = "3h"')
    comes(run, "ana", "bea", "boss", capacity=3)
    run.fact(work("w", "14:00", due="15:00"))
    run.fact(answer(last_offer(run, "w"), "accepted"))
    first = last_offer(run, "w").operator
    run.tick(at("14:00") + minute * MINUTE)
    assert len(climbs(run)) == told
    if first == "boss":
        return
    run.fact(work("w", run.time, "changed", 2, due="15:00", escalated=True, escalated_by=first))
    assert climbs(run)[-1] == ("responsible", "boss")
    assert last_offer(run, "w").operator == "boss"


def test_an_escalation_without_a_lead_says_that_nobody_is_named() -> None:
    run = begin('responsible = "boss"')
    comes(run, "boss")
    run.fact(work("w", "14:00", due="16:00"))
    asks(run, "boss", 2)
    assert climbs(run) == [("lead", "")]


def test_a_case_is_not_kept_for_an_absent_person_until_its_reply_window_closes() -> None:
    run = begin('responsible = "boss"')
    comes(run, "ana", "bea")
    closes = at("14:20")
    run.fact(work("w", "14:00", due="16:00", window_closes_at=closes))
    first = last_offer(run, "w").operator
    run.fact(work("w", "14:00", "changed", 2, due="16:00", window_closes_at=closes, escalated=True, escalated_by=first))
    assert holders(run)["w"] == ({"ana", "bea"} - {first}).pop()


# --- crises, holding replies, weights ---


def crisis(name: str, root: str) -> CrisisOpened:
    return CrisisOpened(
        id=name, aggregate=name, seq=1, time=at("14:00"), cause="told", policy=1, reason="told", brand="andina",
        mode="live", by="ana", root=root,
    )  # fmt: skip


def test_a_crisis_about_a_case_that_somebody_has_asks_the_person_responsible() -> None:
    run = begin('responsible = "boss"')
    comes(run, "ana")
    run.fact(work("w", "14:00", due="16:00", posts=["r1"]))
    run.fact(answer(last_offer(run, "w"), "accepted"))
    run.fact(crisis("c1", "r1"))
    assert climbs(run) == [("responsible", "boss")] and holders(run) == {"w": "ana"}


@pytest.mark.parametrize("order", [("c1", "c2"), ("c2", "c1")])
def test_of_two_crises_the_one_about_the_post_itself_counts(order: tuple[str, str]) -> None:
    """Whichever was told first, and so whichever is recovered first."""
    run = begin('crisis_desk = "team"', '[[desks]]\nname = "team"')
    for name in order:
        run.fact(crisis(name, {"c1": "r1", "c2": "r2"}[name]))
    run.fact(work("w", "14:00", due="16:00", posts=["r1"], conversation="r2"))
    state: Any = run.state
    (told,) = outlook(state, "care", run.policy, run.time).waiting
    assert told.reason.startswith("first of the case that a crisis is about")


def test_the_hourly_limit_of_holding_replies_holds_over_the_full_hour() -> None:
    """Two at 14:59 and none at 15:01."""
    run = begin('holding = { templates = { any = "wait" }, per_hour = 2, at = 25 }')
    run.tick(at("14:59"))
    for n in range(2):
        run.fact(work(f"a{n}", "14:00", due="15:30", author_id=f"a{n}"))
    run.tick(at("15:01"))
    run.fact(work("b", "14:00", due="15:30", author_id="b"))
    run.tick(at("15:02"))
    due = [event for event in run.events if isinstance(event, HoldingReplyDue)]
    assert [event.suppressed for event in due] == [None, None, "account"]
    assert "the limit of the account is reached" in due[-1].reason


def test_a_heavy_case_gets_its_turn_beside_a_stream_of_light_ones() -> None:
    """Ana has room for two; a light case comes whenever she has answered one."""
    run = begin("weights = { whatsapp = 2 }")
    comes(run, "ana", capacity=2)
    for n in range(2):
        run.fact(work(f"l{n}", run.time, due="20:00", author_id=f"l{n}"))
    run.fact(work("heavy", run.time, due="20:00", channel="whatsapp", author_id="h"))
    for n in range(2, 60):
        run.tick(run.time + MINUTE)
        run.fact(work(f"l{n}", run.time, due="22:00", author_id=f"l{n}"))
        held = next((name for name, who in sorted(holders(run).items()) if who and name != "heavy"), None)
        if held is not None:
            run.fact(work(held, run.time, "answered", 2, author_id=held))
        if holders(run)["heavy"] == "ana":
            break
    assert holders(run)["heavy"] == "ana"


def test_a_case_that_waits_for_the_customer_when_it_is_accepted_takes_no_capacity() -> None:
    run = begin()
    comes(run, "ana", capacity=1)
    run.fact(work("w", "14:00", due="16:00"))
    run.fact(work("w", "14:00", "changed", 2, due="16:00", waiting=True))
    run.fact(answer(last_offer(run, "w"), "accepted"))
    run.fact(work("x", "14:00", due="16:00", author_id="x"))
    assert holders(run) == {"w": "ana", "x": "ana"}
    assert [event for event in run.tick(at("14:40")) if isinstance(event, Returned) and event.aggregate == "w"] == []


# --- input of careless tools ---


def test_a_desk_that_the_policy_does_not_list_works_by_the_defaults() -> None:
    run = begin()
    comes(run, "ana", desk="nowhere")
    run.fact(work("w", "14:00", due="16:00", desk="nowhere"))
    assert holders(run) == {"w": "ana"}
    assert last_offer(run, "w").expires_at == at("14:05")


def test_an_operator_who_signs_in_twice_is_one_operator() -> None:
    """The newest sign-in says what they can take; what they have stays theirs."""
    run = begin()
    comes(run, "ana", capacity=2)
    run.fact(work("a", "14:00", due="16:00"))
    comes(run, "ana", capacity=1)
    run.fact(work("b", "14:00", due="16:00", author_id="u2"))
    assert holders(run) == {"a": "ana", "b": None}


def test_an_answer_by_the_customer_finds_the_open_offer_of_that_operator() -> None:
    run = begin()
    comes(run, "ana")
    run.fact(work("a", "14:00", due="16:00", author_id="u7"))
    offer = answer(last_offer(run, "a"), "accepted")
    by_customer = {"offer_id": "", "brand": "andina", "channel": "twitter"}
    assert run.fact(msgspec.structs.replace(offer, **by_customer, author_id="u8")) == []
    assert run.fact(msgspec.structs.replace(offer, **by_customer, author_id="u7", operator="bea")) == []
    (assigned,) = run.fact(msgspec.structs.replace(offer, **by_customer, author_id="u7"))
    assert isinstance(assigned, Assigned) and assigned.operator == "ana"


def test_what_follows_from_a_crisis_is_not_before_it() -> None:
    """Surge may be ahead of the slowest writer."""
    run = begin('responsible = "boss"')
    comes(run, "ana")
    run.fact(work("w", "14:00", due="16:00", posts=["r1"]))
    told = msgspec.structs.replace(crisis("c1", "r1"), time=at("14:03"))
    assert [event.time for event in run.fact(told)] == [at("14:03")]
