"""Cases: what is read late or in another order than it happened."""

from __future__ import annotations

from typing import Any

import pytest

from agents.cases.state import ANSWERS
from schemas.records import CaseClosed
from tests.support.care_facts import MINUTE, action, at, deleted, post, reply, updated
from tests.support.cases_told import RICH, changed, clock, policy_with, run_of, told, work
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00."""
    return run_of(RICH)


def test_a_post_of_before_a_resolve_that_is_read_later_joins_the_closed_case_and_reopens_nothing(run: Run) -> None:
    """Resolved at 14:30; a complaint of 14:20 was seen with it."""
    run.fact(post("1", "14:03", "question"))
    run.fact(action("a", "resolve", "14:30"))
    events = run.fact(post("2", "14:20"))
    assert "case post_added" in told(events)
    assert "reopened" not in told(events)
    assert not [w for w in told(run.tick(at("1 14:00"))) if w != "resolution breached"]


def test_a_post_of_before_an_answer_that_is_read_later_is_answered_by_it(run: Run) -> None:
    """It joins and waits for nothing."""
    run.fact(post("1", "14:03", "question"))
    run.fact(reply("r", "14:21"))
    events = run.fact(post("2", "14:10", "question"))
    assert told(events) == ["case post_added"]
    assert changed(events, "post_added").waiting


def test_a_resolve_that_is_read_after_the_customer_came_back_ends_only_what_came_before_it(run: Run) -> None:
    """Resolved at 14:30, back at 14:40, read the other way round: the case was closed and reopened."""
    run.fact(post("1", "14:03", "question"))
    run.fact(post("2", "14:40", "question"))
    events = run.fact(action("a", "resolve", "14:30"))
    assert told(events) == [
        "clock voided", "closed resolved", "reopened", "clock started", "resolution started", "work changed",
    ]  # fmt: skip
    assert clock(events, "started", "first_response").started_at == at("14:40")
    assert work(events, "changed").posts == ["2"]


def test_actions_and_updates_that_come_before_their_post_are_applied_when_it_comes(run: Run) -> None:
    """Relabelled, seen by many: the first that is told is how it is."""
    for fact in (
        action("a", "relabel", "14:10", native_id="1", label="complaint"),
        updated("1", "14:11", reach=61_000),
        action("b", "escalate", "14:12"),
    ):
        assert run.fact(fact) == []
    events: list[Any] = run.fact(post("1", "14:03", "question"))
    opened = events[0]
    assert (opened.label, opened.reach, opened.priority) == ("complaint", 61_000, 1)
    assert clock(events, "started", "first_response").due_at == at("15:03")
    assert told(events)[-2:] == ["case escalated", "work queued"]


def test_a_post_that_was_deleted_or_resolved_before_it_was_read_is_told_and_closed_at_once(run: Run) -> None:
    """No work is queued for it."""
    for before, why in ((deleted("1", "14:10"), "deleted_unanswered"), (action("a", "resolve", "14:10"), "resolved")):
        run = run_of()
        run.fact(before)
        events = run.fact(post("1", "14:03"))
        assert told(events)[:3] == ["opened", "clock started", "clock voided"]
        assert told(events)[-1] == f"closed {why}"
        assert not [w for w in told(events) if w.startswith("work")]


def test_what_waits_for_its_post_is_dropped_after_an_hour(run: Run) -> None:
    """Deleted at 14:10, and the post comes at 15:10: a complaint like any other."""
    run.fact(deleted("1", "14:10"))
    run.tick(at("15:10"))
    assert told(run.fact(post("1", "15:05")))[-1] == "work queued"


def test_an_act_of_before_the_case_does_not_concern_it(run: Run) -> None:
    """Resolved and transferred at 14:00; the customer writes at 14:03."""
    run.fact(action("a", "resolve", "14:00"))
    run.fact(action("b", "transfer", "14:00", desk="billing"))
    queued = work(run.fact(post("1", "14:03")), "queued")
    assert queued.desk == "care"


def test_a_silence_is_taken_back_when_a_word_of_before_it_is_read_later(run: Run) -> None:
    """Closed on day 3 at 14:21; a question of 14:00 on that day had come in time."""
    run.fact(post("1", "14:03", "question"))
    run.fact(reply("r", "14:21"))
    assert told(run.tick(at("3 14:30"))) == ["resolution met", "closed silence"]
    events = run.fact(post("2", "3 14:00", "question"))
    assert told(events)[0] == "reopened"
    assert work(events, "queued").started_at == at("3 14:00")
    run.fact(reply("s", "3 14:25"))
    events = run.tick(at("6 14:30"))
    assert [e.time for e in events if isinstance(e, CaseClosed)] == [at("6 14:25")]


def test_the_desk_of_the_earliest_post_has_the_case() -> None:
    """A question belongs to billing by its rule; it is read after the complaint that came later."""
    rules = [r.model_copy(update={"desk": "billing"}) if r.name == "questions" else r for r in RICH.rules]
    run = run_of(policy_with(RICH, rules=rules))
    assert work(run.fact(post("2", "14:10")), "queued").desk == "care"
    events = run.fact(post("1", "14:03", "question"))
    assert work(events, "queued").desk == "billing"
    assert changed(events, "transferred").reason == "transferred: from care to billing"


def test_more_replies_than_are_kept_answer_what_came_before_them(run: Run) -> None:
    """What they answered is settled: late posts of then ask for nothing, and the first clock stays as it was met."""
    run.fact(post("1", "14:03"))
    for n in range(ANSWERS + 4):
        run.fact(reply(f"r{n}", at("14:21") + n * MINUTE))
    before = len(run.events)
    assert told(run.fact(post("2", "14:10"))) == ["case post_added"]
    assert told(run.fact(reply("early", "14:15"))) == []
    assert told(run.fact(reply("r0", "14:21"))) == []
    assert len(run.events) == before + 1


def test_what_asks_for_nothing_and_came_before_the_case_does_not_join_it(run: Run) -> None:
    """Chatter and a comment to nobody of 14:00, read after the complaint of 14:03."""
    run.fact(post("1", "14:03"))
    assert run.fact(post("0", "14:00", "other")) == []
    assert run.fact(post("00", "14:00", kind="comment", addressed=False)) == []
    assert told(run.fact(post("2", "14:04", "other"))) == ["case post_added"]


def test_thanks_of_before_a_silence_take_it_back_too(run: Run) -> None:
    """Closed on day 3 at 14:21; thanked at 14:00 on that day, so it closes three days after that."""
    run.fact(post("1", "14:03", "question"))
    run.fact(reply("r", "14:21"))
    run.tick(at("3 14:30"))
    assert told(run.fact(post("2", "3 14:00", "praise")))[0] == "reopened"
    assert [e.time for e in run.tick(at("6 15:00")) if isinstance(e, CaseClosed)] == [at("6 14:00")]


def test_a_late_reply_to_what_was_resolved_frees_nobody_who_works_on_what_came_after(run: Run) -> None:
    """Resolved at 14:30, back at 14:40; the reply of 14:21 is to what was before."""
    run.fact(post("1", "14:03", "question"))
    run.fact(action("a", "resolve", "14:30"))
    run.fact(post("2", "14:40", "question"))
    assert not [w for w in told(run.fact(reply("r", "14:21"))) if w.startswith("work answered")]


def test_a_late_reply_to_what_needed_none_frees_nobody_either(run: Run) -> None:
    """The complaint of 14:03 was spam, says somebody at 14:30; that of 14:35 is being worked on."""
    run.fact(post("1", "14:03"))
    run.fact(post("2", "14:35"))
    run.fact(action("a", "no_reply", "14:30", native_id="1"))
    events = run.fact(reply("r", "14:21"))
    assert "clock met" in told(events)
    assert not [w for w in told(events) if w.startswith("work answered")]


def test_a_case_that_is_told_days_after_it_was_closed_is_remembered_as_long(run: Run) -> None:
    """A post of four days ago, resolved then: read again an hour later it opens no second case."""
    run.tick(at("4 14:00"))
    run.fact(action("a", "resolve", "14:10"))
    assert told(run.fact(post("1", "14:03")))[-1] == "closed resolved"
    run.tick(at("4 16:00"))
    assert run.fact(post("1", "14:03")) == []
