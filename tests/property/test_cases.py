"""Cases hold their promises whatever customers, operators and time bring, in whatever order."""

from __future__ import annotations

from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as some

from agents.cases import CasesDecider
from schemas.records import (
    CaseClosed,
    CaseOpened,
    ClassifiedMention,
    ClockChanged,
    Decided,
    MentionUpdated,
    Reply,
    WorkChanged,
)
from tests.support.care_facts import HOUR, MINUTE, action, at, deleted, post, reply, updated
from tests.support.care_rows import case_rows, clock_rows
from tests.support.cases_told import RICH
from tests.support.decider_runner import Run
from tests.support.examples import examples

START = at("12:00")
DAYS_3 = 72 * HOUR
MOMENTS = some.integers(0, 300).map(lambda minute: START + minute * MINUTE)
LABELS = some.sampled_from(["complaint", "question", "praise", "other"])
NAMES = some.integers(0, 11).map(str)

#: ms; a network's clock that goes wrong, beside the producer's.
SKEWS = some.one_of(some.none(), some.integers(-90, 90).map(lambda minutes: minutes * MINUTE))
POSTS = some.builds(
    lambda n, when, label, skew: post(n, when, label, received_at=None if skew is None else when + skew),
    NAMES,
    MOMENTS,
    LABELS,
    SKEWS,
)
REPLIES = some.builds(
    lambda n, when, kind, to: reply(n, when, kind, in_reply_to=to),
    NAMES,
    MOMENTS,
    some.sampled_from(["human", "human", "human", "automatic"]),
    some.one_of(some.none(), NAMES),
)
ACTIONS = some.builds(
    lambda n, kind, when, about, label, desk, lasts: action(
        n, kind, when, native_id=about, label=label, desk=desk, until=when + lasts * MINUTE
    ),
    NAMES,
    some.sampled_from(["resolve", "relabel", "relabel", "no_reply", "reopen", "wait", "transfer", "escalate", "mute"]),
    MOMENTS,
    NAMES,
    LABELS,
    some.sampled_from(["care", "billing"]),
    some.integers(-5, 90),
)
UPDATES = some.one_of(
    some.builds(deleted, NAMES, MOMENTS),
    some.builds(
        lambda n, when, reach, paid: updated(n, when, reach=reach, promoted=paid),
        NAMES,
        MOMENTS,
        some.sampled_from([None, 10, 60_000]),
        some.sampled_from([None, True]),
    ),
    some.builds(lambda n, when, label: updated(n, when, text="other words", label=label), NAMES, MOMENTS, LABELS),
    some.builds(lambda n, when, hidden: updated(n, when, hidden=hidden), NAMES, MOMENTS, some.booleans()),
)
FORGETS = some.builds(lambda when: action("f", "forget", when), MOMENTS)
TICKS = some.one_of(some.integers(1, 90), some.integers(1, 9000)).map(lambda minutes: minutes * MINUTE)
STORIES = some.lists(some.one_of(POSTS, POSTS, REPLIES, TICKS, ACTIONS, ACTIONS, UPDATES, FORGETS), max_size=40)


def play(story: list[Any]) -> Run:
    """Runs facts and ticks (ms onward) from 12:00; no post comes again once its case may be forgotten."""
    run = Run(CasesDecider(), RICH)
    run.tick(START)
    read: dict[str, int] = {}
    for step in story:
        if isinstance(step, int):
            run.tick(run.time + step)
        elif not isinstance(step, ClassifiedMention) or run.time - read.setdefault(step.mention.id, run.time) < DAYS_3:
            if getattr(step, "action", None) == "forget":
                # What a customer writes again after he was forgotten has ids of its own.
                read = dict.fromkeys(read, -DAYS_3)
            run.fact(step)
    return run


def clocks(events: list[Decided]) -> dict[tuple[str, str, int], list[ClockChanged]]:
    """Each clock's history by case, metric and cycle."""
    histories: dict[tuple[str, str, int], list[ClockChanged]] = {}
    for event in events:
        if isinstance(event, ClockChanged):
            histories.setdefault((event.aggregate, event.metric, event.cycle), []).append(event)
    return histories


@examples(150)
@given(STORIES)
def test_time_never_falls_within_a_case_or_a_round_of_work(story: list[Any]) -> None:
    seen: dict[str, list[int]] = {}
    for event in play(story).events:
        seen.setdefault(event.aggregate, []).append(event.time)
    assert all(times == sorted(times) for times in seen.values())


