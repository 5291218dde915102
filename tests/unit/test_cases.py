"""Cases: what opens one, what joins it, what answers it, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from agents.policy.parts import duration
from schemas.records import CaseChanged, CaseClosed, CaseOpened, ClockChanged, WorkChanged
from tests.support.care_facts import MINUTE, POLICY, action, at, post, reply
from tests.support.cases_told import RICH, clock, policy_with, run_of, told, work
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00."""
    return run_of()


# --- what opens a case ---


def test_a_complaint_opens_a_case_starts_its_clock_and_queues_its_work(run: Run) -> None:
    """Posted 14:03 with a target of 60 min: due 15:03."""
    run.tick(at("14:04"))
    events: list[Any] = run.fact(post("1", "14:03", conversation_id="0", author_followers=180))
    assert told(events) == ["opened", "clock started", "work queued"]
    opened, started, queued = events
    assert (opened.mode, opened.desk, opened.priority, opened.label) == ("live", "care", 2, "complaint")
    assert (opened.time, opened.policy, opened.cause) == (at("14:04"), 3, post("1", "14:03").mention.id)
    assert (started.started_at, started.due_at, started.target_ms) == (at("14:03"), at("15:03"), 60 * MINUTE)
    assert (started.metric, started.cycle, started.non_sla) == ("first_response", 1, False)
    assert [e.aggregate for e in (opened, started)] == [opened.aggregate] * 2
    assert [opened.seq, started.seq, queued.seq] == [1, 2, 1]
    assert queued.case_id == opened.aggregate != queued.aggregate
    assert (queued.due_at, queued.posts, queued.conversation, queued.followers) == (
        at("15:03"),
        ["1"],
        "0",
        180,
    )


@pytest.mark.parametrize(
    "fact",
    [
        post("1", "14:03", own=True),
        post("1", "14:03", brand="rival"),
        post("1", "14:03", kind="share"),
        post("1", "14:03", label="other"),
    ],
    ids=["the brand's own", "a brand without care", "a share", "chatter"],
)
def test_what_asks_for_nothing_opens_nothing(run: Run, fact: Any) -> None:
    """No event and no record."""
    assert run.fact(fact) == []
    assert run.state == {}


def test_the_same_post_twice_changes_nothing(run: Run) -> None:
    """A second delivery is silent."""
    run.fact(post("1", "14:03"))
    assert run.fact(post("1", "14:03")) == []


def test_praise_gets_a_courtesy_clock_where_the_policy_says_so(run: Run) -> None:
    """24 h on twitter."""
    started = clock(run.fact(post("1", "14:03", "praise")), "started")
    assert started.non_sla
    assert started.due_at == at("1 14:03")


def test_a_case_without_a_target_has_no_clock_and_closes_after_a_day(run: Run) -> None:
    """Praise on a channel with no rule for it."""
    assert told(run.fact(post("1", "14:03", "praise", channel="blog"))) == ["opened", "work queued"]
    assert run.tick(at("1 14:02:59")) == []
    events: list[Any] = run.tick(at("1 14:05"))
    assert told(events) == ["work withdrawn", "resolution met", "closed no_target"]
    assert events[-1].time == at("1 14:03")


@pytest.mark.parametrize("target", ["12h", "24h", "36h"])
def test_praise_that_nobody_answers_is_told_late_and_closes_then_or_after_a_day(target: str) -> None:
    """Whatever the non-SLA target is, its breach is emitted before the case closes."""
    non_sla = POLICY.rules[-1].model_copy(update={"target": duration(target)})
    run = run_of(policy_with(POLICY, rules=[*POLICY.rules[:-1], non_sla]))
    run.fact(post("1", "14:03", "praise"))
    events: list[Any] = run.tick(at("2 14:03"))
    ends = [name for name in told(events) if "warned" not in name]
    assert ends == ["clock breached", "clock voided", "work withdrawn", "resolution met", "closed no_target"]
    due = at("14:03") + duration(target)
    assert clock(events, "breached").breached_at == clock(events, "voided").breached_at == due
    assert events[-1].time == max(due + 1, at("1 14:03"))


