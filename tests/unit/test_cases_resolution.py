"""Cases: the resolution clock, from the first message that wants an answer to the closing, pauses left out."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import ClockChanged
from tests.support.care_facts import HOUR, MINUTE, action, at, deleted, post, reply
from tests.support.cases_told import RICH, clock, record, run_of, told
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00, where a complaint is to be resolved in four hours."""
    return run_of(RICH)


def resolution(events: list[Any]) -> list[ClockChanged]:
    """The resolution clock's history."""
    return [e for e in events if isinstance(e, ClockChanged) and e.metric == "resolution"]


def measured(event: ClockChanged) -> int:
    """ms; what the clock measured at its end."""
    assert event.met_at is not None
    return event.met_at - event.started_at - event.paused_ms


def test_without_a_target_it_is_told_once_when_the_case_closes() -> None:
    """Answered after 18 minutes, closed by silence three days later: 18 minutes."""
    run = run_of()
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.tick(at("3 15:00"))
    (met,) = resolution(run.events)
    assert (met.change, met.cycle, met.due_at, met.target_ms) == ("met", 1, None, None)
    assert (met.started_at, met.met_at, met.paused_ms) == (at("14:03"), at("3 14:21"), 72 * HOUR)
    assert measured(met) == 18 * MINUTE


def test_an_unanswered_case_that_is_resolved_measures_until_then() -> None:
    """By an operator's own time, though it is read later."""
    run = run_of()
    run.fact(post("1", "14:03"))
    run.tick(at("14:40"))
    assert measured(clock(run.fact(action("a", "resolve", "14:33")), "met")) == 30 * MINUTE


def test_a_reopening_goes_on_with_it_and_leaves_the_resolved_stretch_out() -> None:
    """14:03 to 14:33, then 15:33 to 15:43: 40 minutes."""
    run = run_of()
    run.fact(post("1", "14:03"))
    run.fact(action("a", "resolve", "14:33"))
    assert clock(run.fact(post("2", "15:33")), "resumed").paused_ms == HOUR
    run.fact(action("b", "resolve", "15:43"))
    assert [e.change for e in resolution(run.events)] == ["met", "resumed", "met"]
    assert measured(resolution(run.events)[-1]) == 40 * MINUTE


def test_what_is_no_resolution_tells_nothing_of_a_clock_that_was_not_told() -> None:
    """Spam, a deleted post, a muted customer."""
    for end in (
        action("a", "no_reply", "14:10", native_id="1"),
        deleted("1", "14:10"),
        action("a", "mute", "14:10", until=at("15:00")),
    ):
        run = run_of()
        run.fact(post("1", "14:03"))
        run.fact(end)
        assert resolution(run.events) == []


def test_its_target_is_told_as_the_policy_has_it_however_long_it_was_paused(run: Run) -> None:
    """Four hours from 14:03, in and after two pauses and a silence; the warning at the half counts two of them."""
    run.fact(post("1", "14:03"))
    for n, day in enumerate(("", "1 ", "6 ")):
        run.tick(at(f"{day}15:00"))
        if n:
            run.fact(post(f"p{n}", f"{day}14:58"))
        run.fact(reply(f"r{n}", f"{day}15:00"))
    run.tick(at("7 10:00"))
    run.fact(post("2", "7 10:00"))
    run.tick(at("7 18:00"))
    history = resolution(run.events)
    assert {e.change for e in history} == {"started", "paused", "resumed", "met", "warned", "breached"}
    assert {e.target_ms for e in history} == {4 * HOUR}
    assert all("target 4 h" in e.reason for e in history if e.change not in ("warned", "met"))
    assert next(e.reason for e in history if e.change == "warned").startswith("warned: 50 % of 4 h used")


def test_what_is_drawn_together_leaves_its_target_as_it_was(run: Run) -> None:
    """More answers than are kept: what they paused is left out of the target too."""
    run.fact(post("1", "14:03"))
    for n in range(1, 9):
        run.fact(reply(f"r{n}", at("14:03") + 20 * n * MINUTE))
        run.fact(post(f"p{n}", at("14:03") + (20 * n + 10) * MINUTE))
    assert record(run).observed.snapshot is not None
    assert {e.target_ms for e in resolution(run.events)} == {4 * HOUR}


def test_with_a_target_it_warns_and_breaches(run: Run) -> None:
    """Four hours from 14:03."""
    run.fact(post("1", "14:03"))
    run.tick(at("19:00"))
    history = resolution(run.events)
    assert [(e.change, e.warned) for e in history] == [
        ("started", None), ("warned", 50), ("warned", 75), ("warned", 90), ("breached", None),
    ]  # fmt: skip
    assert (history[-1].time, history[-1].due_at) == (at("18:03") + 1, at("18:03"))


