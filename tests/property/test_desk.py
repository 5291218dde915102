"""The desk holds its promises whatever cases, operators, crises and time bring."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from agents.desk import DeskDecider
from agents.desk.choice import can_take
from agents.desk.index import DeskState
from agents.desk.state import Operator, WorkItem
from agents.policy import parse
from schemas.records import (
    Assigned,
    CrisisClosed,
    CrisisOpened,
    Decided,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Offered,
    Returned,
    WorkChanged,
)
from tests.support.care_facts import HOUR, MINUTE, answer, at, operator, work
from tests.support.decider_runner import Run
from tests.support.examples import examples

POLICY = parse(
    f"""
[classifier]
model = "{"0" * 64}"
[[brands]]
name = "andina"
mode = "live"
[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2
[[desks]]
name = "care"
responsible = "ana"
lead = "rui"
weights = {{ praise = 2 }}
overflow = "night"
overflow_after = "20m"
holding = {{ templates = {{ es = "wait-es", any = "wait" }}, per_hour = 2, again = "2h" }}
[[desks]]
name = "night"
crisis_desk = "crisis"
[[desks]]
name = "crisis"
"""
)
PER_HOUR, AGAIN = 2, 2 * HOUR
START = at("12:00")
PEOPLE: dict[str, tuple[int, list[str], list[str]]] = {
    "ana": (1, ["es"], []),
    "bea": (2, [], ["baggage"]),
    "rui": (3, ["pt", "en"], ["baggage", "loyalty"]),
}
DESKS = ["care", "care", "night", "crisis"]

STEPS = some.one_of(
    some.tuples(
        some.just("work"),
        some.integers(0, 7),
        some.sampled_from(["queued", "queued", "queued", "changed", "answered", "withdrawn"]),
        some.one_of(some.none(), some.integers(-60, 300)),
        some.fixed_dictionaries(
            {
                "lang": some.sampled_from(["es", "pt", "en", "und"]),
                "skills": some.sampled_from([[], [], ["baggage"], ["loyalty", "baggage"]]),
                "label": some.sampled_from(["complaint", "complaint", "question", "praise"]),
                "priority": some.integers(1, 4),
                "escalated": some.sampled_from([False, False, False, True]),
                "waiting": some.sampled_from([False, False, False, True]),
                "conversation": some.sampled_from([None, None, "root"]),
                "non_sla": some.sampled_from([False, False, True]),
                "desk": some.sampled_from(["care", "care", "night"]),
            }
        ),
    ),
    some.tuples(
        some.just("person"),
        some.sampled_from(sorted(PEOPLE)),
        some.sampled_from(["signed_in", "signed_in", "signed_in", "renewed", "signed_out", "paused", "resumed"]),
        some.one_of(some.none(), some.integers(1, 240)),
        some.sampled_from(DESKS),
        some.sampled_from([0, 0, 0, 30]),
    ),
    some.tuples(some.just("answer"), some.integers(0, 9), some.sampled_from(["accepted", "accepted", "declined"])),
    some.tuples(some.just("crisis"), some.booleans()),
    some.tuples(some.just("tick"), some.one_of(some.integers(0, 6), some.integers(0, 60))),
)
STORIES = some.lists(STEPS, max_size=50)


class Story:
    """Plays steps at three desks; a check may look after each."""

    def __init__(self) -> None:
        self.run = Run(DeskDecider(), POLICY)
        self.run.tick(START)
        self.rounds: dict[int, int] = {}
        self.seqs: dict[str, int] = {}
        self.desk_of: dict[str, str] = {}
        self.facts: list[WorkChanged] = []

    def step(self, step: tuple[Any, ...]) -> list[Decided]:
        """One step; the events that follow."""
        now = self.run.time
        match step:
            case ("work", n, change, due, fields):
                return self._work(n, change, due, fields)
            case ("person", name, change, minutes, desk, ahead):
                capacity, languages, skills = PEOPLE[name]
                begins = now + (ahead * MINUTE if change == "signed_in" else 0)
                until = None if minutes is None else begins + minutes * MINUTE
                fact = operator(
                    name, begins, change, until, desk=desk, capacity=capacity, languages=languages, skills=skills
                )
                return self.run.fact(fact)
            case ("answer", n, said):
                offers = [e for e in self.run.events if isinstance(e, Offered)]
                return self.run.fact(answer(offers[-1 - n], said, now)) if n < len(offers) else []
            case ("crisis", opens):
                envelope: dict[str, Any] = {"id": f"crisis {opens}", "aggregate": "crisis", "seq": 1, "time": now}
                envelope |= {"cause": "told", "policy": 1, "reason": "told", "brand": "andina", "mode": "live"}
                if opens:
                    return self.run.fact(CrisisOpened(**envelope, by="ana", root="root"))
                return self.run.fact(CrisisClosed(**envelope, by="ana"))
            case ("tick", minutes):
                return self.run.tick(now + minutes * MINUTE)
        raise AssertionError(step)

    def _work(self, n: int, change: str, due: int | None, fields: dict[str, Any]) -> list[Decided]:
        now = self.run.time
        if change == "queued":
            self.rounds[n] = self.rounds.get(n, 0) + 1
        name = f"w{n}.{self.rounds.get(n, 0)}"
        if change == "queued" and n in self.rounds and f"w{n}.{self.rounds[n] - 1}" in self.open():
            self.rounds[n] -= 1
            return []
        fields = {**fields, "desk": self.desk_of.setdefault(name, fields["desk"]), "author_id": f"u{n % 3}"}
        self.seqs[name] = self.seqs.get(name, 0) + 1
        at_due = None if due is None else now + due * MINUTE
        posts = ["root"] if n == 0 and fields["conversation"] else [f"post {n}"]
        self.facts.append(work(name, now, change, self.seqs[name], at_due, posts=posts, **fields))
        return self.run.fact(self.facts[-1])

    def open(self) -> set[str]:
        """Work that is neither answered nor withdrawn."""
        return {r.work_id for r in self.run.state.values() if isinstance(r, WorkItem)}


@examples(150)
@given(STORIES)
def test_everything_queued_that_somebody_could_take_is_offered(steps: list[Any]) -> None:
    """After each step: no item waits beside an operator who can take it and has room, unless it is kept for somebody or rests."""
    story = Story()
    for step in steps:
        story.step(step)
        state, now = story.run.state, story.run.time
        assert isinstance(state, DeskState)
        for row in state.values():
            if isinstance(row, WorkItem) and row.status == "queued" and not row.reserved(now):
                able = {name for name, person in state.people.items() if can_take(state, person, row)}
                sole = state.sole(state.placed(row)[0])
                resting = set() if sole is not None else {name for name, until in row.resting if until > now}
                assert able <= resting


@examples(150)
@given(STORIES)
def test_no_offer_is_open_twice_and_nobody_holds_more_than_their_capacity(steps: list[Any]) -> None:
    """Told from the events alone: who holds what, what they wait with, and what may be offered again."""
    story = Story()
    holder: dict[str, Offered] = {}
    waiting: set[str] = set()
    for step in steps:
        facts = len(story.facts)
        events = story.step(step)
        for fact in story.facts[facts:]:
            if fact.change in ("answered", "withdrawn"):
                holder.pop(fact.aggregate, None)
        for event in events:
            if isinstance(event, Offered):
                assert event.aggregate not in holder
                holder[event.aggregate] = event
                assert event.candidates[0].operator == event.operator
            elif isinstance(event, Assigned):
                assert holder[event.aggregate].operator == event.operator
            elif isinstance(event, Returned):
                assert holder.pop(event.aggregate).operator == event.operator
        rows = [row for row in story.run.state.values() if isinstance(row, WorkItem)]
        waiting = {row.work_id for row in rows if row.waiting}
        assert {row.work_id: row.operator for row in rows if row.operator} == {
            name: offer.operator for name, offer in holder.items()
        }
        for name, (capacity, _, _) in PEOPLE.items():
            held = [offer for work_id, offer in holder.items() if offer.operator == name and work_id not in waiting]
            assert sum(min(offer.weight, capacity) for offer in held) <= capacity


@examples(150)
@given(STORIES)
def test_returned_work_keeps_its_first_queue_time(steps: list[Any]) -> None:
    """Its place in the queue never falls behind, and `waited` counts from the first queueing."""
    story = Story()
    for step in steps:
        story.step(step)
    queued = {f.aggregate: f.time for f in reversed(story.facts) if f.change == "queued"}
    for row in story.run.state.values():
        if isinstance(row, WorkItem):
            assert row.queued_at == queued[row.work_id]
    for event in story.run.events:
        if isinstance(event, Assigned):
            assert event.waited_ms == event.time - queued[event.aggregate]


@examples(150)
@given(STORIES)
def test_holding_replies_keep_their_limits_and_are_taken_back_when_a_person_has_the_case(steps: list[Any]) -> None:
    """Once for a customer and a conversation in two hours, twice for an account in an hour of the clock; and after an answer none may
    still be sent.
    """
    story = Story()
    sent: list[HoldingReplyDue] = []
    may_go: dict[str, HoldingReplyDue] = {}
    roots: dict[str, str | None] = {}
    for step in steps:
        facts = len(story.facts)
        events = story.step(step)
        for event in events:
            if isinstance(event, HoldingReplyDue) and event.suppressed is None:
                sent.append(event)
                may_go[event.aggregate] = event
            elif isinstance(event, HoldingReplyCancelled):
                assert may_go.pop(event.aggregate).id == event.holding_id
        ended = {f.aggregate for f in story.facts[facts:] if f.change in ("answered", "withdrawn")}
        taken = {e.aggregate for e in events if isinstance(e, Assigned)}
        for name in ended | taken:
            assert name not in may_go or may_go[name].expires_at <= story.run.time
        roots |= {f.aggregate: f.conversation for f in story.facts[facts:]}
    for n, later in enumerate(sent):
        for earlier in sent[:n]:
            apart = later.time - earlier.time
            assert later.author_id != earlier.author_id or apart >= AGAIN
            assert later.native_id != "root" or earlier.native_id != "root" or apart >= AGAIN
        same_hour = [one for one in sent[: n + 1] if one.time // HOUR == later.time // HOUR]
        assert len(same_hour) <= PER_HOUR


@examples(100)
@given(STORIES)
def test_operators_who_left_or_pause_are_offered_nothing(steps: list[Any]) -> None:
    """An offer goes to somebody who takes work at that desk, or to the person asked for, at any desk."""
    story = Story()
    for step in steps:
        before = len(story.run.events)
        story.step(step)
        rows = [row for row in story.run.state.values() if isinstance(row, Operator)]
        taking = {row.name for row in rows if row.takes_work()}
        for event in story.run.events[before:]:
            if isinstance(event, Offered) and event.time == story.run.time and step[0] != "tick":
                assert event.operator in taking