def test_a_late_answer_to_praise_is_late_however_its_case_has_ended(run: Run) -> None:
    """At 24 h the case closes by itself; the answer after 25 h meets the non-SLA clock, late."""
    run.fact(post("1", "14:03", "praise"))
    run.tick(at("1 15:00"))
    run.fact(reply("r", "1 15:03"))
    assert [e.change for e in run.events if isinstance(e, ClockChanged) and e.metric == "first_response"][-3:] == [
        "breached",
        "voided",
        "met",
    ]
    assert clock(run.events, "met", "first_response").breached_at == at("1 14:03")


def test_praise_answered_exactly_when_it_is_due_is_in_time(run: Run) -> None:
    """The case waits for that answer."""
    run.fact(post("1", "14:03", "praise"))
    run.tick(at("1 14:03"))
    assert clock(run.fact(reply("r", "1 14:03")), "met").breached_at is None


def test_praise_that_waits_beside_a_later_post_closes_a_day_after_that_one(run: Run) -> None:
    """The non-SLA clock of 14:03 is late on the next day; the chatter of 18:00 keeps the case until 18:00."""
    run.fact(post("1", "14:03", "praise"))
    run.tick(at("18:00"))
    run.fact(post("2", "18:00", "other"))
    assert "clock breached" in told(run.tick(at("1 17:59")))
    assert told(run.tick(at("1 18:00")))[-1] == "closed no_target"


def test_a_courtesy_that_is_due_after_the_case_might_close_keeps_it_open() -> None:
    """Where cases without a target close after an hour: this case does when its non-SLA target of 24 h is due."""
    hasty = policy_with(POLICY, cases=POLICY.cases.model_copy(update={"no_target": 60 * MINUTE}))
    run = run_of(hasty)
    run.fact(post("1", "14:03", "praise"))
    assert "closed no_target" not in told(run.tick(at("1 14:02")))
    assert "closed no_target" not in told(run.tick(at("1 14:03")))
    assert "closed no_target" in told(run.tick(at("1 14:04")))


def test_a_question_without_a_target_closes_after_a_day_and_one_with_a_target_never() -> None:
    """Where no rule gives a question a target, and where one does."""
    bare = policy_with(POLICY, rules=[])
    for policy, closes in ((bare, True), (POLICY, False)):
        run = run_of(policy)
        run.fact(post("1", "14:03", "question"))
        run.tick(at("60 00:00"))
        assert any(isinstance(e, CaseClosed) for e in run.events) == closes


def test_an_unanswered_complaint_never_closes_by_itself() -> None:
    """Neither with a breached clock nor without any target."""
    for policy in (POLICY, policy_with(POLICY, rules=[])):
        run = run_of(policy)
        run.fact(post("1", "14:03"))
        run.tick(at("60 00:00"))
        assert not [e for e in run.events if isinstance(e, CaseClosed)]


# --- posts that join ---


def test_a_graver_second_post_tightens_the_clock_and_changes_the_work(run: Run) -> None:
    """A question of 14:03 is due 16:03; a complaint of 14:10 is due 15:10."""
    run.fact(post("1", "14:03", "question"))
    events = run.fact(post("2", "14:10", "complaint"))
    assert told(events) == ["case post_added", "clock tightened", "work changed"]
    tightened = clock(events, "tightened")
    assert (tightened.due_at, tightened.started_at, tightened.label) == (
        at("15:10"),
        at("14:03"),
        "complaint",
    )
    changed = work(events, "changed")
    assert (changed.label, changed.priority, changed.due_at, changed.seq) == ("complaint", 2, at("15:10"), 2)
    assert changed.posts == ["1", "2"]


def test_a_later_post_never_loosens_the_clock(run: Run) -> None:
    """A second complaint or a question leaves due at 15:03."""
    run.fact(post("1", "14:03"))
    assert told(run.fact(post("2", "14:10"))) == ["case post_added"]
    assert told(run.fact(post("3", "14:12", "question"))) == ["case post_added"]


def test_a_late_earlier_post_is_placed_by_its_own_time(run: Run) -> None:
    """A complaint of 13:50 read after that of 14:03: due 14:50."""
    run.fact(post("1", "14:03"))
    tightened = clock(run.fact(post("0", "13:50")), "tightened")
    assert (tightened.started_at, tightened.due_at) == (at("13:50"), at("14:50"))


