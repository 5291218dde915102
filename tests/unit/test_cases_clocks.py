"""Cases: when a clock warns, breaches and moves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.cases import CasesDecider
from agents.policy import Brand, Policy, Rule, parse
from agents.policy.matching import Match
from schemas.records import ClockChanged
from tests.support.care_facts import HOUR, MINUTE, POLICY, action, at, post, reply, updated
from tests.support.cases_told import RICH, changed, clock, policy_with, run_of, told, work
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """Cases at 14:00."""
    return run_of()


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


# --- relabels ---


def test_relabelling_to_a_graver_label_tightens_from_the_messages_own_start(run: Run) -> None:
    """A question of 14:03 (due 16:03) is a complaint: due 15:03."""
    run.fact(post("1", "14:03", "question"))
    events = run.fact(action("a", "relabel", "14:20", native_id="1", label="complaint"))
    assert told(events) == ["case label", "clock tightened", "work changed"]
    assert clock(events, "tightened").due_at == at("15:03")


def test_a_relabel_tightened_past_now_stamps_the_breach_then(run: Run) -> None:
    """At 15:30 the question of 14:03 turns out to be a complaint that was due 15:03."""
    run.fact(post("1", "14:03", "question"))
    run.tick(at("15:30"))
    breached = clock(run.fact(action("a", "relabel", "14:20", native_id="1", label="complaint")), "breached")
    assert (breached.breached_at, breached.detected_at, breached.late_arrival) == (
        at("15:03"),
        at("15:30"),
        False,
    )


def test_a_relabel_loosened_past_a_breach_rescinds_it(run: Run) -> None:
    """The complaint due 15:03 was a question due 16:03; it breaches then."""
    run.fact(post("1", "14:03"))
    run.tick(at("15:30"))
    events = run.fact(action("a", "relabel", "14:20", native_id="1", label="question"))
    assert told(events) == ["case label", "clock rescinded", "work changed"]
    assert clock(events, "rescinded").due_at == at("16:03")
    assert "clock breached" in told(run.tick(at("16:04")))


def test_relabelling_to_chatter_voids_the_clock(run: Run) -> None:
    """No rule gives `other` a target."""
    run.fact(post("1", "14:03"))
    events = run.fact(action("a", "relabel", "14:20", native_id="1", label="other"))
    assert told(events) == ["case label", "clock voided", "work changed"]
    assert work(events, "changed").due_at is None


def test_a_relabel_of_an_answered_message_recomputes_its_clock_too(run: Run) -> None:
    """Answered 15:30, late for a complaint; it was a question: in time, and the breach is taken back."""
    run.fact(post("1", "14:03"))
    run.tick(at("15:40"))
    assert clock(run.fact(reply("r", "15:30")), "met").breached_at == at("15:03")
    events = run.fact(action("a", "relabel", "15:45", native_id="1", label="question"))
    assert told(events) == ["case label", "clock rescinded"]
    assert (clock(events, "rescinded").due_at, clock(events, "rescinded").met_at) == (at("16:03"), at("15:30"))


def test_a_relabel_to_no_target_after_the_answer_leaves_the_clock_met(run: Run) -> None:
    """What was promised and kept stays on record."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    assert told(run.fact(action("a", "relabel", "14:30", native_id="1", label="other"))) == ["case label"]


