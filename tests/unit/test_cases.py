"""Cases: what opens, joins, warns, breaches, answers and closes, and when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.cases import Cases
from agents.cases.state import MESSAGES, Customer
from agents.policy import Policy
from schemas.records import CaseChanged, CaseClosed, CaseOpened, CaseReopened, ClockChanged, WorkChanged
from tests.care_facts import HOUR, MINUTE, POLICY, action, at, deleted, post, reply
from tests.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00."""
    started = Run(Cases(), POLICY)
    started.tick(at("14:00"))
    return started


def told(events: list[Any]) -> list[str]:
    """Each event in a word or two, in order."""
    return [_word(e) for e in events]


def _word(event: Any) -> str:
    match event:
        case CaseOpened():
            return "opened"
        case CaseReopened():
            return "reopened"
        case CaseClosed():
            return f"closed {event.why}"
        case CaseChanged():
            return f"case {event.change}"
        case ClockChanged():
            short = "" if event.metric == "first_response" else f"next {event.cycle} "
            return f"clock {short}{event.change}"
        case WorkChanged():
            return f"work {event.change}"
    return type(event).__name__


def clock(events: list[Any], change: str) -> ClockChanged:
    """The only clock event of that change."""
    (event,) = [e for e in events if isinstance(e, ClockChanged) and e.change == change]
    return event


def work(events: list[Any], change: str) -> WorkChanged:
    """The only work event of that change."""
    (event,) = [e for e in events if isinstance(e, WorkChanged) and e.change == change]
    return event


# --- what opens a case ---


def test_a_complaint_opens_a_case_starts_its_clock_and_queues_its_work(run: Run) -> None:
    """Posted 14:03 with a target of 60 min: due 15:03."""
    run.tick(at("14:04"))
    events: list[Any] = run.fact(post("1", "14:03", conversation_id="0", author_followers=180))
    assert told(events) == ["opened", "clock started", "work queued"]
    opened, started, queued = events
    assert (opened.mode, opened.desk, opened.priority, opened.label) == ("live", "care", 2, "complaint")
    assert (opened.time, opened.policy, opened.cause) == (at("14:04"), 3, post("1", "14:03").mention.id)
    assert (started.started_at, started.due_at, started.target) == (at("14:03"), at("15:03"), 60 * MINUTE)
    assert (started.metric, started.cycle, started.courtesy) == ("first_response", 1, False)
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
    assert started.courtesy
    assert started.due_at == at("1 14:03")


def test_a_case_without_a_target_has_no_clock_and_closes_after_a_day(run: Run) -> None:
    """Praise on a channel with no rule for it."""
    assert told(run.fact(post("1", "14:03", "praise", channel="blog"))) == ["opened", "work queued"]
    assert run.tick(at("1 14:02:59")) == []
    events: list[Any] = run.tick(at("1 14:05"))
    assert told(events) == ["work withdrawn", "closed no_target"]
    assert events[-1].time == at("1 14:03")


def test_an_unanswered_complaint_never_closes_by_itself() -> None:
    """Neither with a breached clock nor without any target."""
    for policy in (POLICY, POLICY.model_copy(update={"rules": []})):
        run = Run(Cases(), policy)
        run.tick(at("14:00"))
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


# --- warnings and breaches ---


def test_warnings_and_the_breach_come_each_once_at_its_own_time(run: Run) -> None:
    """50, 75 and 90 % of an hour from 14:00, and the breach a millisecond after due, in one jump of time."""
    run.fact(post("1", "14:00"))
    events: list[Any] = run.tick(at("16:00"))
    assert told(events) == ["clock warned"] * 3 + ["clock breached"]
    assert [e.warned for e in events] == [50, 75, 90, None]
    assert [e.time for e in events] == [at("14:30"), at("14:45"), at("14:54"), at("15:00") + 1]
    breached = events[-1]
    assert (breached.breached_at, breached.detected_at, breached.late_arrival) == (
        at("15:00"),
        at("16:00"),
        False,
    )
    assert breached.reason == "overdue: complaint on twitter, target 60 min, no reply by 2026-11-20T15:00:00Z"
    assert run.tick(at("20:00")) == []


def test_warnings_that_have_passed_when_the_post_is_read_are_not_sent(run: Run) -> None:
    """Posted 13:30, read 14:00: 50 % is now, no longer ahead; 75 % (14:15) is."""
    run.fact(post("1", "13:30"))
    assert [e.warned for e in run.tick(at("14:25")) if isinstance(e, ClockChanged)] == [75, 90]