def test_a_post_that_arrives_overdue_breaches_at_once_as_a_late_arrival(run: Run) -> None:
    """Posted 12:00, due 13:00, read 14:00; no warning for moments already passed."""
    events = run.fact(post("1", "12:00"))
    assert told(events) == ["opened", "clock started", "clock breached", "work queued"]
    breached = clock(events, "breached")
    assert (breached.breached_at, breached.detected_at, breached.late_arrival) == (
        at("13:00"),
        at("14:00"),
        True,
    )
    assert run.tick(at("18:00")) == []


# --- answers ---


def test_a_human_reply_meets_the_clock_and_puts_the_case_in_waiting(run: Run) -> None:
    """Replied 14:21, from whatever tool: the work is answered."""
    run.fact(post("1", "14:03"))
    events: list[Any] = run.fact(reply("r", "14:21", visibility="private"))
    assert told(events) == ["clock met", "case answered", "work answered"]
    met, answered, done = events
    assert (met.met_at, met.privately, met.breached_at) == (at("14:21"), True, None)
    assert (answered.waiting, answered.replied_at, answered.operator) == (True, at("14:21"), "ana")
    assert answered.reply_id == reply("r", "14:21").id
    assert (done.seq, done.operator) == (2, "ana")
    assert run.tick(at("20:00")) == []


def test_a_reply_exactly_at_due_is_in_time(run: Run) -> None:
    """Due 15:03:00.000, replied then, read after the Tick of that moment."""
    run.fact(post("1", "14:03"))
    run.tick(at("15:03"))
    assert clock(run.fact(reply("r", "15:03")), "met").breached_at is None


@pytest.mark.parametrize("kind", ["automatic", "holding"])
def test_only_a_human_reply_stops_a_clock(run: Run, kind: str) -> None:
    """Automatic and holding replies change nothing."""
    run.fact(post("1", "14:03"))
    assert run.fact(reply("r", "14:21", kind)) == []


def test_the_same_reply_twice_changes_nothing(run: Run) -> None:
    """A second delivery is silent."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    before = dict(run.state)
    assert run.fact(reply("r", "14:21")) == []
    assert run.state == before


def test_a_reply_at_the_very_moment_of_the_post_answers_it(run: Run) -> None:
    """Networks' times are whole seconds: both 14:03:00."""
    run.fact(post("1", "14:03"))
    assert "clock met" in told(run.fact(reply("r", "14:03")))


def test_a_late_reply_read_before_the_tick_breaches_first_and_is_met_late(run: Run) -> None:
    """Due 15:03, replied 15:10, while the watermark is still 14:00."""
    run.fact(post("1", "14:03"))
    events = run.fact(reply("r", "15:10"))
    assert told(events)[:2] == ["clock breached", "clock met"]
    met = clock(events, "met")
    assert (met.met_at, met.breached_at, met.detected_at) == (at("15:10"), at("15:03"), at("15:10"))


def test_a_reply_in_time_that_is_read_after_the_breach_rescinds_it(run: Run) -> None:
    """Replied 15:00, read 15:30; history is kept, the clock ends in time."""
    run.fact(post("1", "14:03"))
    assert "clock breached" in told(run.tick(at("15:30")))
    events = run.fact(reply("r", "15:00"))
    assert told(events) == ["clock rescinded", "clock met", "case answered", "work answered"]
    assert clock(events, "rescinded").breached_at is None
    assert clock(events, "met").breached_at is None


def test_a_reply_before_the_message_does_not_answer_it(run: Run) -> None:
    """Replied 14:00 to something else; the complaint is of 14:03."""
    run.fact(post("1", "14:03"))
    assert run.fact(reply("r", "14:00")) == []


def test_a_reply_answers_what_came_before_it_and_the_rest_goes_on_with_the_next_clock(run: Run) -> None:
    """Posts of 14:03 and 14:30, a reply of 14:21 read after both."""
    run.fact(post("1", "14:03", "question"))
    run.fact(post("2", "14:30", "complaint"))
    events = run.fact(reply("r", "14:21"))
    assert told(events) == [
        "clock met",
        "clock next 1 started",
        "case answered",
        "work answered",
        "work queued",
    ]
    assert clock(events, "met").due_at == at("16:03"), "the later complaint no longer tightens the first clock"
    started = clock(events, "started")
    assert (started.started_at, started.due_at) == (at("14:30"), at("15:30"))
    answered = next(e for e in events if isinstance(e, CaseChanged))
    assert (answered.waiting, answered.label) == (False, "complaint")
    assert work(events, "queued").aggregate != work(events, "answered").aggregate