@examples(150)
@given(STORIES)
def test_every_record_read_twice_changes_nothing_the_second_time(story: list[Any]) -> None:
    """But a forget, which is read anew by a record that knows nothing any more."""
    twice = [again for step in story for again in ([step] if isinstance(step, int) else [step, step])]
    assert play(twice).events == play(story).events


@examples(200)
@given(STORIES)
def test_every_clock_tells_the_truth(story: list[Any]) -> None:
    """In time it carries no breach, late it does; a breach taken back was rescinded; what ended goes on when resumed."""
    for history in clocks(play(story).events).values():
        assert history[0].change == "started" or (history[0].due_at is None and history[0].change == "met")
        assert [e.change for e in history].count("started") == (history[0].change == "started")
        called = over = False
        for event in history:
            assert not (over and event.change in ("warned", "paused"))
            over = event.change in ("met", "voided") or (over and event.change not in ("resumed", "paused"))
            called = event.change == "breached" or (called and event.change != "rescinded")
            assert called == (event.breached_at is not None)
            assert event.breached_at in (None, event.due_at)
            assert (event.target_ms is None) == (event.due_at is None)
            if event.due_at is not None and event.target_ms is not None:
                span = event.due_at - event.started_at
                assert event.target_ms == span or (event.metric == "resolution" and event.target_ms < span)
            assert event.paused_at is None or event.met_at is None
            if event.change == "met":
                assert event.met_at is not None
                assert event.met_at >= event.started_at
                assert called == (event.due_at is not None and event.met_at > event.due_at)


@examples(150)
@given(STORIES)
def test_met_breached_paused_and_resumed_time_add_up(story: list[Any]) -> None:
    """What is left out never falls below what was, nor exceeds what passed; the due moves by just that."""
    for history in clocks(play(story).events).values():
        for event in history:
            assert event.paused_ms >= 0
            assert event.metric == "resolution" or (event.paused_ms, event.paused_at) == (0, None)
            if event.met_at is not None:
                assert event.paused_ms <= event.met_at - event.started_at
            if event.paused_at is not None:
                assert event.paused_at >= event.started_at + event.paused_ms


@examples(150)
@given(STORIES)
def test_a_case_has_one_open_response_clock_and_a_closed_case_none(story: list[Any]) -> None:
    """At the end of every step; and work is queued exactly while something is left to answer."""
    run = play(story)
    open_: dict[str, set[tuple[str, int]]] = {}
    for event in run.events:
        mine = open_.setdefault(event.aggregate, set())
        if isinstance(event, ClockChanged):
            clock = (event.metric, event.cycle)
            if event.change in ("met", "voided") or event.met_at is not None:
                mine.discard(clock)
            elif not (event.change == "rescinded" and clock not in mine) and event.change != "breached":
                mine.add(clock)
            assert len([c for c in mine if c[0] != "resolution"]) <= 2
    for customer in run.state.values():
        told = customer.emitted
        if told is None:
            continue
        running = [c for c in told.clocks if c.met_at is None and not c.void]
        assert len([c for c in running if c.metric != "resolution"]) <= (told.close_reason is None)
        assert not (told.close_reason is not None and running)
        assert bool(told.work) <= (told.close_reason is None)


@examples(150)
@given(STORIES)
def test_an_overdue_clock_has_been_called_breached(story: list[Any]) -> None:
    """After every Tick, no clock runs beyond its due without a breach, and none is called so before."""
    run = play([*story, MINUTE])
    for customer in run.state.values():
        for clock in customer.emitted.clocks if customer.emitted is not None else ():
            if clock.met_at is None and clock.paused_at is None and not clock.void:
                assert (clock.detected_at is not None) == (clock.due_at is not None and run.time > clock.due_at)


@examples(150)
@given(STORIES)
def test_a_round_of_work_is_queued_once_and_ends_once_at_its_desk(story: list[Any]) -> None:
    """Queued first, answered or withdrawn last, all of it at one desk."""
    rounds: dict[str, list[WorkChanged]] = {}
    for event in play(story).events:
        if isinstance(event, WorkChanged):
            rounds.setdefault(event.aggregate, []).append(event)
    for history in rounds.values():
        changes = [e.change for e in history]
        assert changes[0] == "queued"
        assert changes.count("queued") == 1
        assert set(changes[1:-1]) <= {"changed"}
        assert len({e.desk for e in history}) == 1


_DAYS = some.integers(0, 240).map(lambda hours: START + hours * HOUR)
AGAIN = some.lists(
    some.one_of(
        some.builds(post, some.sampled_from(["0", "1"]), _DAYS),
        some.builds(lambda n, when: reply(str(n), when), some.integers(), _DAYS),
        some.builds(lambda n, when: action(str(n), "resolve", when), some.integers(), _DAYS),
        some.integers(1, 100).map(lambda hours: hours * HOUR),
    ),
    max_size=20,
)


