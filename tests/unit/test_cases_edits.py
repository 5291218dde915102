"""Cases: a post that its author edits, that its network hides and shows again, and clocks that disagree."""

from __future__ import annotations

from typing import Any

import pytest

from agents.cases.state import VERSIONS
from schemas.own_time import own_time, skew
from tests.support.care_facts import MINUTE, POLICY, action, at, deleted, post, reply, updated
from tests.support.care_rows import case_rows, clock_rows
from tests.support.cases_told import RICH, changed, clock, policy_with, record, run_of, told, work
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00."""
    return run_of(RICH)


def edited(native_id: str, when: str | int, label: Any, lang: str = "es") -> Any:
    """New words, and what classify says of them."""
    return updated(native_id, when, text="other words", label=label, classified_lang=lang, uncertain=False)


# --- edits ---


def test_praise_that_is_edited_into_a_complaint_has_the_clock_of_one_since_the_edit(run: Run) -> None:
    """Posted at 14:03, edited at 14:20: due at 15:20, and what was due of the thanks is void."""
    run.fact(post("1", "14:03", "praise"))
    events = run.fact(edited("1", "14:20", "complaint"))
    assert told(events)[:4] == ["case label", "clock voided", "clock started", "resolution started"]
    started = clock(events, "started", "first_response")
    assert (started.started_at, started.due_at, started.target_ms) == (at("14:20"), at("15:20"), 60 * MINUTE)
    assert "edited" in clock(events, "voided").reason
    assert (work(events, "changed").label, work(events, "changed").posts) == ("complaint", ["1"])
    assert "clock breached" in told(run.tick(at("15:21")))


@pytest.mark.parametrize(("lang", "spoken"), [("und", "es"), ("pt", "pt")])
def test_new_words_that_tell_no_language_leave_the_post_s_own(run: Run, lang: str, spoken: str) -> None:
    """An edit carries no tag of the network, so words that tell nothing are no reason to forget the first one."""
    run.fact(post("1", "14:03", "praise"))
    run.fact(edited("1", "14:20", "complaint", lang))
    assert record(run).observed.messages[-1].lang == spoken


def test_an_answer_before_the_edit_answers_the_old_words_only(run: Run) -> None:
    """The thanks are answered at 14:10; the complaint of 14:20 waits."""
    run.fact(post("1", "14:03", "praise"))
    run.fact(reply("r", "14:10"))
    started = clock(run.fact(edited("1", "14:20", "complaint")), "started", "next_response")
    assert (started.started_at, started.due_at) == (at("14:20"), at("15:20"))


def test_an_edit_that_means_the_same_changes_nothing(run: Run) -> None:
    """A slip of the pen corrected at 14:50; what an operator said of the post stands too."""
    run.fact(post("1", "14:03"))
    assert run.fact(edited("1", "14:50", "complaint")) == []
    run.fact(action("a", "relabel", "14:51", native_id="1", label="question"))
    assert run.fact(edited("1", "14:55", "complaint")) == []


def test_graver_words_put_off_nothing_that_was_promised(run: Run) -> None:
    """A question of 14:03 is due at 16:03; as a complaint of 15:30 it still is, and not at 16:30."""
    run.fact(post("1", "14:03", "question"))
    run.tick(at("15:30"))
    started = clock(run.fact(edited("1", "15:30", "complaint")), "started", "first_response")
    assert (started.started_at, started.due_at, started.label) == (at("15:30"), at("16:03"), "complaint")


def test_a_breach_of_the_old_words_stands(run: Run) -> None:
    """The complaint of 14:03 was late at 15:03; that it is praise since 15:30 takes nothing back."""
    run.fact(post("1", "14:03"))
    run.tick(at("15:30"))
    events = run.fact(edited("1", "15:30", "praise"))
    assert "clock rescinded" not in told(events)
    assert clock(events, "voided", "first_response").breached_at == at("15:03")
    assert clock(events, "started", "first_response").non_sla


def test_an_edit_reopens_a_closed_case_and_says_so(run: Run) -> None:
    """Resolved at 14:10; the author writes a complaint into the post at 14:30."""
    run.fact(post("1", "14:03", "praise"))
    run.fact(action("a", "resolve", "14:10"))
    events: list[Any] = run.fact(edited("1", "14:30", "complaint"))
    assert told(events)[0] == "reopened"
    assert events[0].reason.endswith("its author has edited the post")


def test_an_edit_that_is_here_before_its_post_waits_for_it(run: Run) -> None:
    """And makes a case of what would have opened none."""
    assert run.fact(edited("1", "14:05", "complaint")) == []
    events = run.fact(post("1", "14:03", "other"))
    assert told(events)[:2] == ["opened", "clock started"]
    assert clock(events, "started", "first_response").started_at == at("14:05")


def test_edits_read_in_the_wrong_order_end_as_the_last_words_say(run: Run) -> None:
    """A question since 14:10, as it was at first; in between, from 14:05 on, a complaint that comes last."""
    run.fact(post("1", "14:03", "question"))
    run.fact(edited("1", "14:10", "question"))
    run.fact(edited("1", "14:05", "complaint"))
    assert [m.label for m in record(run).observed.messages] == ["question", "complaint", "question"]


def test_what_an_operator_says_after_an_edit_is_about_the_new_words(run: Run) -> None:
    """No reply is needed to the thanks; to the complaint of 14:20 one is, until that is spam too."""
    run.fact(post("1", "14:03", "praise"))
    run.fact(action("a", "no_reply", "14:10", native_id="1"))
    assert "clock started" in told(run.fact(edited("1", "14:20", "complaint")))
    assert "closed no_reply" in told(run.fact(action("b", "no_reply", "14:30", native_id="1")))


def test_an_edit_and_a_deletion_of_the_same_moment_end_the_case_in_either_order() -> None:
    """Nobody can answer it any more."""
    for facts in ((edited, deleted), (deleted, edited)):
        run = run_of(RICH)
        run.fact(post("1", "14:03", "praise"))
        for fact in facts:
            run.fact(fact("1", "14:20", "complaint") if fact is edited else deleted("1", "14:20"))
        assert any(name == "closed deleted_unanswered" for name in told(run.events))
        emitted = record(run).emitted
        assert emitted is not None and emitted.close_reason == "deleted_unanswered"


def test_a_post_edited_without_end_keeps_its_last_versions(run: Run) -> None:
    """A thousand times praise and complaint in turn."""
    run.fact(post("1", "14:03", "praise"))
    for n in range(1_000):
        run.fact(edited("1", at("14:04") + n, ("complaint", "praise")[n % 2]))
    kept = record(run).observed.messages
    assert len(kept) == VERSIONS
    assert kept[-1].label == "praise"
    run.fact(edited("1", "15:00", "complaint"))
    emitted = record(run).emitted
    assert emitted is not None and emitted.label == "complaint"


# --- hidden posts ---


def test_a_hidden_post_is_withdrawn_as_a_deleted_one_is(run: Run) -> None:
    """By default: its clock is void, nobody works on it, the reason says why."""
    run.fact(post("1", "14:03"))
    events: list[Any] = run.fact(updated("1", "14:10", hidden=True))
    assert told(events) == ["clock voided", "work withdrawn", "resolution voided", "closed deleted_unanswered"]
    assert clock(events, "voided", "first_response").reason.endswith("hidden: the post was hidden before any answer")
    assert events[-1].reason.startswith("hidden: ")


def test_a_hidden_post_stays_due_where_the_policy_keeps_it() -> None:
    """A brand that hides complaints itself can be held to answer them."""
    brand = POLICY.brand("andina").model_copy(update={"hidden": "keep"})
    run = run_of(policy_with(POLICY, brands=[brand]))
    run.fact(post("1", "14:03"))
    assert run.fact(updated("1", "14:10", hidden=True)) == []
    assert "clock breached" in told(run.tick(at("15:04")))


def test_a_post_that_is_shown_again_waits_from_then_on(run: Run) -> None:
    """Hidden at 14:10, to be seen again at 14:40: due at 15:40."""
    run.fact(post("1", "14:03"))
    run.fact(updated("1", "14:10", hidden=True))
    events: list[Any] = run.fact(updated("1", "14:40", hidden=False))
    assert told(events)[:2] == ["reopened", "clock started"]
    assert "shown again" in events[0].reason
    assert clock(events, "started", "first_response").due_at == at("15:40")
    assert run.fact(updated("1", "14:41", hidden=False)) == []


# --- clocks that disagree ---


@pytest.mark.parametrize(("created", "received", "own"), [("15:00", "14:03", "14:03"), ("14:03", "15:00", "14:03")])
def test_a_post_has_its_time_by_the_earlier_of_two_clocks(run: Run, created: str, received: str, own: str) -> None:
    """It cannot have been received before it was written: what it is due, and whether it was answered, follow from that."""
    mention = post("1", created, received_at=at(received))
    started = clock(run.fact(mention), "started", "first_response")
    assert (started.started_at, started.due_at) == (at(own), at(own) + 60 * MINUTE)
    assert clock(run.fact(reply("r", "14:20")), "met", "first_response").breached_at is None
    assert own_time(mention.mention) == at(own)
    assert skew(mention.mention) == max(0, at(created) - at(received))


def test_replies_actions_and_updates_have_their_times_so_too(run: Run) -> None:
    """Each says 19:00 and was received within the hour."""
    run.fact(post("1", "14:03"))
    run.fact(post("2", "14:04", author="u1"))
    events = run.fact(updated("2", "19:00", deleted=True, received_at=at("14:10")))
    assert "case dismissed" in told(events)
    assert clock(run.fact(reply("r", "19:00", received_at=at("14:20"))), "met", "first_response").met_at == at("14:20")
    run.fact(action("a", "resolve", "19:00", received_at=at("14:30")))
    assert clock(run.events, "met", "resolution").met_at == at("14:30")


def test_a_reply_is_never_before_the_post_that_it_names(run: Run) -> None:
    """The network's clock is forty minutes ahead, and nobody says when the post was received."""
    run.fact(post("1", "14:45"))
    events = run.fact(reply("r", "14:05", in_reply_to="1"))
    assert clock(events, "met", "first_response").met_at == at("14:45")
    assert changed(events, "answered").replied_at == at("14:45")
    again = run_of(RICH)
    again.fact(reply("r", "14:05", in_reply_to="1"))
    assert "clock met" in told(again.fact(post("1", "14:45")))