def test_a_reply_read_before_its_mention_is_kept_and_answers_it_at_once(run: Run) -> None:
    """Replied 14:21, the post of 14:03 read only at 17:00: in time, no breach, nothing to work on."""
    assert run.fact(reply("r", "14:21")) == []
    run.tick(at("17:00"))
    events = run.fact(post("1", "14:03"))
    assert told(events) == ["opened", "clock started", "clock met", "case answered"]
    assert clock(events, "met").breached_at is None


def test_a_reply_without_its_mention_is_forgotten_after_72_hours(run: Run) -> None:
    """Kept from 14:21 until three days later."""
    run.fact(reply("r", "14:21"))
    run.tick(at("3 14:20"))
    assert len(run.state) == 1
    run.tick(at("3 14:21"))
    assert run.state == {}


# --- after the answer ---


def test_thanks_after_the_answer_are_added_and_start_nothing(run: Run) -> None:
    """Praise has a clock with a non-SLA target, but not after an answer."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    for fact in (post("2", "14:30", "praise"), post("3", "14:31", "other")):
        (added,) = run.fact(fact)
        assert isinstance(added, CaseChanged)
        assert (added.change, added.waiting) == ("post_added", True)


def test_another_complaint_while_waiting_starts_the_next_clock_and_a_new_round_of_work(run: Run) -> None:
    """The cycles of next_response count 1, 2."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    assert told(run.fact(post("2", "14:30"))) == ["case post_added", "clock next 1 started", "work queued"]
    assert "clock next 1 met" in told(run.fact(reply("s", "14:40")))
    assert "clock next 2 started" in told(run.fact(post("3", "14:50", "question")))
    queued = [e for e in run.events if isinstance(e, WorkChanged) and e.change == "queued"]
    assert len({e.aggregate for e in queued}) == 3
    assert [e.seq for e in queued] == [1, 1, 1]


def test_silence_of_72_hours_after_the_last_word_closes_the_case(run: Run) -> None:
    """Replied 14:21, thanked 14:30: closed three days after 14:30."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(post("2", "14:30", "praise"))
    assert run.tick(at("3 14:29")) == []
    events: list[Any] = run.tick(at("3 15:00"))
    assert told(events) == ["resolution met", "closed silence"]
    assert events[-1].time == at("3 14:30")


def test_a_question_soon_after_the_closing_reopens_the_case(run: Run) -> None:
    """Within 72 h; thanks and chatter are added and reopen nothing."""
    (case_id,) = {e.aggregate for e in run.fact(post("1", "14:03")) if isinstance(e, CaseOpened)}
    run.fact(reply("r", "14:21"))
    run.tick(at("4 00:00"))
    for fact in (post("2", "4 00:00", "praise"), post("3", "4 00:00", "other")):
        assert told(run.fact(fact)) == ["case post_added"]
    events = run.fact(post("4", "4 00:01", "question"))
    assert told(events) == ["reopened", "clock next 1 started", "resolution resumed", "work queued"]
    assert events[0].aggregate == case_id


def test_praise_reopens_a_case_that_was_resolved_without_an_answer_and_chatter_does_not(run: Run) -> None:
    """Thanks follow an answer; this praise is the first that the brand could answer."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "resolve", "14:10"))
    assert told(run.fact(post("2", "14:20", "other"))) == ["case post_added"]
    assert told(run.fact(post("3", "14:30", "praise")))[:2] == ["reopened", "clock started"]


def test_a_post_long_after_the_closing_opens_a_new_case_and_the_old_one_is_forgotten(run: Run) -> None:
    """Closed on day 3 at 14:21; remembered until day 6 at 15:21, for posts that are read an hour late."""
    first = run.fact(post("1", "14:03"))[0]
    run.fact(reply("r", "14:21"))
    run.tick(at("6 15:20"))
    assert len(run.state) == 1
    run.tick(at("6 15:30"))
    assert run.state == {}
    again = run.fact(post("2", "6 15:30"))[0]
    assert isinstance(again, CaseOpened)
    assert again.aggregate != first.aggregate


