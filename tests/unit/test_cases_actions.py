"""Cases: what operators do, and what customers take back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.decider import Unusable
from schemas.records import CaseChanged, CaseClosed, ClockChanged, WorkChanged
from tests.support.care_facts import HOUR, POLICY, action, at, deleted, post, reply
from tests.support.cases_told import RICH, changed, clock, run_of, told, work
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00, under the policy with two desks."""
    return run_of(RICH)


# --- resolve and reopen ---


def test_resolving_an_unanswered_case_voids_its_clock_and_withdraws_its_work() -> None:
    """And the same action again, after the customer came back, changes nothing."""
    run = run_of()
    run.fact(post("1", "14:03"))
    events: list[Any] = run.fact(action("a", "resolve", "14:10"))
    assert told(events) == ["clock voided", "work withdrawn", "resolution met", "closed resolved"]
    assert "resolved" in events[0].reason
    assert events[-1].operator == "ana"
    assert "reopened" in told(run.fact(post("2", "14:20")))
    assert run.fact(action("a", "resolve", "14:10")) == []


def test_a_reply_after_an_operators_resolve_meets_the_clock_and_reopens_nothing() -> None:
    """In time when it is of 14:50, late when it is of 15:10; the case stays closed."""
    for replied, breached_at in (("14:50", None), ("15:10", at("15:03"))):
        run = run_of()
        run.fact(post("1", "14:03"))
        run.fact(action("a", "resolve", "14:30"))
        run.tick(at("15:20"))
        events = run.fact(reply("r", replied))
        met = clock(events, "met")
        assert (met.met_at, met.breached_at) == (at(replied), breached_at)
        assert told(events)[-1] == "case answered"
        assert told(run.tick(at("1 14:00"))) == []


def test_an_operator_can_reopen_a_closed_case() -> None:
    """It waits for the customer and closes on silence."""
    run = run_of()
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(action("a", "resolve", "14:30"))
    assert told(run.fact(action("b", "reopen", "14:40"))) == ["reopened", "resolution resumed", "case waiting"]
    events: list[Any] = run.tick(at("3 15:00"))
    assert told(events) == ["resolution met", "closed silence"]
    assert events[-1].time == at("3 14:40")


# --- no_reply and deletion ---


def test_no_reply_closes_the_only_message_and_with_it_the_case(run: Run) -> None:
    """Spam needs no answer, and was not resolved."""
    run.fact(post("1", "14:03", "question"))
    events = run.fact(action("a", "no_reply", "14:10", native_id="1", no_reply="spam"))
    assert told(events) == ["clock voided", "work withdrawn", "closed no_reply"]
    assert events[-1].reason == "no_reply: marked spam by an operator"


def test_no_reply_to_one_message_leaves_the_others_their_clock(run: Run) -> None:
    """The complaint of 14:03 is spam; the question of 14:10 stays, due 16:10."""
    run = run_of()
    run.fact(post("1", "14:03"))
    run.fact(post("2", "14:10", "question"))
    events = run.fact(action("a", "no_reply", "14:20", native_id="1", no_reply="spam"))
    assert told(events) == ["clock loosened", "case dismissed", "work changed"]
    moved, dismissed = clock(events, "loosened"), changed(events, "dismissed")
    assert (moved.started_at, moved.due_at) == (at("14:10"), at("16:10"))
    assert dismissed.post is not None
    assert (dismissed.post.native_id, dismissed.label, dismissed.waiting) == ("1", "question", False)


def test_no_reply_to_the_last_message_of_an_answered_case_leaves_it_waiting() -> None:
    """It closes by silence."""
    run = run_of()
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(post("2", "14:30"))
    events = run.fact(action("a", "no_reply", "14:40", native_id="2", no_reply="troll"))
    assert told(events) == ["clock next 1 voided", "case dismissed", "work withdrawn"]
    assert changed(events, "dismissed").waiting


def test_a_reply_after_no_reply_or_a_deletion_meets_nothing() -> None:
    """Only one of before answers the message all the same."""
    for taken_back in (action("a", "no_reply", "14:10", native_id="1"), deleted("1", "14:10")):
        for replied, words in (("14:20", ["case answered"]), ("14:08", ["clock met", "case answered"])):
            run = run_of()
            run.fact(post("1", "14:03"))
            run.fact(taken_back)
            events = run.fact(reply("r", replied))
            assert [w for w in told(events) if w.startswith(("clock", "case answered"))] == words


