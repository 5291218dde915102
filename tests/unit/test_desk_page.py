"""docs/desk.md: each promise of the page, by the policy of its own desk."""

from __future__ import annotations

from typing import Any

import pytest

from agents.desk import DeskDecider
from agents.policy import Policy, parse
from schemas.records import (
    Assigned,
    CrisisClosed,
    CrisisOpened,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Offered,
    Overflowed,
    Returned,
)
from tests.support.care_facts import MINUTE, answer, at, operator, work
from tests.support.decider_runner import Run

BASE = """
[classifier]
model = "%s"
[[brands]]
name = "andina"
mode = "live"
[[rules]]
name = "complaint"
match = { label = ["complaint"] }
target = "60m"
priority = 2
[[desks]]
name = "night"
""" % ("0" * 64)


def policy(settings: str = "") -> Policy:
    """A policy whose desk `care` has these settings."""
    return parse(f'{BASE}[[desks]]\nname = "care"\n{settings}\n')


def begin(settings: str = "", *people: str, **fields: Any) -> Run:
    """A desk at 14:00 with these people, who stay until midnight."""
    run = Run(DeskDecider(), policy(settings))
    run.tick(at("14:00"))
    for name in people:
        run.fact(operator(name, "14:00", until="1 00:00", **fields))
    return run


def said(run: Run, *types: type[Any]) -> list[Any]:
    return [event for event in run.events if isinstance(event, types)]


def offers(run: Run) -> list[tuple[str, str]]:
    """(round of work, operator) of every offer."""
    return [(event.aggregate, event.operator) for event in said(run, Offered)]


def accept(run: Run, name: str | None = None) -> None:
    """The newest offer, or that of a round of work, is accepted."""
    offer = [one for one in said(run, Offered) if name in (None, one.aggregate)][-1]
    run.fact(answer(offer, "accepted"))


def decline(run: Run) -> None:
    """The newest offer is declined."""
    run.fact(answer(said(run, Offered)[-1], "declined"))


# --- who is at a desk ---


def test_an_operator_at_two_desks_has_one_capacity() -> None:
    run = begin("", "ana", capacity=1)
    run.fact(operator("ana", "14:00", until="1 00:00", desk="night", capacity=1))
    run.fact(work("a", "14:00", due="15:00"))
    run.fact(work("b", "14:00", due="15:00", desk="night", author_id="u2"))
    assert offers(run) == [("a", "ana")]


def test_a_case_takes_as_many_units_as_the_policy_says() -> None:
    run = begin("weights = { whatsapp = 2 }", "ana", capacity=3)
    for name in ("a", "b"):
        run.fact(work(name, "14:00", due="15:00", channel="whatsapp", author_id=name))
    run.fact(work("c", "14:00", due="15:00", author_id="c"))
    assert offers(run) == [("a", "ana"), ("c", "ana")]
    assert [event.weight for event in said(run, Offered)] == [2, 1]


def test_a_renewal_prolongs_the_lease_and_changes_nothing_else() -> None:
    run = begin("", capacity=1)
    run.fact(operator("ana", "14:00", capacity=1))
    run.fact(operator("ana", "14:00", "renewed", until="15:00"))
    run.tick(at("14:30"))
    for name in ("a", "b"):
        run.fact(work(name, "14:30", due="15:30", author_id=name))
    assert offers(run) == [("a", "ana")], "one unit, as she signed in with"
    run.fact(operator("ana", "14:31", "signed_out"))
    run.fact(operator("ana", "14:30", "renewed", until="16:00"))
    assert len(offers(run)) == 1


def test_a_lapsed_lease_returns_offers_at_once_and_cases_later() -> None:
    run = begin("")
    run.fact(operator("ana", "14:00", until="14:20"))
    run.tick(at("14:18"))
    run.fact(work("a", "14:18", due="15:00", author_id="a"))
    accept(run)
    run.tick(at("14:20"))
    run.fact(work("b", "14:20", due="15:00", author_id="b"))
    run.tick(at("14:40"))
    # What she did at 14:18 gave her the policy's lease of five minutes.
    assert [(e.aggregate, e.return_reason, e.time) for e in said(run, Returned)] == [
        ("b", "lapsed", at("14:23")), ("a", "lapsed", at("14:33")),
    ]  # fmt: skip