def test_it_pauses_from_the_answer_and_goes_on_with_what_was_left(run: Run) -> None:
    """18 of 240 minutes used when it is answered; the customer is back at 16:00, so due 19:42; half is used at 17:42."""
    run.fact(post("1", "14:03"))
    assert clock(run.fact(reply("r", "14:21")), "paused").paused_at == at("14:21")
    run.tick(at("16:00"))
    resumed = clock(run.fact(post("2", "16:00")), "resumed")
    assert (resumed.due_at, resumed.paused_ms) == (at("19:42"), 99 * MINUTE)
    assert resumed.paused_at is None
    warned = [e for e in resolution(run.tick(at("17:50"))) if e.change == "warned"]
    assert [(e.warned, e.time) for e in warned] == [(50, at("17:42"))]


def test_a_paused_clock_neither_warns_nor_breaches(run: Run) -> None:
    """For two days."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    assert run.tick(at("2 14:00")) == []


def test_an_answer_of_before_the_due_that_is_read_after_it_takes_the_breach_back(run: Run) -> None:
    """Breached at 18:03; answered 17:50, so it was paused then."""
    run.fact(post("1", "14:03"))
    run.tick(at("18:30"))
    events = run.fact(reply("r", "17:50"))
    assert [e.change for e in resolution(events)] == ["rescinded", "paused"]
    assert resolution(events)[-1].breached_at is None


def test_a_case_closed_too_late_keeps_its_breach(run: Run) -> None:
    """Resolved at 18:30."""
    run.fact(post("1", "14:03"))
    run.tick(at("18:30"))
    met = clock(run.fact(action("a", "resolve", "18:30")), "met", "resolution")
    assert (met.met_at, met.breached_at) == (at("18:30"), at("18:03"))


def test_a_resolution_that_is_none_voids_a_clock_that_was_told(run: Run) -> None:
    """And the next message of the customer starts another."""
    run.fact(post("1", "14:03"))
    assert "resolution voided" in told(run.fact(deleted("1", "14:10")))
    started = clock(run.fact(post("2", "14:30")), "started", "resolution")
    assert (started.cycle, started.started_at) == (2, at("14:30"))


def test_a_graver_second_post_gives_the_case_a_target(run: Run) -> None:
    """A question has none; the complaint of 15:00 is to be resolved by 19:00, the clock counts from the question."""
    run.fact(post("1", "14:03", "question"))
    assert resolution(run.events) == []
    started = clock(run.fact(post("2", "15:00")), "started", "resolution")
    assert (started.started_at, started.due_at) == (at("14:03"), at("19:00"))


def test_a_later_close_than_was_first_known_is_told_again() -> None:
    """Resolved at 14:40; the resolve of 14:30 is read afterwards: 27 minutes, not 37."""
    run = run_of()
    run.fact(post("1", "14:03"))
    assert measured(clock(run.fact(action("a", "resolve", "14:40")), "met")) == 37 * MINUTE
    assert measured(clock(run.fact(action("b", "resolve", "14:30")), "met")) == 27 * MINUTE


def test_it_pauses_also_when_the_last_message_is_found_to_need_no_answer(run: Run) -> None:
    """Answered 14:21, another complaint of 14:30 was spam, says an operator at 14:40."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(post("2", "14:30"))
    paused = clock(run.fact(action("a", "no_reply", "14:40", native_id="2")), "paused")
    assert (paused.paused_at, paused.paused_ms) == (at("14:40"), 9 * MINUTE)


def test_a_pause_of_before_a_message_does_not_move_what_that_message_asks_for(run: Run) -> None:
    """A question of 14:03 waits from 14:21; the complaint of 16:00 is to be resolved by 20:00."""
    run.fact(post("1", "14:03", "question"))
    run.fact(reply("r", "14:21"))
    run.tick(at("16:00"))
    started = clock(run.fact(post("2", "16:00")), "started", "resolution")
    assert (started.started_at, started.due_at) == (at("14:03"), at("20:00"))


def test_a_clock_that_an_earlier_answer_brings_back_is_resumed_before_it_is_paused(run: Run) -> None:
    """Deleted at 18:30, overdue and void; then the answer of 14:01 is read: the post was answered, and the case waits."""
    run.fact(post("1", "14:00"))
    assert [e.change for e in resolution(run.fact(deleted("1", "18:30")))] == ["breached", "voided"]
    assert [e.change for e in resolution(run.fact(reply("r", "14:01")))] == ["rescinded", "resumed", "paused"]