def test_of_two_relabels_the_later_by_its_own_time_holds(run: Run) -> None:
    """Said at 14:30 to be a question; that it was praise, said 14:20, is read afterwards."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "relabel", "14:30", native_id="1", label="question"))
    events = run.fact(action("b", "relabel", "14:20", native_id="1", label="praise"))
    assert changed(events, "label").label == "question"
    assert not [e for e in events if isinstance(e, ClockChanged)]


def test_a_message_relabelled_to_nothing_and_back_goes_on_with_its_clock(run: Run) -> None:
    """Void at 14:20, resumed at 14:30 with the due of 15:03."""
    run.fact(post("1", "14:03"))
    run.fact(action("a", "relabel", "14:20", native_id="1", label="other"))
    events = run.fact(action("b", "relabel", "14:30", native_id="1", label="complaint"))
    assert told(events) == ["case label", "clock resumed", "work changed"]
    assert clock(events, "resumed").due_at == at("15:03")


def test_a_relabel_makes_thanks_after_an_answer_ask_for_one(run: Run) -> None:
    """The thanks of 14:30 were meant bitterly: the next clock runs from its own time."""
    run.fact(post("1", "14:03"))
    run.fact(reply("r", "14:21"))
    run.fact(post("2", "14:30", "praise"))
    events = run.fact(action("a", "relabel", "14:50", native_id="2", label="complaint"))
    assert told(events) == ["case label", "clock next 1 started", "work queued"]
    assert clock(events, "started").started_at == at("14:30")


# --- reach and promotion learnt later ---


def test_reach_learnt_later_changes_the_priority_and_skills_and_never_the_clock() -> None:
    """The rule for what many see has 30 min; the clock of 60 stays."""
    run = run_of(RICH)
    run.fact(post("1", "14:03", reach=180))
    events = run.fact(updated("1", "14:20", reach=61_000))
    assert told(events) == ["case priority", "work changed"]
    assert (changed(events, "priority").priority, changed(events, "priority").reach) == (1, 61_000)
    told_work = work(events, "changed")
    assert (told_work.priority, told_work.skills, told_work.due_at) == (1, ["press"], at("15:03"))


def test_promotion_learnt_later_is_told_once_and_only_growth_of_the_reach_is() -> None:
    """A smaller reach than known, the same again, and how often it is shared change nothing."""
    run = run_of(RICH)
    run.fact(post("1", "14:03", reach=180))
    assert changed(run.fact(updated("1", "14:20", promoted=True)), "priority").promoted
    for more in ({"promoted": True}, {"reach": 100}, {"hidden": False}, {"shares": 5}, {"reach": 180}):
        assert run.fact(updated("1", "14:21", **more)) == []
    assert told(run.fact(updated("1", "14:22", reach=300))) == ["case priority"]


# --- calendars ---


NIGHTS = """
[classifier]
model = "{model}"

[[brands]]
name = "andina"
zone = "{zone}"
calendar = [{{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "22:00", to = "06:00" }}]
holidays = [2026-12-25]