def test_a_shift_that_is_planned_ahead_begins_at_its_time() -> None:
    run = begin("")
    run.fact(operator("ana", "16:00", until="20:00"))
    run.fact(work("a", "14:00", due="18:00"))
    run.tick(at("15:59"))
    assert offers(run) == []
    run.tick(at("16:00"))
    assert offers(run) == [("a", "ana")]


def test_a_break_returns_offers_keeps_cases_and_ends() -> None:
    run = begin("", "ana")
    run.fact(work("a", "14:00", due="15:00"))
    accept(run)
    run.fact(work("b", "14:00", due="15:00", author_id="u2"))
    run.fact(operator("ana", "14:01", "paused", until="14:10"))
    assert [(e.aggregate, e.return_reason) for e in said(run, Returned)] == [("b", "paused")]
    run.tick(at("14:09"))
    assert offers(run) == [("a", "ana"), ("b", "ana")]
    run.tick(at("14:10"))
    assert offers(run)[2:] == [("b", "ana")]


def test_sign_out_returns_everything_in_its_old_place() -> None:
    run = begin("", "ana")
    for name, due in (("a", "14:50"), ("b", "15:00")):
        run.fact(work(name, "14:00", due=due, author_id=name))
    accept(run, "a")
    run.fact(operator("ana", "14:01", "signed_out"))
    assert {(e.aggregate, e.return_reason) for e in said(run, Returned)} == {("a", "signed_out"), ("b", "signed_out")}
    run.fact(work("c", "14:01", due="15:10", author_id="c"))
    run.tick(at("14:02"))
    run.fact(operator("bob", "14:02", until="1 00:00", capacity=2))
    assert offers(run)[2:] == [("a", "bob"), ("b", "bob")]


# --- the order ---


def fill(run: Run, *works: Any) -> list[str]:
    """The order in which a single operator gets the work, one case at a time."""
    for one in works:
        run.fact(one)
    run.fact(operator("ana", "14:00", until="1 00:00", capacity=1))
    for n in range(len(works)):
        accept(run)
        newest = said(run, Offered)[-1]
        found = next(one for one in works if one.aggregate == newest.aggregate)
        run.fact(work(found.aggregate, run.time, "answered", 2, author_id=found.author_id))
        if n == len(works) - 1:
            break
    return [name for name, _ in offers(run)]


def test_a_case_whose_reply_window_closes_soon_goes_first() -> None:
    works = [
        work("urgent", "14:00", due="14:30", priority=1, author_id="a"),
        work("window", "14:00", due="15:00", priority=4, author_id="b", window_closes_at=at("14:15")),
        work("later", "14:00", due="15:00", priority=4, author_id="c", window_closes_at=at("15:15")),
    ]
    assert fill(begin(), *works) == ["window", "urgent", "later"]


def test_priority_goes_before_the_due() -> None:
    works = [
        work("p2", "14:00", due="14:20", priority=2, author_id="a"),
        work("p1", "14:00", due="15:00", priority=1, author_id="b"),
    ]
    assert fill(begin(), *works) == ["p1", "p2"]


def test_a_class_that_waits_gets_one_offer_in_ten() -> None:
    many = [work(f"p1-{n:02}", "14:00", due=at("15:00") + n, priority=1, author_id=f"a{n}") for n in range(30)]
    few = [work(f"p9-{n}", "14:00", due=at("16:00") + n, priority=9, author_id=f"b{n}") for n in range(3)]
    order = fill(begin(), *many, *few)
    assert [name for name in order[:22] if name.startswith("p9")] == ["p9-0", "p9-1"]


