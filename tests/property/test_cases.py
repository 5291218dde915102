"""Cases hold their promises whatever customers, operators and time bring, in whatever order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from agents.cases import Cases
from schemas.records import ClassifiedMention, ClockChanged, Decided
from tests.care_facts import HOUR, MINUTE, POLICY, action, at, deleted, post, reply
from tests.decider_runner import Run

START = at("12:00")
DAYS_3 = 72 * HOUR
MOMENTS = some.integers(0, 300).map(lambda minute: START + minute * MINUTE)
LABELS = some.sampled_from(["complaint", "question", "praise", "other"])
NAMES = some.integers(0, 11).map(str)

POSTS = some.builds(lambda n, when, label: post(n, when, label), NAMES, MOMENTS, LABELS)
REPLIES = some.builds(reply, NAMES, MOMENTS, some.sampled_from(["human", "human", "human", "automatic"]))
ACTIONS = some.builds(
    lambda n, kind, about, label: action(n, kind, native_id=about, label=label),
    NAMES,
    some.sampled_from(["resolve", "relabel", "relabel", "no_reply", "reopen", "wait"]),
    NAMES,
    LABELS,
)
DELETIONS = some.builds(deleted, NAMES, MOMENTS)
TICKS = some.one_of(some.integers(1, 90), some.integers(1, 9000)).map(lambda minutes: minutes * MINUTE)
STORIES = some.lists(some.one_of(POSTS, POSTS, REPLIES, TICKS, ACTIONS, DELETIONS), max_size=40)


def play(story: list[Any]) -> Run:
    """Runs facts and ticks (ms onward) from 12:00; no post comes again once its case may be forgotten."""
    run = Run(Cases(), POLICY)
    run.tick(START)
    read: dict[str, int] = {}
    for step in story:
        if isinstance(step, int):
            run.tick(run.time + step)
        elif not isinstance(step, ClassifiedMention) or run.time - read.setdefault(step.mention.id, run.time) < DAYS_3:
            run.fact(step)
    return run


def clocks(events: list[Decided]) -> dict[tuple[str, str, int], list[ClockChanged]]:
    """Each clock's history by case, metric and cycle."""
    histories: dict[tuple[str, str, int], list[ClockChanged]] = {}
    for event in events:
        if isinstance(event, ClockChanged):
            histories.setdefault((event.aggregate, event.metric, event.cycle), []).append(event)
    return histories


@settings(max_examples=300, deadline=None)
@given(STORIES)
def test_sequences_have_no_gaps_and_ids_are_unique(story: list[Any]) -> None:
    """1, 2, 3 within every case and every round of work; time never falls within one."""
    seen: dict[str, list[Decided]] = {}
    events = play(story).events
    for event in events:
        seen.setdefault(event.aggregate, []).append(event)
    for history in seen.values():
        assert [e.seq for e in history] == list(range(1, len(history) + 1))
        assert [e.time for e in history] == sorted(e.time for e in history)
    assert len({e.id for e in events}) == len(events)


@settings(max_examples=300, deadline=None)
@given(STORIES)
def test_the_state_is_the_fold_of_what_was_decided(story: list[Any]) -> None:
    """Applied again from an empty state, everything that went through `evolve` gives the same records."""
    run = play(story)
    decider = Cases()
    state = decider.initial()
    for event in run.folded:
        for key, record in decider.evolve(state, event).items():
            state.put(key, record)
    assert state == run.state


@settings(max_examples=300, deadline=None)
@given(STORIES)
def test_every_clock_tells_the_truth(story: list[Any]) -> None:
    """It starts once; in time it carries no breach, late it does; a breach taken back was rescinded."""
    for history in clocks(play(story).events).values():
        assert [e.change for e in history].index("started") == 0
        assert [e.change for e in history].count("started") == 1
        called = met = False
        for event in history:
            assert not (met and event.change in ("voided", "warned"))
            met = met or event.change == "met"
            if event.change == "breached":
                assert not called
                called = True
            if event.change == "rescinded":
                assert called
                called = False
            assert called == (event.breached_at is not None)
            assert event.breached_at in (None, event.due_at)
            assert event.target == event.due_at - event.started_at
            if event.met_at is not None:
                assert event.met_at >= event.started_at
            if event.change == "met":
                assert event.met_at is not None
                assert called == (event.met_at > event.due_at)


@settings(max_examples=300, deadline=None)
@given(STORIES)
def test_a_case_never_has_two_open_clocks(story: list[Any]) -> None:
    """At any event at most one clock of a case runs, and a closed case has none."""
    running: dict[str, set[tuple[str, int]]] = {}
    for event in play(story).events:
        mine = running.setdefault(event.aggregate, set())
        if isinstance(event, ClockChanged):
            if event.change in ("met", "voided"):
                mine.discard((event.metric, event.cycle))
            elif event.met_at is None:
                mine.add((event.metric, event.cycle))
        assert len(mine) <= 1
        if type(event).__name__ == "CaseClosed":
            assert not mine


@settings(max_examples=300, deadline=None)
@given(STORIES)
def test_an_overdue_clock_has_been_called_breached(story: list[Any]) -> None:
    """After every Tick, no clock runs beyond its due without a breach."""
    run = play([*story, MINUTE])
    for customer in run.state.values():
        for clock in customer.case.clocks if customer.case is not None else ():
            if clock.met_at is None:
                assert (clock.detected_at is not None) == (run.time > clock.due_at)


ORDERS = some.lists(
    some.one_of(
        some.tuples(some.just("post"), some.integers(0, 179), LABELS),
        some.tuples(some.just("reply"), some.integers(0, 179), some.just("")),
    ),
    max_size=9,
).filter(lambda facts: sum(kind == "reply" for kind, _, _ in facts) <= 5)


@settings(max_examples=500, deadline=None)
@given(ORDERS, some.data())
def test_the_order_of_arrival_does_not_change_the_clocks(drawn: list[Any], data: some.DataObject) -> None:
    """Posts and replies of three hours, read in any order while time goes on: the same clocks."""
    facts = [
        post(str(n), START + minute * MINUTE, label) if kind == "post" else reply(str(n), START + minute * MINUTE)
        for n, (kind, minute, label) in enumerate(drawn)
    ]
    in_order = sorted(facts, key=lambda f: f.created_at if hasattr(f, "created_at") else f.mention.created_at)
    shuffled = data.draw(some.permutations(facts))
    ticks = data.draw(some.lists(some.integers(0, 15), min_size=len(facts), max_size=len(facts)))
    other = [step for fact, tick in zip(shuffled, ticks, strict=True) for step in (fact, tick * MINUTE)]
    end = START + 30 * 60 * MINUTE
    rows = []
    for story in (in_order, other):
        run = play(story)
        run.tick(end)
        rows.append(
            {
                key[1:]: (h[-1].started_at, h[-1].due_at, h[-1].met_at, h[-1].breached_at, h[-1].label)
                for key, h in clocks(run.events).items()
            }
        )
    assert rows[0] == rows[1]