def test_a_warning_is_not_given_twice_when_the_clock_moves(run: Run) -> None:
    """50 % given at 15:03 for a question; the complaint of 15:10 moves due to 16:00 (from 16:03) only."""
    run.fact(post("1", "14:03", "question"))
    assert told(run.tick(at("15:04"))) == ["clock warned"]
    run.fact(post("2", "15:00", "complaint"))
    assert [e.warned for e in run.tick(at("16:00")) if isinstance(e, ClockChanged)] == [75, 90]


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
    """Due 15:03, replied 15:10, while the partition's time is still 14:00."""
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
    """Praise has a courtesy clock, but not after an answer."""
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
    assert told(events) == ["closed silence"]
    assert events[0].time == at("3 14:30")


def test_a_question_soon_after_the_closing_reopens_the_case(run: Run) -> None:
    """Within 72 h; thanks do not."""
    (case_id,) = {e.aggregate for e in run.fact(post("1", "14:03")) if isinstance(e, CaseOpened)}
    run.fact(reply("r", "14:21"))
    run.tick(at("4 00:00"))
    assert run.fact(post("2", "4 00:00", "praise")) == []
    events = run.fact(post("3", "4 00:01", "question"))
    assert told(events) == ["reopened", "clock next 1 started", "work queued"]
    assert events[0].aggregate == case_id


def test_a_post_long_after_the_closing_opens_a_new_case_and_the_old_one_is_forgotten(run: Run) -> None:
    """Closed on day 3 at 14:21; forgotten on day 6."""
    first = run.fact(post("1", "14:03"))[0]
    run.fact(reply("r", "14:21"))
    run.tick(at("6 14:20"))
    assert len(run.state) == 1
    run.tick(at("6 14:30"))
    assert run.state == {}
    again = run.fact(post("2", "6 14:30"))[0]
    assert isinstance(again, CaseOpened)
    assert again.aggregate != first.aggregate


# --- operators and updates ---


def test_resolving_an_unanswered_case_voids_its_clock_and_withdraws_its_work(run: Run) -> None:
    """And the same action again, after the customer came back, changes nothing."""
    run.fact(post("1", "14:03"))
    events: list[Any] = run.fact(action("a", "resolve"))
    assert told(events) == ["clock voided", "work withdrawn", "closed resolved"]
    assert "resolved" in events[0].reason
    assert events[-1].operator == "ana"
    assert "reopened" in told(run.fact(post("2", "14:10")))
    assert run.fact(action("a", "resolve")) == []


def test_relabelling_to_a_graver_label_tightens_from_the_messages_own_start(run: Run) -> None:
    """A question of 14:03 (due 16:03) is a complaint: due 15:03."""
    run.fact(post("1", "14:03", "question"))
    events = run.fact(action("a", "relabel", native_id="1", label="complaint"))
    assert told(events) == ["case label", "clock tightened", "work changed"]
    assert clock(events, "tightened").due_at == at("15:03")


def test_a_relabel_tightened_past_now_stamps_the_breach_then(run: Run) -> None:
    """At 15:30 the question of 14:03 turns out to be a complaint that was due 15:03."""
    run.fact(post("1", "14:03", "question"))
    run.tick(at("15:30"))
    breached = clock(run.fact(action("a", "relabel", native_id="1", label="complaint")), "breached")
    assert (breached.breached_at, breached.detected_at, breached.late_arrival) == (
        at("15:03"),
        at("15:30"),
        False,
    )


def test_a_relabel_loosened_past_a_breach_rescinds_it(run: Run) -> None:
    """The complaint due 15:03 was a question due 16:03; it breaches then."""
    run.fact(post("1", "14:03"))
    run.tick(at("15:30"))
    events = run.fact(action("a", "relabel", native_id="1", label="question"))
    assert told(events) == ["case label", "clock rescinded", "work changed"]
    assert clock(events, "rescinded").due_at == at("16:03")
    assert "clock breached" in told(run.tick(at("16:04")))


def test_relabelling_to_chatter_voids_the_clock(run: Run) -> None:
    """No rule gives `other` a target."""
    run.fact(post("1", "14:03"))
    events = run.fact(action("a", "relabel", native_id="1", label="other"))
    assert told(events) == ["case label", "clock voided", "work changed"]
    assert work(events, "changed").due_at is None