def test_a_post_deleted_before_any_answer_closes_its_case() -> None:
    """Its clock is void and its work withdrawn."""
    run = run_of()
    run.fact(post("1", "14:03"))
    assert told(run.fact(deleted("1", "14:05"))) == ["clock voided", "work withdrawn", "closed deleted_unanswered"]


def test_a_post_deleted_after_the_answer_changes_nothing(run: Run) -> None:
    """Also where the deletion of 14:30 is read before the reply of 14:21: the clock is met."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    assert run.fact(deleted("1", "14:25")) == []
    late = run_of(RICH)
    late.fact(post("1", "14:03"))
    late.fact(deleted("1", "14:30"))
    events = late.fact(reply("r", "14:21"))
    assert clock(events, "met").met_at == at("14:21")
    assert "reopened" in told(events)


# --- wait ---


def test_wait_puts_the_case_in_waiting_and_lets_its_response_clock_run_on(run: Run) -> None:
    """The resolution pauses from 14:10; 15:03 passes without an answer."""
    run.fact(post("1", "14:03"))
    events = run.fact(action("a", "wait", "14:10"))
    assert told(events) == ["resolution paused", "case waiting", "work changed"]
    assert (changed(events, "waiting").waiting, changed(events, "waiting").operator) == (True, "ana")
    assert clock(events, "paused").paused_at == at("14:10")
    assert "clock breached" in told(run.tick(at("15:04")))


def test_the_customers_next_message_ends_the_waiting(run: Run) -> None:
    """Of 14:30: 20 minutes are left out of the resolution, whose due moves from 18:03 to 18:23."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "wait", "14:10"))
    events = run.fact(post("2", "14:30", "other"))
    assert told(events) == ["case post_added", "resolution resumed", "work changed"]
    assert not changed(events, "post_added").waiting
    assert (clock(events, "resumed").due_at, clock(events, "resumed").paused_ms) == (at("18:23"), 20 * 60_000)


# --- mute ---


def test_mute_voids_the_clock_closes_the_case_and_lets_posts_open_nothing_until_its_end(run: Run) -> None:
    """From 14:10 to 18:00; they are kept with the case, and that of 18:00 reopens it."""
    run.fact(post("1", "14:03"))
    events: list[Any] = run.fact(action("a", "mute", "14:10", until=at("18:00")))
    assert told(events) == ["case muted", "clock voided", "work withdrawn", "resolution voided", "closed muted"]
    assert events[0].muted_until == at("18:00")
    assert "muted" in events[1].reason
    assert told(run.fact(post("2", "14:30"))) == ["case post_added"]
    run.tick(at("18:00"))
    assert told(run.fact(post("3", "17:59"))) == ["case post_added"]
    assert told(run.fact(post("4", "18:00")))[:2] == ["reopened", "clock started"]


def test_a_reopening_ends_the_mute_and_says_so(run: Run) -> None:
    """Muted at 14:10 by mistake, until the next week; reopened at 14:12. The complaint of 14:40 has its clock."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "mute", "14:10", until=at("7 00:00")))
    events: list[Any] = run.fact(msgspec.structs.replace(action("b", "reopen", "14:12"), operator=None))
    assert told(events) == ["reopened", "case muted"]
    assert events[0].reason == "reopened: by an operator"
    assert (events[1].muted_until, events[1].reason.partition(",")[0]) == (at("14:12"), "muted: no longer")
    assert told(run.fact(post("2", "14:40"))) == [
        "case post_added",
        "clock started",
        "resolution started",
        "work queued",
    ]


def test_a_mute_that_a_reopening_ended_stays_ended_when_both_are_forgotten(run: Run) -> None:
    """Without a case, and with one that silence closed and time forgot: a complaint within the mute opens a case."""
    run.fact(action("a", "mute", "14:00", until=at("30 00:00")))
    run.fact(action("b", "reopen", "14:10"))
    run.tick(at("18:00"))
    assert "opened" in told(run.fact(post("1", "18:00")))
    run.fact(action("c", "mute", "18:10", until=at("30 00:00")))
    run.fact(action("d", "reopen", "18:20"))
    run.tick(at("9 00:00"))
    assert "opened" in told(run.fact(post("2", "9 00:00")))


def test_a_mute_after_a_reopening_holds(run: Run) -> None:
    """Muted, reopened, muted again: a post of then opens nothing."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "mute", "14:10", until=at("30 00:00")))
    run.fact(action("b", "reopen", "14:12"))
    run.fact(action("c", "mute", "14:20", until=at("20 00:00")))
    run.tick(at("9 00:00"))
    assert run.fact(post("2", "9 00:00")) == []
    run.tick(at("20 00:00"))
    assert "opened" in told(run.fact(post("3", "20 00:00")))