[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "4h"
{more}
"""


def nightly(more: str = "", zone: str = "UTC") -> Policy:
    """Complaints are due in four hours of the night."""
    return parse(NIGHTS.format(model="0" * 64, more=more, zone=zone), version=3)


def test_a_calendar_moves_the_due_and_the_warnings_with_it_across_midnight() -> None:
    """A complaint of 14:03 is due at 02:00; half of its four hours is used at midnight."""
    run = run_of(nightly())
    started = clock(run.fact(post("1", "14:03")), "started")
    assert (started.due_at, started.target_ms) == (at("1 02:00"), 4 * HOUR)
    assert "target 4 h" in started.reason
    warned = [e for e in run.tick(at("2 00:00")) if isinstance(e, ClockChanged)]
    assert [e.time for e in warned] == [at("1 00:00"), at("1 01:00"), at("1 01:36"), at("1 02:00") + 1]


def test_a_paused_resolution_goes_on_with_what_the_calendar_had_left_of_it() -> None:
    """Four hours of the night from 14:03; paused from 23:00, three are left when it goes on at 23:30: 02:30."""
    run = run_of(nightly('resolution = "4h"'))
    run.fact(post("1", "14:03"))
    run.tick(at("23:00"))
    assert clock(run.fact(reply("r", "23:00")), "paused").due_at == at("1 02:00")
    run.tick(at("23:30"))
    resumed = clock(run.fact(post("2", "23:30")), "resumed", "resolution")
    assert (resumed.due_at, resumed.target_ms, resumed.paused_ms) == (at("1 02:30"), 4 * HOUR, 30 * MINUTE)
    half = next(e for e in run.tick(at("1 03:00")) if isinstance(e, ClockChanged) and e.metric == "resolution")
    assert (half.warned, half.time) == (50, at("1 00:30"))


def test_a_holiday_and_the_hour_that_a_day_lacks_move_the_due() -> None:
    """Closed on 25 December: the night that begins then does not count. In New York the night to 14 March has 7 hours."""
    for posted, due in (
        (datetime(2026, 12, 25, 12, tzinfo=UTC), datetime(2026, 12, 27, 2, tzinfo=UTC)),
        (datetime(2027, 3, 14, 1, tzinfo=NEW_YORK), datetime(2027, 3, 14, 6, tzinfo=NEW_YORK)),
    ):
        zone = "UTC" if posted.tzinfo is UTC else "America/New_York"
        run = Run(CasesDecider(), nightly(zone=zone))
        run.tick(ms(posted))
        started = clock(run.fact(post("1", ms(posted))), "started")
        assert (started.due_at, started.target_ms) == (ms(due), 4 * HOUR)


def test_same_day_ends_at_local_midnight_also_on_the_days_that_clocks_change() -> None:
    """In New York, 1 November 2026 has 25 hours and 14 March 2027 has 23."""
    rules = [Rule(name="same day", match=Match(label=["question"]), target="same_day")]
    brands = [Brand(name="andina", zone="America/New_York")]
    policy = Policy(version=3, classifier=POLICY.classifier, brands=brands, rules=rules)
    for posted, due in (
        (datetime(2026, 11, 1, 0, 30, tzinfo=NEW_YORK), datetime(2026, 11, 2, tzinfo=NEW_YORK)),
        (datetime(2027, 3, 14, 0, 30, tzinfo=NEW_YORK), datetime(2027, 3, 15, tzinfo=NEW_YORK)),
        (datetime(2027, 3, 14, 23, 59, tzinfo=NEW_YORK), datetime(2027, 3, 15, 1, 59, tzinfo=NEW_YORK)),
    ):
        run = Run(CasesDecider(), policy)
        run.tick(ms(posted))
        started = clock(run.fact(post("1", ms(posted), "question")), "started")
        assert started.due_at == ms(due)
        assert set(told(run.tick(ms(due)))) == {"clock warned"}
        assert "clock breached" in told(run.tick(ms(due) + 1))


def ms(when: datetime) -> int:
    """ms of a zoned time."""
    return int(when.timestamp() * 1000)


NEW_YORK = ZoneInfo("America/New_York")


def test_a_clock_that_is_due_in_a_year_is_kept_warns_and_breaches() -> None:
    """365 days from 14:03."""
    year: Any = "365d"
    rules = [Rule(name="complaints", match=Match(label=["complaint"]), target=year)]
    run = run_of(Policy(version=3, classifier=POLICY.classifier, brands=POLICY.brands, rules=rules))
    run.fact(post("1", "14:03"))
    assert told(run.tick(at("365 14:03"))) == ["clock warned"] * 3
    (breached,) = run.tick(at("365 14:04"))
    assert breached.time == at("365 14:03") + 1


# --- policy ---


def test_a_clock_keeps_its_target_when_the_policy_changes_and_a_new_post_takes_the_new_one(run: Run) -> None:
    """Complaints get 30 min from now on: the running clock stays at 15:03, the second post is due 14:40."""
    run.fact(post("1", "14:03", "complaint"))
    run.policy = _with_target(POLICY, 30 * MINUTE)
    assert "clock breached" not in told(run.tick(at("14:38")))
    assert clock(run.fact(post("2", "14:10")), "tightened").due_at == at("14:40")


def _with_target(policy: Policy, target: int) -> Policy:
    return policy_with(policy, rules=[policy.rules[0].model_copy(update={"target": target}), *policy.rules[1:]])