def test_no_reply_closes_the_only_message_and_with_it_the_case(run: Run) -> None:
    """Spam needs no answer."""
    run.fact(post("1", "14:03"))
    events = run.fact(action("a", "no_reply", native_id="1", no_reply="spam"))
    assert told(events) == ["clock voided", "work withdrawn", "closed no_reply"]


def test_no_reply_to_one_message_leaves_the_others_their_clock(run: Run) -> None:
    """The complaint of 14:03 is spam; the question of 14:10 stays, due 16:10."""
    run.fact(post("1", "14:03"))
    run.fact(post("2", "14:10", "question"))
    events = run.fact(action("a", "no_reply", native_id="1", no_reply="spam"))
    assert told(events) == ["clock loosened", "case label", "work changed"]
    moved = clock(events, "loosened")
    assert (moved.started_at, moved.due_at) == (at("14:10"), at("16:10"))
    assert moved.reason.startswith("loosened:")


def test_forgetting_a_customer_ends_his_case_and_leaves_no_record(run: Run) -> None:
    """His replies and ids go too."""
    run.fact(post("1", "14:03"))
    assert told(run.fact(action("a", "forget"))) == ["clock voided", "work withdrawn", "closed forgotten"]
    assert run.state == {}


def test_an_operator_can_reopen_a_closed_case(run: Run) -> None:
    """It waits for the customer and closes on silence."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(action("a", "resolve"))
    assert told(run.fact(action("b", "reopen"))) == ["reopened"]
    assert told(run.tick(at("3 14:30"))) == ["closed silence"]


@pytest.mark.parametrize("kind", ["mute", "wait", "transfer", "escalate"])
def test_other_actions_change_nothing_yet(run: Run, kind: str) -> None:
    """They are taken without an event."""
    run.fact(post("1", "14:03"))
    assert run.fact(action("a", kind)) == []


def test_a_post_deleted_before_any_answer_closes_its_case(run: Run) -> None:
    """Its clock is void and its work withdrawn."""
    run.fact(post("1", "14:03"))
    assert told(run.fact(deleted("1", "14:05"))) == [
        "clock voided",
        "work withdrawn",
        "closed deleted_unanswered",
    ]


def test_a_post_deleted_after_the_answer_changes_nothing(run: Run) -> None:
    """The clock stays met."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    assert run.fact(deleted("1", "14:25")) == []


# --- policy and bounds ---


def test_a_clock_keeps_its_target_when_the_policy_changes_and_a_new_post_takes_the_new_one(run: Run) -> None:
    """Complaints get 30 min from now on: the running clock stays at 15:03, the second post is due 14:40."""
    run.fact(post("1", "14:03", "complaint"))
    run.policy = _with_target(POLICY, 30 * MINUTE)
    assert "clock breached" not in told(run.tick(at("14:38")))
    assert clock(run.fact(post("2", "14:10")), "tightened").due_at == at("14:40")


def _with_target(policy: Policy, target: int) -> Policy:
    rules = [policy.rules[0].model_copy(update={"target": target}), *policy.rules[1:]]
    return policy.model_copy(update={"rules": rules})


def test_a_record_stays_small_however_much_a_customer_writes(run: Run) -> None:
    """500 posts and 100 replies with long ids; the first clock is still right."""
    run.fact(post("first", "14:03", url="https://example.com/" + "x" * 100))
    for n in range(500):
        run.fact(post(f"{n:040}", at("14:10") + n, url="https://example.com/" + "x" * 100))
    (record,) = run.state.values()
    assert isinstance(record, Customer) and record.case is not None
    assert len(record.case.messages) == MESSAGES
    assert record.case.more == 451
    assert len(msgspec.msgpack.encode(record)) < 32_768
    assert clock(run.fact(reply("r", "14:30")), "met").started_at == at("14:03")
    for n in range(100):
        run.fact(reply(f"more {n}", at("15:00") + n * HOUR))
        run.fact(post(f"again {n}", at("15:00") + n * HOUR + MINUTE))
    (record,) = run.state.values()
    assert record.case.nexts == 100
    changes = [e.change for e in run.events if isinstance(e, ClockChanged)]
    assert (changes.count("met"), changes.count("started"), changes.count("voided")) == (100, 101, 0)
    assert len(record.case.clocks) <= 6
    assert len(msgspec.msgpack.encode(record)) < 32_768


def test_a_state_record_survives_the_changelog(run: Run) -> None:
    """Encoded and decoded by `record_types` it is the same."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    (record,) = run.state.values()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Cases.record_types) == record