def test_a_reply_after_a_mute_meets_nothing(run: Run) -> None:
    """The clock stays void."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "mute", "14:10", until=at("18:00")))
    assert told(run.fact(reply("r", "14:20"))) == ["case answered"]


def test_a_mute_works_without_a_case_and_is_forgotten_an_hour_after_its_end(run: Run) -> None:
    """A post of 17:59 opens nothing though it is read after 18:00; one of 18:00 does."""
    assert run.fact(action("a", "mute", "14:10", until=at("18:00"))) == []
    assert run.fact(post("1", "14:20")) == []
    run.tick(at("18:30"))
    assert run.fact(post("2", "17:59")) == []
    run.tick(at("18:59"))
    assert len(run.state) == 1
    run.tick(at("19:00"))
    assert run.state == {}
    assert told(run.fact(post("3", "18:00")))[0] == "opened"


def test_a_later_mute_replaces_an_earlier_and_so_ends_it(run: Run) -> None:
    """Muted until 18:00, then until 14:30."""
    run.fact(action("a", "mute", "14:10", until=at("18:00")))
    run.fact(action("b", "mute", "14:20", until=at("14:30")))
    assert run.fact(post("1", "14:25")) == []
    assert told(run.fact(post("2", "14:31")))[0] == "opened"


def test_a_mute_outlasts_the_case_that_it_closed(run: Run) -> None:
    """A case closed by it is forgotten after 73 h, the mute of a week is not, however much was done meanwhile."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "mute", "14:10", until=at("7 14:00")))
    for n in range(20):
        run.fact(action(f"w{n}", "wait", at("14:20") + n))
    run.tick(at("5 00:00"))
    assert run.fact(post("2", "5 00:00")) == []
    run.tick(at("7 14:00"))
    assert told(run.fact(post("3", "7 14:00")))[0] == "opened"


# --- transfer and escalate ---


def test_transfer_takes_the_work_from_one_desk_and_queues_it_at_the_other(run: Run) -> None:
    """A new round, with the clock as it was; the case's later events name the new desk."""
    first = work(run.fact(post("1", "14:03")), "queued")
    events = run.fact(action("a", "transfer", "14:10", desk="billing"))
    assert told(events) == ["work withdrawn", "case transferred", "work queued"]
    withdrawn, moved, queued = work(events, "withdrawn"), changed(events, "transferred"), work(events, "queued")
    assert (withdrawn.desk, moved.desk, queued.desk) == ("care", "billing", "billing")
    assert (queued.started_at, queued.due_at) == (first.started_at, first.due_at)
    assert (withdrawn.aggregate, queued.aggregate != first.aggregate) == (first.aggregate, True)
    assert [e.desk for e in run.fact(reply("r", "14:21"))] == ["billing"] * 4  # type: ignore[attr-defined]


def test_transfer_of_a_waiting_case_moves_no_work(run: Run) -> None:
    """Nothing is queued anywhere."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    assert told(run.fact(action("a", "transfer", "14:30", desk="billing"))) == ["case transferred"]


def test_transfer_to_a_desk_that_no_policy_knows_becomes_a_dead_letter_with_what_to_do(run: Run) -> None:
    """It names the desk and the policy's version."""
    run.fact(post("1", "14:03"))
    with pytest.raises(Unusable, match=r"transfer to desk 'billings', which policy 4 does not list: .*billing, care"):
        run.fact(action("a", "transfer", "14:10", desk="billings"))


def test_escalate_makes_the_work_urgent_and_gives_it_to_the_responsible_person(run: Run) -> None:
    """The clock runs as it ran."""
    run.fact(post("1", "14:03"))
    events = run.fact(action("a", "escalate", "14:10"))
    assert told(events) == ["case escalated", "work changed"]
    assert (changed(events, "escalated").priority, changed(events, "escalated").operator) == (1, "ana")
    told_work = work(events, "changed")
    assert (told_work.priority, told_work.operator, told_work.due_at) == (1, "boss", at("15:03"))