def test_a_post_of_72_hours_after_the_closing_reopens_though_it_is_read_later(run: Run) -> None:
    """Closed on day 3 at 14:21; of two posts read at 15:00 on day 6 that of 14:21 reopens, that of 14:22 begins anew."""
    for late, word in (("6 14:21", "reopened"), ("6 14:22", "opened")):
        run = run_of()
        run.fact(post("1", "14:03"))
        run.fact(reply("r", "14:21"))
        run.tick(at("6 15:00"))
        assert told(run.fact(post("2", late)))[0] == word


# --- comments, shares and own accounts ---


def test_a_comment_opens_a_case_only_if_it_addresses_the_brand(run: Run) -> None:
    """Or where the policy takes them all."""
    comment = post("1", "14:03", kind="comment", addressed=False)
    assert run.fact(comment) == []
    assert run.state == {}
    assert told(run.fact(post("2", "14:04", kind="comment")))[0] == "opened"
    brand = POLICY.brands[0].model_copy(update={"comments": "all"})
    every = run_of(policy_with(POLICY, brands=[brand]))
    assert told(every.fact(comment))[0] == "opened"


def test_a_comment_to_nobody_joins_the_customers_open_case(run: Run) -> None:
    """The complaint of 14:03 is open when he goes on at 14:10 under somebody's post."""
    run.fact(post("1", "14:03"))
    assert told(run.fact(post("2", "14:10", kind="comment", addressed=False))) == ["case post_added"]


def test_a_comment_to_nobody_counts_where_the_brand_had_answered_the_customer(run: Run) -> None:
    """Answered and closed, or answered by a reply to a post that never came."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(action("a", "resolve", "14:30"))
    assert told(run.fact(post("2", "14:40", kind="comment", addressed=False)))[0] == "reopened"
    other = run_of()
    other.fact(reply("r", "14:21"))
    assert told(other.fact(post("2", "14:40", kind="comment", addressed=False)))[0] == "opened"


def test_a_comment_to_nobody_is_left_alone_where_the_closed_case_was_never_answered(run: Run) -> None:
    """Resolved without a word."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "resolve", "14:30"))
    assert run.fact(post("2", "14:40", kind="comment", addressed=False)) == []


def test_a_reply_of_an_app_that_the_policy_calls_automatic_stops_no_clock() -> None:
    """Whatever its producer says; the same words by a person's tool do."""
    run = run_of(RICH)
    run.fact(post("1", "14:03"))
    assert run.fact(reply("r", "14:05", app="autoresponder")) == []
    assert "clock met" in told(run.fact(reply("s", "14:06", app="input_topic")))


def test_every_reply_to_the_case_is_told_though_nothing_was_left_to_answer(run: Run) -> None:
    """The second part of an answer counts as an answer given, and starts and stops nothing."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    (again,) = run.fact(reply("s", "14:22"))
    assert isinstance(again, CaseChanged)
    assert (again.change, again.replied_at, again.waiting) == ("answered", at("14:22"), True)


def test_a_case_tells_the_brands_time_zone() -> None:
    """By which a share answered on the same day is counted."""
    opened = run_of(RICH).fact(post("1", "14:03"))[0]
    assert isinstance(opened, CaseOpened)
    assert opened.zone == "America/Bogota"


# --- the work ---


def test_work_tells_until_when_the_network_lets_the_brand_answer() -> None:
    """24 h after the customer's newest message; it moves with each."""
    run = run_of(RICH)
    queued = work(run.fact(post("1", "14:03", channel="whatsapp", kind="message", visibility="private")), "queued")
    assert queued.window_closes_at == at("1 14:03")
    later = post("2", "14:10", channel="whatsapp", kind="message", visibility="private")
    assert work(run.fact(later), "changed").window_closes_at == at("1 14:10")
    assert work(run.fact(post("3", "14:12")), "queued").window_closes_at is None


def test_work_wants_the_skills_of_the_rule_that_sets_the_due() -> None:
    """What many see is for the press; the clock of a simple complaint beside it is later."""
    run = run_of(RICH)
    assert work(run.fact(post("1", "14:03")), "queued").skills == []
    assert work(run.fact(post("2", "14:05", reach=60_000)), "changed").skills == ["press"]