def test_every_third_offer_goes_to_what_is_overdue_the_longest() -> None:
    late = [work(f"late-{n}", "12:00", due=at("13:00") + n, author_id=f"a{n}") for n in range(3)]
    good = [work(f"good-{n}", "14:00", due=at("15:00") + n, author_id=f"b{n}") for n in range(6)]
    order = fill(begin(), *late, *good)
    assert order == [
        "good-0", "good-1", "late-0", "good-2", "good-3", "late-1", "good-4", "good-5", "late-2",
    ]  # fmt: skip


# --- who gets it ---


def test_a_customer_comes_back_to_whoever_answered_them() -> None:
    run = begin("", "ana", "bob")
    run.fact(work("a", "14:00", due="15:00"))
    first = offers(run)[0][1]
    accept(run)
    run.fact(work("a", "14:05", "answered", 2, operator=first))
    for n in range(2):
        run.fact(work(f"x{n}", "14:05", due="15:00", author_id=f"x{n}"))
        accept(run)
    run.fact(work("b", "14:06", due="15:00"))
    assert offers(run)[-1] == ("b", first) and "same_operator" in said(run, Offered)[-1].reason


def test_the_least_loaded_gets_the_case() -> None:
    run = begin("", "ana", capacity=4)
    run.fact(operator("bob", "14:00", until="1 00:00", capacity=2))
    for n in range(3):
        run.fact(work(f"w{n}", "14:00", due="15:00", author_id=f"u{n}"))
    load = {name: sum(1 for _, who in offers(run) if who == name) for name in ("ana", "bob")}
    assert load == {"ana": 2, "bob": 1}


def test_an_offer_says_why_and_who_else_could_have_had_it() -> None:
    run = begin("", "ana", "bob")
    run.fact(work("a", "14:00", due="15:00"))
    (offer,) = said(run, Offered)
    assert {one.operator for one in offer.candidates} == {"ana", "bob"}
    assert offer.reason.startswith("least_loaded: ") and "0/3" in offer.reason


def test_skills_and_language_are_given_up_as_the_target_is_used() -> None:
    run = begin("answer_within = '4h'")
    run.fact(operator("pt", "14:00", until="1 00:00", languages=["pt"]))
    run.fact(operator("full", "14:00", until="1 00:00", capacity=1, languages=["es"], skills=["x", "y", "z"]))
    run.fact(work("first", "14:00", due="15:00", author_id="f"))
    accept(run)
    run.fact(work("a", "14:00", due="15:00", skills=["x", "y", "z"]))
    run.tick(at("14:44"))
    assert [name for name, _ in offers(run)] == ["first"]
    run.tick(at("14:45"))
    assert offers(run)[-1] == ("a", "pt")


def test_a_skill_that_nobody_has_is_not_asked_for() -> None:
    run = begin("", "ana")
    run.fact(work("a", "14:00", due="15:00", skills=["unheard-of"]))
    assert offers(run) == [("a", "ana")] and "nobody at care has unheard-of" in said(run, Offered)[0].reason


# --- offers ---


def test_a_declined_offer_goes_to_somebody_else_and_keeps_its_place() -> None:
    run = begin("retry_after = '10m'", "ana", "bob", capacity=1)
    run.fact(work("a", "14:00", due="15:00"))
    first = offers(run)[0][1]
    decline(run)
    assert offers(run)[1][1] != first
    decline(run)
    assert len(offers(run)) == 2
    run.tick(at("14:11"))
    assert len(offers(run)) >= 3 and said(run, Returned)[0].times == 1


@pytest.mark.parametrize("change", ["answered", "withdrawn"])
def test_a_reply_from_anywhere_frees_the_operator(change: str) -> None:
    run = begin("", "ana", capacity=1)
    for name in ("a", "b"):
        run.fact(work(name, "14:00", due="15:00", author_id=name))
    accept(run, "a")
    run.fact(work("a", "14:02", change, 2, author_id="a", operator="somebody"))
    assert offers(run) == [("a", "ana"), ("b", "ana")]