def test_an_escalated_case_stays_urgent_until_it_closes(run: Run) -> None:
    """Through an answer and a second question; not after the customer comes back to the closed case."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "escalate", "14:10"))
    run.fact(reply("r", "14:21"))
    assert work(run.fact(post("2", "14:30", "question")), "queued").priority == 1
    run.fact(action("b", "resolve", "14:40"))
    assert work(run.fact(post("3", "14:50", "question")), "queued").priority == 4


@pytest.mark.parametrize("kind", ["transfer", "escalate", "wait"])
def test_what_changes_the_work_never_changes_a_response_clock(run: Run, kind: str) -> None:
    """No event of a response clock follows."""
    run.fact(post("1", "14:03"))
    events = run.fact(action("a", kind, "14:10", desk="billing"))
    assert not [e for e in events if isinstance(e, ClockChanged) and e.metric != "resolution"]


# --- forget ---


def test_forgetting_a_customer_in_the_middle_of_everything_leaves_no_record(run: Run) -> None:
    """Answered, transferred, muted before, with actions that wait for their post: the case ends, and nothing is kept."""
    run.fact(action("m", "mute", "13:00", until=at("13:30")))
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(action("t", "transfer", "14:25", desk="billing"))
    run.fact(post("2", "14:30"))
    run.fact(action("n", "no_reply", "14:35", native_id="unknown"))
    events = run.fact(action("f", "forget", "14:40"))
    assert told(events) == ["resolution voided", "clock next 1 voided", "work withdrawn", "closed forgotten"]
    assert run.state == {}
    assert run.fact(action("f", "forget", "14:40")) == []
    assert run.tick(at("9 00:00")) == []


def test_forgetting_somebody_who_is_not_known_leaves_no_record(run: Run) -> None:
    """And tells nothing."""
    assert run.fact(action("f", "forget", "14:40")) == []
    assert run.state == {}


# --- what cannot be used ---


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("mute", {}, "send until"),
        ("transfer", {}, "send desk"),
        ("relabel", {"native_id": "1"}, "send label"),
        ("relabel", {"label": "complaint"}, "send native_id"),
        ("no_reply", {}, "send native_id"),
        ("unknown", {}, "a kind that this version does not know"),
    ],
)
def test_an_action_that_lacks_something_becomes_a_dead_letter_with_what_to_send(
    run: Run, kind: str, fields: dict[str, Any], said: str
) -> None:
    """It is no event, and changes nothing."""
    run.fact(post("1", "14:03"))
    before = dict(run.state)
    with pytest.raises(Unusable, match=said):
        run.fact(action("a", kind, "14:10", **fields))
    assert run.state == before


def test_actions_on_an_unknown_case_wait_an_hour_and_are_dropped(run: Run) -> None:
    """Nothing is told, and nothing is kept after that."""
    for n, kind in enumerate(("resolve", "reopen", "wait", "escalate", "transfer", "relabel", "no_reply")):
        assert run.fact(action(f"a{n}", kind, "14:10", native_id="1", label="praise", desk="billing")) == []
    assert run.fact(deleted("1", "14:10")) == []
    assert len(run.state) == 1
    run.tick(at("14:59"))
    assert len(run.state) == 1
    run.tick(at("15:00"))
    assert run.state == {}
    assert run.events == []


def test_a_brand_without_care_keeps_nothing_of_actions_and_updates() -> None:
    """Only volumes count there."""
    run = run_of(POLICY)
    facts = [post("1", "14:03", brand="rival"), reply("r", "14:05", brand="rival")]
    for fact in facts:
        assert run.fact(fact) == []
    assert run.state == {}


def test_none_of_a_days_worth_of_actions_is_told_twice(run: Run) -> None:
    """Each once more: no event."""
    run.fact(post("1", "14:03"))
    acts = [
        action("a", "wait", "14:10"),
        action("b", "escalate", "14:12"),
        action("c", "transfer", "14:14", desk="billing"),
        action("d", "relabel", "14:16", native_id="1", label="question"),
        action("e", "mute", "14:18", until=at("14:20")),
        action("f", "reopen", "14:22"),
        action("g", "resolve", "14:24"),
        action("h", "no_reply", "14:26", native_id="1"),
    ]
    for act in acts:
        run.fact(act)
    before = len(run.events)
    for act in acts:
        run.fact(act)
    assert len(run.events) == before
    kinds = {type(e) for e in run.events}
    assert {CaseChanged, CaseClosed, ClockChanged, WorkChanged} <= kinds
    run.tick(run.time + HOUR)


def test_a_post_of_the_very_moment_of_the_mute_is_muted(run: Run) -> None:
    """It reopens nothing."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "resolve", "14:05"))
    run.fact(action("b", "mute", "14:10", until=at("18:00")))
    assert told(run.fact(post("2", "14:10"))) == ["case post_added"]