@examples(200)
@given(AGAIN)
def test_a_post_that_comes_again_whenever_and_with_whatever_time_opens_no_aggregate_twice(story: list[Any]) -> None:
    """As long as its customer's case is remembered; for what comes later classify knows the ids of eight days."""
    run, read = Run(CasesDecider(), RICH), set[str]()
    run.tick(START)
    with mock.patch("agents.cases.bounds.ANSWERS", 1):
        for step in story:
            if isinstance(step, int):
                run.tick(run.time + step)
                continue
            again = isinstance(step, ClassifiedMention) and step.mention.id in read
            if again and not any(customer.emitted for customer in run.state.values()):
                continue
            if isinstance(step, ClassifiedMention):
                read.add(step.mention.id)
            run.fact(step)
    assert len({e.id for e in run.events}) == len(run.events)
    opened = [e.aggregate for e in run.events if isinstance(e, CaseOpened)]
    assert len(set(opened)) == len(opened)


# --- the order of arrival ---


@some.composite
def afternoons(draw: some.DrawFn, lasting: bool = True) -> list[tuple[int, Any]]:
    """Facts of three hours, each with its own time (ms); what is done to a post is done after it.

    lasting: with what changes a post for good. Nothing in it is one of the exceptions that agents/cases/README.md
    names: chatter and mutes come only where the first post is known from the beginning. A deleted post is neither edited
    nor hidden, and no two edits of a post have the same millisecond, for no network lets anybody do so.
    """
    known = draw(some.booleans())
    minutes = some.one_of(some.integers(0, 170), some.integers(0, 20))
    labels = ["complaint", "question", "praise"]
    posts = [("0", START, draw(some.sampled_from(labels[:2])))] if known else []
    for n in range(1, draw(some.integers(1, 5))):
        label = draw(some.sampled_from([*labels, "other"] if known else labels))
        posts.append((str(n), START + draw(minutes) * MINUTE, label))
    facts: list[tuple[int, Any]] = [(when, post(n, when, label)) for n, when, label in posts]
    for n in range(draw(some.integers(0, 4))):
        when = START + draw(minutes) * MINUTE + n * 1_000
        facts.append((when, reply(f"r{n}", when, visibility=draw(some.sampled_from(["public", "private"])))))
    kinds = ["resolve", "resolve", "reopen", "wait", "transfer", "escalate"] + ["mute"] * known
    kinds += ["relabel", "relabel", "no_reply", "deleted", "grown", "edited", "edited", "hidden"] * lasting
    for n in range(draw(some.integers(0, 5)) if posts else 0):
        about, posted, _ = draw(some.sampled_from(posts))
        kind = draw(some.sampled_from(kinds))
        when = posted + draw(some.integers(0, 100)) * MINUTE + n * (kind == "edited")
        facts.append((when, _done(draw, f"a{n}", kind, about, when)))
    gone = {(fact.native_id, when) for when, fact in facts if isinstance(fact, MentionUpdated) and fact.deleted}
    return [
        (when, fact)
        for when, fact in facts
        if not (isinstance(fact, MentionUpdated) and (fact.hidden or fact.label))
        or not any(post_id == fact.native_id and deleted_at <= when for post_id, deleted_at in gone)
    ]


def _done(draw: some.DrawFn, name: str, kind: str, about: str, when: int) -> Any:
    if kind == "deleted":
        return deleted(about, when)
    if kind == "hidden":
        return updated(about, when, hidden=True)
    if kind == "edited":
        return updated(
            about, when, text="other words", label=draw(some.sampled_from(["complaint", "question", "praise"]))
        )
    if kind == "grown":
        reach, paid = draw(some.sampled_from([10, 60_000, 200_000])), draw(some.sampled_from([None, True]))
        return updated(about, when, reach=reach, promoted=paid)
    label, desk = draw(LABELS), draw(some.sampled_from(["care", "billing"]))
    until = when + draw(some.integers(1, 60)) * MINUTE
    return action(name, kind, when, native_id=about, label=label, desk=desk, until=until)