@pytest.mark.parametrize("frees", [True, False])
def test_a_case_that_waits_for_the_customer_takes_no_capacity(frees: bool) -> None:
    run = begin(f"wait_frees = {str(frees).lower()}", "ana", capacity=1)
    run.fact(work("a", "14:00", due="15:00", author_id="a"))
    accept(run)
    run.fact(work("b", "14:00", due="15:00", author_id="b"))
    run.fact(work("a", "14:01", "changed", 2, due="15:00", author_id="a", waiting=True))
    assert (("b", "ana") in offers(run)) is frees


def test_an_answer_to_an_offer_long_gone_changes_nothing() -> None:
    run = begin("", "ana", "bob")
    run.fact(work("a", "14:00", due="15:00"))
    old = said(run, Offered)[0]
    run.tick(at("14:06"))
    before = list(run.events)
    run.fact(answer(old, "accepted"))
    assert run.events == before and not said(run, Assigned)


# --- the ladder ---


def climbs(run: Run) -> list[tuple[str, str, int]]:
    """(rung, who is asked, minutes after 14:00) of every climb."""
    return [(e.rung, e.to, (e.time - at("14:00")) // MINUTE) for e in said(run, Escalated)]


PEOPLE = 'responsible = "lea"\nlead = "luis"'


def test_a_case_climbs_at_the_percentages_of_its_target() -> None:
    run = begin(f"{PEOPLE}\nanswer_within = '2h'", "ana")
    run.fact(work("a", "14:00", due="15:00"))
    accept(run)
    run.tick(at("14:59"))
    assert climbs(run) == [("operator", "ana", 30), ("responsible", "lea", 45), ("lead", "luis", 54)]


def test_where_nobody_takes_work_the_first_rung_is_the_person_responsible() -> None:
    run = begin(PEOPLE)
    run.fact(work("a", "14:00", due="15:00"))
    run.tick(at("14:40"))
    assert climbs(run) == [("responsible", "lea", 30)]


def test_a_case_that_climbs_is_offered_to_the_person_who_is_asked() -> None:
    run = begin(PEOPLE, "ana", capacity=1)
    run.fact(work("full", "14:00", due="18:00", author_id="f"))
    accept(run)
    run.fact(work("a", "14:00", due="15:00"))
    run.fact(operator("lea", "14:10", until="1 00:00", languages=["pt"]))
    run.tick(at("14:45"))
    assert offers(run)[-1] == ("a", "lea")


def test_a_case_that_is_accepted_and_ignored_is_asked_after_returns_and_climbs() -> None:
    run = begin(f"{PEOPLE}\nanswer_within = '10m'\nreturn_unanswered = '5m'", "ana", "bob", "cleo")
    run.fact(work("a", "14:00", due="16:00"))
    for _ in range(3):
        accept(run)
        run.tick(run.time + 15 * MINUTE)
    assert [e.return_reason for e in said(run, Returned)] == ["unanswered"] * 3
    assert [(rung, minute) for rung, _, minute in climbs(run)] == [
        ("operator", 10), ("operator", 25), ("operator", 40), ("responsible", 45),
    ]  # fmt: skip
    assert climbs(run)[-1][1] == "lea"


def test_a_case_that_everybody_declines_climbs() -> None:
    run = begin(PEOPLE, "ana", "bob", "cleo")
    run.fact(work("a", "14:00", due="18:00"))
    for _ in range(3):
        decline(run)
    assert climbs(run) == [("responsible", "lea", 0)]


@pytest.mark.parametrize(("by", "asked"), [("ana", ("responsible", "lea")), ("lea", ("lead", "luis"))])
def test_what_an_operator_escalates_goes_to_the_person_responsible_and_from_them_to_the_lead(
    by: str, asked: tuple[str, str]
) -> None:
    run = begin(PEOPLE, "ana", "lea", "luis")
    run.fact(work("a", "14:00", due="15:00"))
    run.fact(work("a", "14:01", "changed", 2, due="15:00", escalated=True, escalated_by=by))
    assert [(rung, to) for rung, to, _ in climbs(run)] == [asked]
    assert offers(run)[-1] == ("a", asked[1])


def test_what_nobody_accepts_after_the_person_responsible_was_asked_goes_to_the_lead() -> None:
    run = begin(PEOPLE)
    run.fact(work("a", "14:00", due="18:00"))
    run.fact(work("a", "14:01", "changed", 2, due="18:00", escalated=True, escalated_by="ana"))
    run.tick(at("14:20"))
    assert climbs(run) == [("responsible", "lea", 1), ("lead", "luis", 16)]


def test_a_ladder_without_a_person_climbs_only_when_an_operator_asks_for_it() -> None:
    run = begin("")
    run.fact(work("a", "14:00", due="15:00"))
    run.tick(at("14:59"))
    assert climbs(run) == []
    run.fact(work("a", "14:59", "changed", 2, due="15:00", escalated=True, escalated_by="ana"))
    assert [(rung, to) for rung, to, _ in climbs(run)] == [("responsible", "")]


@pytest.mark.parametrize("fields", [{"due": None}, {"due": "15:00", "non_sla": True}])
def test_work_without_a_promised_time_does_not_climb_by_percentages(fields: dict[str, Any]) -> None:
    run = begin(PEOPLE)
    run.fact(work("a", "14:00", **fields))
    run.tick(at("18:00"))
    assert climbs(run) == []


# --- holding replies ---

HOLDING = 'holding = { templates = { es = "wait-es" }, closed = { any = "closed" }, per_hour = 2 }'


def holdings(run: Run) -> list[HoldingReplyDue]:
    return said(run, HoldingReplyDue)


def test_a_holding_reply_is_asked_for_at_its_time_or_at_once_where_nobody_is_there() -> None:
    run = begin(HOLDING)
    run.fact(work("a", "14:00", due="15:00", posts=["77"], visibility="private"))
    (reply,) = holdings(run)
    assert (reply.time, reply.template, reply.native_id) == (at("14:00"), "closed", "77")
    assert (reply.visibility, reply.dry_run, reply.expires_at) == ("private", False, at("14:10"))
    run = begin(HOLDING, "ana")
    run.fact(work("a", "14:00", due="15:00", posts=["77"]))
    run.tick(at("14:14"))
    assert holdings(run) == []
    run.tick(at("14:15"))
    assert [(one.time, one.template) for one in holdings(run)] == [(at("14:15"), "wait-es")]


@pytest.mark.parametrize(
    "fields",
    [{"label": "praise"}, {"uncertain": True}, {"share": True}, {"non_sla": True}, {"lang": "pt"}, {"author_id": "answered"}],
    ids=str,
)  # fmt: skip
def test_whom_no_holding_reply_is_sent(fields: dict[str, Any]) -> None:
    run = begin(HOLDING, "ana")
    run.fact(work("before", "14:00", due="15:00", author_id="answered"))
    run.fact(work("before", "14:00", "answered", 2, author_id="answered", operator="zoe"))
    run.fact(work("a", "14:00", due="15:00", **fields))
    run.tick(at("14:59"))
    assert holdings(run) == []


def test_a_limit_makes_a_dry_run_that_says_which() -> None:
    run = begin(HOLDING, "ana", capacity=9)
    given: tuple[dict[str, Any], ...] = (
        {"author_id": "a"},
        {"author_id": "a"},
        {"author_id": "b", "conversation": "9"},
        {"author_id": "c", "conversation": "9"},
        {"author_id": "d"},
    )
    for n, more in enumerate(given):
        run.fact(work(f"w{n}", "14:00", due=at("15:00") + n * 4_000, **more))
    run.tick(at("14:30"))
    assert [(one.suppressed, one.dry_run) for one in holdings(run)] == [
        (None, False), ("customer", True), (None, False), ("conversation", True), ("account", True),
    ]  # fmt: skip


def test_in_shadow_mode_every_holding_reply_is_a_dry_run() -> None:
    run = begin(HOLDING)
    run.fact(work("a", "14:00", due="15:00", mode="shadow"))
    assert [(one.suppressed, one.dry_run) for one in holdings(run)] == [(None, True)]


@pytest.mark.parametrize("end", ["accepted", "answered", "withdrawn"])
def test_a_holding_reply_is_taken_back(end: str) -> None:
    run = begin(HOLDING, "ana")
    run.fact(work("a", "14:00", due="15:00"))
    run.tick(at("14:15"))
    (reply,) = holdings(run)
    if end == "accepted":
        accept(run)
    else:
        run.fact(work("a", "14:16", end, 2))
    assert [one.holding_id for one in said(run, HoldingReplyCancelled)] == [reply.id]


def test_a_holding_reply_that_has_expired_is_not_taken_back() -> None:
    run = begin(HOLDING, "ana")
    run.fact(work("a", "14:00", due="15:00"))
    run.tick(at("14:26"))
    accept(run)
    assert holdings(run) and not said(run, HoldingReplyCancelled)


# --- overflow and crises ---


@pytest.mark.parametrize(("people", "minute"), [((), 0), (("ana",), 15)])
def test_what_a_desk_cannot_take_goes_to_the_next(people: tuple[str, ...], minute: int) -> None:
    run = begin('overflow = "night"', *people, capacity=1)
    if people:
        run.fact(work("full", "14:00", due="18:00", author_id="f"))
        accept(run)
    run.fact(operator("zoe", "14:00", until="1 00:00", desk="night"))
    run.fact(work("a", "14:00", due="16:00"))
    run.tick(at("14:00") + max(0, minute * MINUTE - 1))
    assert bool(said(run, Overflowed)) is not bool(people)
    run.tick(at("14:00") + minute * MINUTE)
    (handed,) = said(run, Overflowed)
    assert (handed.next_desk, (handed.time - at("14:00")) // MINUTE) == ("night", minute)
    offer = said(run, Offered)[-1]
    assert (offer.aggregate, offer.operator, offer.desk) == ("a", "zoe", "night")
    assert offer.seq == handed.seq + 1, "the same history"
    run.fact(answer(offer, "accepted"))
    assert said(run, Assigned)[-1].waited_ms == minute * MINUTE


def crisis(type_: type[Any], when: str) -> Any:
    fields: dict[str, Any] = {"id": f"c-{when}", "aggregate": "c1", "cause": "t", "policy": 1, "reason": "r"}
    seq = 1 if type_ is CrisisOpened else 2
    more = {"root": "77"} if type_ is CrisisOpened else {}
    return type_(**fields, seq=seq, time=at(when), brand="andina", mode="live", by="rule", **more)


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("team", [False, True])
def test_a_crisis_changes_the_order_until_it_is_over(over: bool, team: bool) -> None:
    run = begin(PEOPLE + ('\ncrisis_desk = "night"' if team else ""))
    run.fact(crisis(CrisisOpened, "14:00"))
    if over:
        run.fact(crisis(CrisisClosed, "14:00"))
    run.fact(operator("zoe", "14:00", until="1 00:00", desk="night"))
    works = [
        work("thanks", "14:00", due="14:20", priority=1, non_sla=True, label="praise", author_id="t"),
        work("joins", "14:00", due="14:30", author_id="j", conversation="77", posts=["78"]),
        work("other", "14:00", due="15:00", author_id="o"),
        work("root", "14:00", due="16:00", author_id="r", conversation="77", posts=["77"]),
    ]
    for one in works:
        run.fact(one)
    run.fact(operator("ana", "14:00", until="1 00:00"))
    at_care = [event.aggregate for event in said(run, Offered) if event.desk == "care"]
    at_night = [event.aggregate for event in said(run, Offered) if event.desk == "night"]
    if over:
        assert at_care == ["thanks", "joins", "other"] and at_night == [] and climbs(run) == []
    else:
        assert at_care == (["root", "other", "thanks"] if team else ["root", "other", "joins"])
        assert at_night == (["joins"] if team else [])
        assert climbs(run) == [("responsible", "lea", 0)]
