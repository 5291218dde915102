"""The desk holds its promises whatever cases, operators and time bring."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from agents.desk import DeskDecider
from agents.desk.state import Operator, WorkItem
from schemas.records import Assigned, Decided, Offered, Returned, WorkChanged
from tests.support.care_facts import MINUTE, POLICY, answer, at, operator, work
from tests.support.decider_runner import Run
from tests.support.examples import examples

START = at("12:00")
PEOPLE = {"ana": (1, ["es"]), "bea": (2, []), "rui": (3, ["pt", "en"])}

STEPS = some.one_of(
    some.tuples(
        some.just("work"),
        some.integers(0, 7),
        some.sampled_from(["queued", "queued", "queued", "changed", "answered", "withdrawn"]),
        some.one_of(some.none(), some.integers(-60, 300)),
        some.sampled_from(["es", "pt", "en", "und"]),
    ),
    some.tuples(
        some.just("person"),
        some.sampled_from(sorted(PEOPLE)),
        some.sampled_from(["signed_in", "signed_in", "renewed", "signed_out"]),
        some.one_of(some.none(), some.integers(1, 240)),
    ),
    some.tuples(some.just("answer"), some.integers(0, 9), some.sampled_from(["accepted", "accepted", "declined"])),
    some.tuples(some.just("tick"), some.one_of(some.integers(0, 6), some.integers(0, 60))),
)
STORIES = some.lists(STEPS, max_size=50)


class Story:
    """Plays steps at a desk; a check may look after each."""

    def __init__(self) -> None:
        self.run = Run(DeskDecider(), POLICY)
        self.run.tick(START)
        self.rounds: dict[int, int] = {}
        self.seqs: dict[str, int] = {}
        self.facts: list[WorkChanged] = []

    def step(self, step: tuple[Any, ...]) -> list[Decided]:
        """One step; the events that follow."""
        now = self.run.time
        match step:
            case ("work", n, change, due, lang):
                if change == "queued":
                    self.rounds[n] = self.rounds.get(n, 0) + 1
                name = f"w{n}.{self.rounds.get(n, 0)}"
                if change == "queued" and n in self.rounds and f"w{n}.{self.rounds[n] - 1}" in self.open():
                    self.rounds[n] -= 1
                    return []
                self.seqs[name] = self.seqs.get(name, 0) + 1
                at_due = None if due is None else now + due * MINUTE
                self.facts.append(work(name, now, change, self.seqs[name], at_due, lang=lang))
                return self.run.fact(self.facts[-1])
            case ("person", name, change, minutes):
                capacity, languages = PEOPLE[name]
                until = None if minutes is None else now + minutes * MINUTE
                return self.run.fact(operator(name, now, change, until, capacity=capacity, languages=languages))
            case ("answer", n, said):
                offers = [e for e in self.run.events if isinstance(e, Offered)]
                return self.run.fact(answer(offers[-1 - n], said, now)) if n < len(offers) else []
            case ("tick", minutes):
                return self.run.tick(now + minutes * MINUTE)
        raise AssertionError(step)

    def open(self) -> set[str]:
        """Work that is neither answered nor withdrawn."""
        return {r.work_id for r in self.run.state.values() if isinstance(r, WorkItem)}


@examples(150)
@given(STORIES)
def test_everything_queued_that_somebody_could_take_is_offered(steps: list[Any]) -> None:
    """After each step: no queued item beside a present operator with room, unless it rests for him."""
    story = Story()
    for step in steps:
        story.step(step)
        rows, now = story.run.state.values(), story.run.time
        load: dict[str, int] = {}
        for row in rows:
            if isinstance(row, WorkItem) and row.operator is not None:
                load[row.operator] = load.get(row.operator, 0) + 1
        present = [r for r in rows if isinstance(r, Operator) and r.takes_work()]
        free = {p.name for p in present if load.get(p.name, 0) < p.capacity}
        for row in rows:
            if isinstance(row, WorkItem) and row.status == "queued":
                resting = set() if len(present) == 1 else {name for name, until in row.resting if until > now}
                assert free <= resting


@examples(150)
@given(STORIES)
def test_no_offer_is_open_twice_and_nobody_holds_more_than_his_capacity(steps: list[Any]) -> None:
    """Told from the events alone: who holds what, and when it may be offered again."""
    story = Story()
    holder: dict[str, str] = {}
    for step in steps:
        facts = len(story.facts)
        events = story.step(step)
        for fact in story.facts[facts:]:
            if fact.change in ("answered", "withdrawn"):
                holder.pop(fact.aggregate, None)
        for event in events:
            if isinstance(event, Offered):
                assert event.aggregate not in holder
                holder[event.aggregate] = event.operator
                assert list(holder.values()).count(event.operator) <= PEOPLE[event.operator][0]
                assert event.candidates[0].operator == event.operator
            elif isinstance(event, Assigned):
                assert holder[event.aggregate] == event.operator
            elif isinstance(event, Returned):
                assert holder.pop(event.aggregate) == event.operator


@examples(150)
@given(STORIES)
def test_returned_work_keeps_its_first_queue_time(steps: list[Any]) -> None:
    """Its place in the queue never falls behind, and `waited` counts from the first queueing."""
    story = Story()
    for step in steps:
        story.step(step)
    queued = {f.aggregate: f.time for f in story.facts if f.change == "queued"}
    for row in story.run.state.values():
        if isinstance(row, WorkItem):
            assert row.queued_at == queued[row.work_id]
    for event in story.run.events:
        if isinstance(event, Assigned):
            assert event.waited_ms == event.time - queued[event.aggregate]