def rows(facts: list[tuple[int, Any]], delays: list[int], until: int) -> Any:
    """The rows at a time (ms), each fact read so many minutes after its own time.

    A clock that is void may have been told in one order and not in the other; how often a case was told reopened
    is its history.
    """
    run = Run(CasesDecider(), RICH)
    run.tick(START)
    arrivals = [
        (when + delay * MINUTE, n, fact) for n, ((when, fact), delay) in enumerate(zip(facts, delays, strict=True))
    ]
    for when, _, fact in sorted(arrivals, key=lambda a: a[:2]):
        run.tick(when)
        run.fact(fact)
    run.tick(until)
    cases = [row._replace(reopened=0) for row in case_rows(run.events).values()]
    return cases, {key[1:]: row for key, row in clock_rows(run.events).items() if row.state != "void"}


@examples(400)
@given(afternoons(), some.data())
def test_the_order_of_arrival_does_not_change_the_rows(facts: list[tuple[int, Any]], data: some.DataObject) -> None:
    """Each fact read up to 59 minutes late: the same case and clocks, in the evening and when all is closed."""
    delays = [data.draw(some.integers(0, 59)) for _ in facts]
    if facts and facts[0][0] == START:
        delays[0] = 0
    for until in (START + 8 * HOUR, START + 300 * HOUR):
        assert rows(facts, delays, until) == rows(facts, [0] * len(facts), until)


@examples(200)
@given(afternoons(lasting=False), some.data())
def test_the_first_response_of_a_case_is_the_first_human_reply_since_its_first_message(
    facts: list[tuple[int, Any]], data: some.DataObject
) -> None:
    """Whatever is done to the case, however late each fact is read: as whoever reads the conversation would say."""
    posts = [when for when, fact in facts if isinstance(fact, ClassifiedMention)]
    replies = [when for when, fact in facts if isinstance(fact, Reply) and posts and when >= min(posts)]
    delays = [0 if when == START else data.draw(some.integers(0, 59)) for when, _ in facts]
    cases, clocks = rows(facts, delays, START + 8 * HOUR)
    assert [row.answered_at for row in cases] == [min(replies, default=None)] * bool(posts)
    met = [row.met_at for (metric, cycle), row in clocks.items() if (metric, cycle) == ("first_response", 1)]
    assert met in ([], [None], [min(replies, default=None)])


@examples(200)
@given(afternoons(lasting=False))
def test_what_is_drawn_together_goes_on_as_if_all_were_still_kept(facts: list[tuple[int, Any]]) -> None:
    """With one reply kept instead of five: the same rows."""
    until, at_once = START + 300 * HOUR, [0] * len(facts)
    whole = rows(facts, at_once, until)
    with mock.patch("agents.cases.bounds.ANSWERS", 1):
        assert rows(facts, at_once, until) == whole


# --- the resolution, measured another way ---

_WHEN = some.integers(0, 170)
TALKS = some.lists(
    some.tuples(some.sampled_from(["post", "post", "reply", "wait", "resolve", "reopen"]), _WHEN),
    min_size=1,
    max_size=12,
    unique_by=lambda step: step[1],
)


def minutes_open(steps: list[tuple[str, int]]) -> int | None:
    """Minutes from the first post to the last closing in which the case was neither closed nor waiting; None: none closed."""
    opened = waiting = closed = False
    counted, total = 0, None
    for minute in range(171):
        for kind, when in steps:
            if when != minute:
                continue
            if kind == "post":
                opened, closed, waiting, total = True, False, False, None
            elif opened and not closed:
                if kind in ("reply", "wait"):
                    waiting = True
                elif kind == "resolve":
                    closed, total = True, counted
            elif opened and kind == "reopen":
                closed, waiting, total = False, True, None
        counted += opened and not closed and not waiting
    return total


@examples(200)
@given(TALKS)
def test_the_resolution_measures_the_minutes_in_which_the_case_was_open_and_did_not_wait(
    drawn: list[tuple[str, int]],
) -> None:
    """Counted minute by minute."""
    steps = sorted(drawn, key=lambda step: step[1])
    run = Run(CasesDecider(), RICH)
    run.tick(START)
    for n, (kind, minute) in enumerate(steps):
        when = START + minute * MINUTE
        run.tick(when)
        run.fact(
            post(str(n), when)
            if kind == "post"
            else reply(str(n), when)
            if kind == "reply"
            else action(str(n), kind, when)
        )
    expected = minutes_open(steps)
    ends = [e for e in run.events if isinstance(e, ClockChanged) and e.metric == "resolution"]
    if expected is not None:
        assert ends[-1].change == "met"
        assert ends[-1].met_at is not None
        assert ends[-1].met_at - ends[-1].started_at - ends[-1].paused_ms == expected * MINUTE
        assert (ends[-1].breached_at is not None) == (expected > 240)
    else:
        assert not ends or ends[-1].change != "met"
    assert not [e for e in run.events if isinstance(e, CaseClosed) and e.close_reason != "resolved"]