def test_a_reply_that_names_an_earlier_post_answers_up_to_its_own_time(run: Run) -> None:
    """What the customer wrote after it still waits."""
    run.fact(post("1", "14:03"))
    run.fact(post("2", "14:30"))
    events = run.fact(reply("r", "14:20", in_reply_to="1"))
    assert clock(events, "met", "first_response").met_at == at("14:20")
    assert "clock next 1 started" in told(events)


# --- edits that are read in the wrong order ---


def test_two_edits_read_in_the_wrong_order_leave_the_due_that_the_right_order_gives(run: Run) -> None:
    """A question of 14:03 becomes praise at 15:29 and a complaint at 15:30: praise promised nothing, so 16:30 is its due."""
    other = run_of(RICH)
    praise, complaint = edited("1", "15:29", "praise"), edited("1", "15:30", "complaint")
    for to, edits in ((run, (praise, complaint)), (other, (complaint, praise))):
        to.fact(post("1", "14:03", "question"))
        for edit in edits:
            to.fact(edit)
    for to in (run, other):
        row = next(
            row for key, row in clock_rows(to.events).items() if row.state == "running" and key[1] != "resolution"
        )
        assert (row.label, row.started_at, row.due_at) == ("complaint", at("15:30"), at("16:30"))


def test_a_relabel_that_is_read_before_an_earlier_edit_leaves_the_old_words_their_priority(run: Run) -> None:
    """A question, resolved, edited at 14:20 and relabelled as praise at 14:30: the old words are a question again."""
    other = run_of(RICH)
    edit, relabel = edited("1", "14:20", "complaint"), action("b", "relabel", "14:30", native_id="1", label="praise")
    for to, facts in ((run, (edit, relabel)), (other, (relabel, edit))):
        to.fact(post("1", "14:03", "question"))
        to.fact(reply("r", "14:05"))
        to.fact(action("a", "resolve", "14:10"))
        for fact in facts:
            to.fact(fact)
    rows = [next(iter(case_rows(to.events).values()))._replace(reopened=0) for to in (run, other)]
    assert rows[0] == rows[1]
    assert (rows[0].label, rows[0].priority) == ("question", 4)
