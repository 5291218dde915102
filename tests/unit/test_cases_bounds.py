"""Cases: one customer's record stays small and right, whatever comes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.cases import CasesDecider
from agents.cases.state import ANSWERS, CASE_ACTIONS, MESSAGES, POST_CHANGES
from schemas.records import ClockChanged
from tests.support.care_facts import HOUR, MINUTE, action, at, deleted, post, reply, updated
from tests.support.cases_told import RICH, clock, record, run_of, size, told, work
from tests.support.decider_runner import Run

LIMIT = 32_768


@pytest.fixture
def run() -> Run:
    """Cases at 14:00."""
    return run_of(RICH)


def test_a_case_with_ten_thousand_posts_keeps_fifty_and_its_clocks(run: Run) -> None:
    """With long ids and addresses; the first post and the one that sets the due are among them."""
    run.fact(post("first", "14:03", "question"))
    for n in range(10_000):
        label = "complaint" if n == 300 else "question"
        run.fact(post(f"{n:0200}", at("14:10") + n, label, url="https://example.com/" + "x" * 250))
    kept = record(run).observed.messages
    assert len(kept) == MESSAGES
    assert (kept[0].native_id, any(m.label == "complaint" for m in kept)) == ("first", True)
    assert size(run) < LIMIT
    events = run.fact(reply("r", "14:30"))
    met = clock(events, "met", "first_response")
    assert (met.started_at, met.due_at) == (at("14:03"), at("15:10") + 300)
    assert work(events, "answered").posts == []


def test_ids_and_addresses_of_any_length_fit(run: Run) -> None:
    """An id of 100,000 characters is found again; an address of that length is left out."""
    long = "9" * 100_000
    run.fact(post(long, "14:03", url=f"https://example.com/{long}", conversation_id=long))
    assert size(run) < 1_000
    assert run.fact(post(long, "14:03")) == []
    assert "clock voided" in told(run.fact(deleted(long, "14:05")))


def test_a_thousand_replies_and_posts_in_turn_are_each_timed(run: Run) -> None:
    """A thousand next responses; the record holds the last few."""
    run.fact(post("first", "14:03"))
    for n in range(1_000):
        run.fact(reply(f"r{n}", at("15:00") + n * HOUR))
        run.fact(post(f"p{n}", at("15:00") + n * HOUR + MINUTE))
    changes = [e.change for e in run.events if isinstance(e, ClockChanged) and e.metric != "resolution"]
    assert (changes.count("met"), changes.count("started"), changes.count("voided")) == (1_000, 1_001, 0)
    known = record(run).observed
    assert len(known.answers) <= ANSWERS
    assert size(run) < 2_000


def test_a_thousand_actions_and_updates_leave_a_small_record_that_still_decides(run: Run) -> None:
    """On one case, and about posts that never come."""
    run.fact(post("1", "14:03"))
    for n in range(1_000):
        when = at("14:04") + n * 1_000
        kind = ("wait", "transfer", "escalate", "resolve", "reopen", "mute")[n % 6]
        until = when + 500
        run.fact(action(f"a{n}", kind, when, desk=("care", "billing")[n % 2], until=until))
        run.fact(action(f"n{n}", "no_reply", when, native_id=f"{n:0300}"))
        run.fact(updated("1", when, reach=n))
        run.fact(action(f"l{n}", "relabel", when, native_id="1", label=("question", "complaint")[n % 2]))
    known = record(run).observed
    assert (len(known.actions) <= CASE_ACTIONS, len(known.post_changes) <= POST_CHANGES) == (True, True)
    assert size(run) < 6_000
    run.tick(at("16:00"))
    assert told(run.fact(post("2", "16:00")))[0] in ("reopened", "case post_added")
    assert clock(run.fact(reply("r", "16:05")), "met").met_at == at("16:05")


def test_a_thousand_replies_without_their_post_are_kept_to_the_last_few(run: Run) -> None:
    """And go when they can no longer matter."""
    for n in range(1_000):
        run.fact(reply(f"r{n}", at("14:00") + n))
    assert len(record(run).observed.answers) == ANSWERS
    run.tick(at("3 14:01"))
    assert run.state == {}


def test_a_typical_open_case_takes_less_than_330_bytes() -> None:
    """A complaint on twitter with ids, reach and address as they come, under the targets of the default policy."""
    run = run_of()
    fields: dict[str, Any] = {"author_followers": 1_180, "reach": 1_180, "conversation_id": "1990000000000000001"}
    run.fact(post("1990007919000000123", "14:03", url="https://twitter.example/andina/1990007919000000123", **fields))
    assert size(run) < 330


def test_a_state_record_survives_the_changelog(run: Run) -> None:
    """Encoded and decoded by `record_types` it is the same, with everything in it."""
    run.fact(post("1", "14:03"))
    for n in range(ANSWERS + 1):
        run.fact(reply(f"r{n}", at("14:21") + n))
    run.fact(post("2", "14:30"))
    run.fact(action("a", "relabel", "14:31", native_id="2", label="question"))
    run.fact(action("b", "wait", "14:32"))
    run.fact(action("c", "no_reply", "14:33", native_id="unknown"))
    found = record(run)
    assert found.observed.snapshot is not None
    assert all(
        (
            found.observed.messages,
            found.observed.answers,
            found.observed.actions,
            found.observed.post_changes,
            found.emitted,
        )
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=CasesDecider.record_types) == found


@pytest.mark.parametrize("kind", ["wait", "transfer", "escalate", "reopen"])
def test_however_much_is_done_to_an_unanswered_case_its_clock_runs_on(run: Run, kind: str) -> None:
    """A hundred times; the reply of 14:40 meets it, at the desk that it was transferred to last."""
    run.fact(post("1", "14:03"))
    for n in range(100):
        run.fact(action(f"a{n}", kind, at("14:05") + n, desk=("billing", "care")[n % 2]))
    assert len(record(run).observed.actions) <= CASE_ACTIONS
    met = clock(run.fact(reply("r", "14:40")), "met", "first_response")
    assert (met.started_at, met.desk) == (at("14:03"), "care")
