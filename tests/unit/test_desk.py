"""The desk: who is offered what, in which order, and when it comes back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.desk import DeskDecider
from agents.desk.index import DeskState
from agents.desk.state import Operator, WorkItem
from schemas.records import Assigned, Offered, Returned
from tests.support.care_facts import MINUTE, POLICY, answer, at, operator, work
from tests.support.decider_runner import Run


@pytest.fixture
def run() -> Run:
    """A desk at 14:00."""
    started = Run(DeskDecider(), POLICY)
    started.tick(at("14:00"))
    return started


def told(events: list[Any]) -> list[str]:
    """Each event in a few words, in order."""
    return [_words(e) for e in events]


def _words(event: Any) -> str:
    match event:
        case Offered():
            return f"{event.aggregate} offered to {event.operator}"
        case Assigned():
            return f"{event.aggregate} assigned to {event.operator}"
        case Returned():
            return f"{event.aggregate} returned by {event.operator}: {event.return_reason}"
    return type(event).__name__


def stay(*names: str, **fields: Any) -> list[Any]:
    """Operators who come at 14:00 and stay until midnight."""
    return [operator(n, "14:00", until="1 00:00", **fields) for n in names]


def take(run: Run, *facts: Any) -> list[Any]:
    """All facts in turn; all events."""
    return [event for fact in facts for event in run.fact(fact)]


# --- order and choice ---


def test_work_that_queues_is_offered_to_a_present_operator(run: Run) -> None:
    """With a deadline of 5 min, the candidates and the reason."""
    take(run, *stay("ana"))
    (offered,) = run.fact(work("w", "14:00", due="15:00", url="https://example.com/1"))
    assert isinstance(offered, Offered)
    assert (offered.operator, offered.expires_at, offered.seq) == ("ana", at("14:05"), 1)
    assert (offered.case_id, offered.due_at, offered.url) == (
        "case of w",
        at("15:00"),
        "https://example.com/1",
    )
    assert [(c.operator, c.load, c.capacity) for c in offered.candidates] == [("ana", 0, 3)]
    assert offered.reason == "least_loaded: ana 0/3; nothing else waits for them, due 2026-11-20T15:00:00Z"


def test_a_class_goes_by_due_then_by_time_of_queueing(run: Run) -> None:
    """Without a target comes last; an operator who comes gets them in that order."""
    queued = [
        work("none", "13:00"),
        work("late", "13:01", due="16:00"),
        work("soon", "13:02", due="15:00"),
        work("same", "13:01", due="15:00"),
    ]
    assert take(run, *queued) == []
    events = take(run, *stay("ana", capacity=4))
    assert [e.aggregate for e in events] == ["same", "soon", "late", "none"]


def test_the_least_loaded_for_their_capacity_is_first_then_the_longest_idle(run: Run) -> None:
    """Bea has room for four, Ana for two; each customer is another one."""
    take(run, *stay("ana", capacity=2), *stay("bea", capacity=4))
    events = take(run, *(work(f"w{n}", "14:00", due="15:00", author_id=f"u{n}") for n in range(6)))
    assert [e.operator for e in events] == ["ana", "bea", "bea", "ana", "bea", "bea"]
    run.tick(at("14:01"))
    (first, second) = (e for e in events if e.operator == "ana")
    take(run, *(answer(e, "accepted") for e in events))
    take(run, work(second.aggregate, "14:01", "answered", 2))
    assert told(run.fact(work("x", "14:01", due="15:00", author_id="x"))) == ["x offered to ana"]
    take(run, *(work(e.aggregate, "14:02", "answered", 2) for e in events if e.operator == "bea"))
    take(run, work(first.aggregate, "14:03", "answered", 2), work("x", "14:03", "answered", 2))
    idle = "bea has been idle since 14:02, ana since 14:03"
    assert told(run.fact(work("y", "14:04", due="15:00", author_id="y"))) == ["y offered to bea"], idle


def test_who_speaks_the_language_gets_the_case_and_others_late_or_where_nobody_speaks_it(run: Run) -> None:
    """Portuguese work waits for Rui, who is full, until 75 % of its target is used; without him Ana has it at once."""
    take(run, *stay("ana", languages=["es"]), *stay("rui", languages=["pt"], capacity=1))
    events: list[Any] = run.fact(work("a", "14:00", due="15:00", lang="pt"))
    assert told(events) == ["a offered to rui"]
    assert "rui speaks pt" in events[0].reason
    run.fact(answer(events[0], "accepted"))
    assert run.fact(work("b", "14:00", due="14:40", lang="pt", author_id="u2")) == []
    late = [e for e in run.tick(at("14:40")) if isinstance(e, Offered) and e.aggregate == "b"]
    assert [(e.operator, e.time) for e in late] == [("ana", at("14:30"))]
    run.fact(operator("rui", "14:40", "signed_out"))
    (alone,) = run.fact(work("c", "14:40", due="15:40", lang="pt", author_id="u3"))
    assert isinstance(alone, Offered) and alone.operator == "ana"
    assert "nobody at care speaks pt" in alone.reason


def test_at_most_ten_candidates_are_named(run: Run) -> None:
    """Of twelve."""
    take(run, *stay(*(f"o{n:02}" for n in range(12))))
    (offered,) = run.fact(work("w", "14:00"))
    assert isinstance(offered, Offered)
    assert len(offered.candidates) == 10
    assert " and 9 more; " in offered.reason


def test_nobody_is_offered_more_than_their_capacity(run: Run) -> None:
    """Two of three cases; the third when one is answered."""
    take(run, *stay("ana", capacity=2))
    events = take(run, *(work(f"w{n}", "14:00", due=at("15:00") + n) for n in range(3)))
    assert told(events) == ["w0 offered to ana", "w1 offered to ana"]
    assert told(run.fact(work("w0", "14:01", "answered", 2))) == ["w2 offered to ana"]


# --- answers ---


def test_an_accepted_offer_is_assigned_and_tells_how_long_the_case_waited(run: Run) -> None:
    """Queued 14:00, accepted 14:03; no expiry afterwards; a second answer changes nothing."""
    take(run, *stay("ana"))
    (offer,) = run.fact(work("w", "14:00"))
    run.tick(at("14:03"))
    (assigned,) = run.fact(answer(offer, "accepted"))
    assert isinstance(assigned, Assigned)
    assert (assigned.operator, assigned.offer_id, assigned.waited_ms) == ("ana", offer.id, 3 * MINUTE)
    assert (assigned.aggregate, assigned.seq) == ("w", 2)
    assert run.tick(at("14:30")) == []
    assert run.fact(answer(offer, "accepted")) == []
    assert run.fact(answer(offer, "declined")) == []


def test_a_declined_offer_returns_and_goes_to_the_next(run: Run) -> None:
    """Not to Ana again although she is the least loaded."""
    take(run, *stay("ana", "bea"))
    (offer,) = run.fact(work("w", "14:00"))
    events = run.fact(answer(offer, "declined"))
    assert told(events) == ["w returned by ana: declined", "w offered to bea"]
    assert [e.seq for e in events] == [2, 3]
    assert [e.times for e in events if isinstance(e, Returned)] == [1]


def test_an_offer_not_answered_in_time_returns_and_goes_to_the_next(run: Run) -> None:
    """After 5 min each; Ana again only 10 min after she let it go, in one jump of time."""
    take(run, *stay("ana", "bea"))
    run.fact(work("w", "14:00"))
    events = run.tick(at("14:19"))
    assert told(events) == [
        "w returned by ana: timed_out",
        "w offered to bea",
        "w returned by bea: timed_out",
        "w offered to ana",
    ]
    assert [e.time for e in events] == [at(t) for t in ("14:05", "14:05", "14:10", "14:15")]


def test_whoever_is_alone_is_offered_the_same_case_again_but_other_work_first(run: Run) -> None:
    """Ana, alone with room for one, declines w0: w1 comes first, then w0 again."""
    take(run, *stay("ana", capacity=1))
    (offer,) = run.fact(work("w0", "14:00", due="15:00"))
    run.fact(work("w1", "14:00", due="16:00"))
    events = run.fact(answer(offer, "declined"))
    assert told(events) == ["w0 returned by ana: declined", "w1 offered to ana"]
    assert told(run.fact(work("w1", "14:01", "answered", 2))) == ["w0 offered to ana"]


def test_answers_to_unknown_or_others_offers_change_nothing(run: Run) -> None:
    """Bea cannot take what Ana was offered; nobody can take what has expired."""
    take(run, *stay("ana", "bea"))
    (offer,) = run.fact(work("w", "14:00"))
    assert run.fact(answer(offer, "accepted", by="bea")) == []
    run.tick(at("14:06"))
    assert run.fact(answer(offer, "accepted")) == []


# --- work that changes or ends ---


def test_work_with_a_new_due_takes_its_new_place(run: Run) -> None:
    """And a repeat of an older change is ignored."""
    take(run, work("a", "14:00", due="15:00"), work("b", "14:00", due="16:00"))
    take(run, work("b", "14:01", "changed", 3, due="14:30", label="question", priority=1))
    take(run, work("b", "14:01", "changed", 2, due="18:00"))
    events: list[Any] = take(run, *stay("ana"))
    assert told(events) == ["b offered to ana", "a offered to ana"]
    assert (events[0].due_at, events[0].label, events[0].priority) == (at("14:30"), "question", 1)


@pytest.mark.parametrize("change", ["answered", "withdrawn"])
def test_work_that_ends_frees_whoever_held_it(run: Run, change: str) -> None:
    """Offered or assigned: the item is gone, the next is offered, the open offer no longer expires."""
    take(run, *stay("ana", capacity=1))
    (offer,) = run.fact(work("a", "14:00", due="15:00"))
    run.fact(work("b", "14:00", due="16:00"))
    assert told(run.fact(work("a", "14:01", change, 2))) == ["b offered to ana"]
    assert run.fact(answer(offer, "accepted")) == []
    assert told(run.tick(at("14:06:30"))) == ["b returned by ana: timed_out", "b offered to ana"]


def test_no_event_is_before_what_it_follows_from_or_before_the_one_before(run: Run) -> None:
    """Cases is a minute ahead of the slowest writer, and operators answer by the slowest."""
    take(run, *stay("ana", capacity=1))
    (offer,) = run.fact(work("a", "14:01", due="15:00"))
    run.fact(answer(offer, "declined"))
    run.fact(work("b", "14:03", due="16:00"))
    run.tick(at("15:00"))
    assert run.events[0].time == at("14:01")
    for name in ("a", "b"):
        times = [e.time for e in run.events if e.aggregate == name]
        assert times == sorted(times)


def test_work_never_seen_or_seen_twice_changes_nothing(run: Run) -> None:
    """A change without a queueing, and a queueing again."""
    take(run, *stay("ana"))
    assert run.fact(work("w", "14:00", "changed", 2)) == []
    assert run.fact(work("w", "14:00", "answered", 2)) == []
    run.fact(work("w", "14:00"))
    assert run.fact(work("w", "14:00")) == []


# --- presence ---


def test_when_an_operator_leaves_all_that_he_has_returns_at_once_with_its_first_queue_time(run: Run) -> None:
    """One assigned, one offered; both go to Bea, who accepts 20 min after the queueing."""
    take(run, *stay("ana"))
    first, second = take(run, work("a", "14:00", due="15:00"), work("b", "14:00", due="16:00"))
    run.fact(answer(first, "accepted"))
    run.tick(at("14:04"))
    assert told(run.fact(operator("ana", "14:04", "signed_out"))) == [
        "a returned by ana: signed_out",
        "b returned by ana: signed_out",
    ]
    run.tick(at("14:20"))
    offers = take(run, *stay("bea"))
    assert told(offers) == ["a offered to bea", "b offered to bea"]
    (assigned,) = run.fact(answer(offers[0], "accepted"))
    assert isinstance(assigned, Assigned)
    assert assigned.waited_ms == 20 * MINUTE
    assert run.fact(answer(second, "accepted")) == []


def test_when_a_lease_lapses_offers_return_at_once_and_assigned_work_ten_minutes_later(run: Run) -> None:
    """Ana comes at 14:00 for 5 min and accepts at 14:01: her lease now ends 14:06; b is offered at 14:04."""
    run.fact(operator("ana", "14:00"))
    (offer,) = run.fact(work("a", "14:00", due="15:00"))
    run.tick(at("14:01"))
    run.fact(answer(offer, "accepted"))
    run.tick(at("14:04"))
    run.fact(work("b", "14:04", due="16:00"))
    events = run.tick(at("14:25"))
    assert told(events) == ["b returned by ana: lapsed", "a returned by ana: lapsed"]
    assert [e.time for e in events] == [at("14:06"), at("14:16")]
    assert not [r for r in run.state.values() if isinstance(r, Operator)]


def test_a_renewed_lease_keeps_what_an_operator_has(run: Run) -> None:
    """Renewed at 14:04, and again at 14:12, after it lapsed at 14:09 but before assigned work returns."""
    run.fact(operator("ana", "14:00"))
    (offer,) = run.fact(work("a", "14:00"))
    run.fact(answer(offer, "accepted"))
    run.tick(at("14:04"))
    run.fact(operator("ana", "14:04", "renewed"))
    assert run.tick(at("14:12")) == []
    run.fact(operator("ana", "14:12", "renewed"))
    assert told(run.tick(at("14:26"))) == []
    assert told(run.tick(at("14:27"))) == ["a returned by ana: lapsed"]


def test_nobody_present_means_no_offer(run: Run) -> None:
    """A lapsed operator gets nothing, and gets it when he is back."""
    run.fact(operator("ana", "14:00", until="14:02"))
    run.tick(at("14:03"))
    assert run.fact(work("a", "14:03")) == []
    assert told(run.fact(operator("ana", "14:03", "renewed"))) == ["a offered to ana"]


# --- the state ---


def test_a_desk_with_thousands_of_queued_items_does_not_scan_them_for_an_offer(run: Run) -> None:
    """With 5,000 queued, an offer looks at the head of the queue only."""
    for n in range(5000):
        run.fact(work(f"w{n}", "14:00", due=at("15:00") + n))
    looked = _Counting()
    for key, record in run.state.items():
        looked.put(key, record)
    run.state = looked
    looked.items_read = 0
    assert told(take(run, *stay("ana", capacity=1))) == ["w0 offered to ana"]
    assert looked.items_read < 20


class _Counting(DeskState):
    items_read = 0

    def item(self, key: str) -> WorkItem | None:
        self.items_read += 1
        return super().item(key)


def test_state_records_survive_the_changelog(run: Run) -> None:
    """Encoded and decoded by `record_types` they are the same."""
    take(run, *stay("ana", languages=["es"]))
    run.fact(work("w", "14:00"))
    assert len(run.state) == 2
    for record in run.state.values():
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=DeskDecider.record_types) == record
