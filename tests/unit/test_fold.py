"""Promises of the fold: steps are whole, timers fire in order at their own time, progress survives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agents.decider import At, State, Timer
from agents.policy import Policy, digest, parse
from schemas.records import Alert, Decided, PolicyChanged, Record, SourceIdle, Tick
from streams.core import DeadLetter, Fact, Output, Progress, Result, Taken
from streams.fold import FoldCore
from tests.support import toy
from tests.support.world import MINUTE, NOON, classified, mention

POLICIES = {n: parse(toy.POLICY, n) for n in (1, 2)}


def policy(version: int, hash: str) -> Policy:
    """What the worker would have waited for."""
    return POLICIES[version]


class Log:
    """An input topic partition, fed fact by fact."""

    def __init__(self, role: str = "counts", decider: Any = None, partitions: int = 2) -> None:
        decider = decider or (toy.Counter() if role == "counts" else toy.Tally())
        self.core = FoldCore(toy.PIPELINE, toy.PIPELINE.role(role), 0, partitions, policy, decider)
        self.end = -1
        self.taken = Taken([])
        """What the last take gave."""

    def take(self, *records: Record) -> list[Result]:
        """Results of a batch."""
        facts = []
        for record in records:
            self.end += 1
            facts.append(Fact(self.end, record))
        self.taken = self.core.take(facts)
        return self.taken.results

    def policy(self, version: int = 1) -> list[Result]:
        """A policy change."""
        return self.take(PolicyChanged(version=version, hash=digest(toy.POLICY), applied_at=NOON))

    def tick(self, time: int, role: str = "classify", partition: int = 0, clock: Any = "event") -> list[Result]:
        """A writer's Tick."""
        return self.take(Tick(clock=clock, time=time, role=role, partition=partition))

    def post(self, author: str, number: int, text: str = "hello") -> list[Result]:
        """A post."""
        return self.take(classified(mention(author, number, text)))


def waits(log: Log) -> bool:
    """Whether facts wait for time, or for a policy."""
    return log.core.waits_to_begin


def started(**given: Any) -> Log:
    """A log with a policy, at noon."""
    log = Log(**given)
    log.policy()
    log.tick(NOON)
    return log


def events(results: list[Result], topic: str = "cases") -> list[Any]:
    """The records written to a topic."""
    return [r.record for r in results if isinstance(r, Output) and r.topic == topic]


def aside(results: list[Result]) -> list[tuple[int, str, str]]:
    """(offset, stage, error) of the dead letters."""
    return [(r.fact.offset, r.stage, r.error) for r in results if isinstance(r, DeadLetter)]


def test_an_event_goes_to_every_topic_that_lists_it_keyed_as_that_topic_is() -> None:
    """The same bytes, another key."""
    outputs = [r for r in started().post("u1", 1) if isinstance(r, Output)]
    assert [(o.topic, o.key) for o in outputs] == [("cases", b"andina|twitter|u1"), ("signals", b"andina")]
    assert outputs[0].value == outputs[1].value


def test_decide_sees_what_it_has_already_decided_in_the_same_step() -> None:
    """Two events of one fact are numbered one after the other."""

    class Twice(toy.Counter):
        def decide(self, state: State[toy.Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
            yield from super().decide(state, fact, at)
            yield from super().decide(state, fact, at)

    assert [e.seq for e in events(started(decider=Twice()).post("u1", 1))] == [1, 2]


@pytest.mark.parametrize("text", ["decide raises now", "evolve raises now", "large"])
def test_a_step_that_raises_is_undone_whole_and_its_fact_becomes_a_dead_letter(text: str) -> None:
    """State, timers and what a checkpoint would write are as before; nothing of it is written."""
    log = started()
    log.post("u1", 1, "wake after 60000")
    log.core.touched.clear()
    before = (dict(log.core.state), log.core.timers())
    results = log.post("u1", 2, text)
    assert [(offset, stage) for offset, stage, _ in aside(results)] == [(log.end, "decide")]
    assert events(results) == []
    assert (dict(log.core.state), log.core.timers()) == before
    assert log.core.touched == {}
    assert events(log.tick(NOON + MINUTE))[0].time == NOON + MINUTE


def test_a_dead_letter_says_where_it_raised_and_never_with_which_words() -> None:
    """The message of a decision's error may hold the words of a post."""
    (result,) = started().post("u1", 1, "decide raises over my secret")
    assert isinstance(result, DeadLetter)
    assert "toy.py:" in result.message and "ClassifiedMention" in result.message
    assert "secret" not in result.message


def test_what_a_decision_refuses_says_what_to_do() -> None:
    """It was raised to be read."""
    (result,) = started().post("u1", 1, "decide refuses my secret")
    assert isinstance(result, DeadLetter)
    assert (result.error, result.message) == ("Unusable", "ClassifiedMention: toy cannot use this: send something else")


def test_timers_fire_in_order_each_at_its_own_time_and_only_on_ticks() -> None:
    """Equal times by key; `seen` says how far the log has been read."""
    log = started()
    for author, after in (("late", 3), ("b", 2), ("a", 2), ("next", 9)):
        assert len(events(log.post(author, 1, f"wake after {after * MINUTE}"))) == 1
    fired = events(log.tick(NOON + 5 * MINUTE))
    assert [(e.author_id, e.time) for e in fired] == [
        ("a", NOON + 2 * MINUTE),
        ("b", NOON + 2 * MINUTE),
        ("late", NOON + 3 * MINUTE),
    ]
    assert log.core.timers() == 1


def test_a_timer_that_a_firing_sets_within_the_jump_fires_in_the_same_jump() -> None:
    """In its place among the others."""

    class Chain(toy.Counter):
        def decide(self, state: State[toy.Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
            if isinstance(fact, Timer) and at.time < NOON + 3 * MINUTE:
                yield self._changed(state, fact.key, at, "again", at.time + MINUTE)
            else:
                yield from super().decide(state, fact, at)

    log = started(decider=Chain())
    log.post("u1", 1, f"wake after {MINUTE}")
    assert [e.time for e in events(log.tick(NOON + 10 * MINUTE))] == [NOON + n * MINUTE for n in (1, 2, 3)]


def test_a_due_in_the_past_fires_at_the_next_tick_and_not_before() -> None:
    """A fact is never followed by a timer's firing in the same breath."""
    log = started()
    assert len(events(log.post("u1", 1, "wake after -60000"))) == 1
    assert [e.time for e in events(log.tick(NOON + 1))] == [NOON - MINUTE]


@pytest.mark.parametrize("where", ["decide", "evolve"])
def test_a_timer_whose_step_raises_becomes_one_dead_letter_and_the_others_fire(where: str) -> None:
    """It does not come again and again, and the Tick it fired at holds."""

    class Breaks(toy.Counter):
        def decide(self, state: State[toy.Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
            if isinstance(fact, Timer) and fact.key.endswith("bad"):
                if where == "evolve":
                    yield self._changed(state, fact.key, at, "first")
                    yield self._changed(state, fact.key, at, "poison")
                raise ValueError("bad")
            yield from super().decide(state, fact, at)

    log = started(decider=Breaks())
    log.post("bad", 1, f"wake after {MINUTE}")
    log.post("good", 1, f"wake after {2 * MINUTE}")
    results = log.tick(NOON + 5 * MINUTE)
    assert [stage for _, stage, _ in aside(results)] == ["decide"]
    (message,) = [result.message for result in results if isinstance(result, DeadLetter)]
    assert message.startswith("timer ") and "due 2026-11-20T12:01:00Z" in message and "bad" not in message
    assert [e.author_id for e in events(results)] == ["good"]
    assert log.core.watermark.time == NOON + 5 * MINUTE
    assert aside(log.tick(NOON + 6 * MINUTE)) == []


def test_a_timer_that_asks_for_its_own_moment_for_ever_is_stopped_and_becomes_a_dead_letter() -> None:
    """The partition goes on."""

    class Endless(toy.Counter):
        def decide(self, state: State[toy.Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
            if isinstance(fact, Timer):
                yield self._changed(state, fact.key, at, "again", at.time)
            else:
                yield from super().decide(state, fact, at)

    log = started(decider=Endless())
    log.post("u1", 1, f"wake after {MINUTE}")
    assert [error for _, _, error in aside(log.tick(NOON + MINUTE))] == ["EndlessTimer"]
    assert len(events(log.post("u2", 1))) == 1


def test_where_several_partitions_come_together_time_is_the_owners_tick_and_no_sources() -> None:
    """Timers follow it. A source's own Tick stands there where it came back, or in a log of release 0.1."""
    log = Log(role="tally")
    log.policy()
    log.tick(NOON, "tally")
    log.take(*events(started().post("u1", 1), "signals"))
    later = NOON + 20 * MINUTE
    for n in (0, 1):
        assert log.tick(later, "counts", n) == []
    assert log.core.watermark.time == NOON
    fired = events(log.tick(later, "tally"), "alerts")
    assert [(type(e), e.time) for e in fired] == [(Alert, NOON + toy.TEN_MINUTES)]
    assert log.core.watermark.time == later


def test_the_progress_of_release_01_is_gone_on_from() -> None:
    """It names the sources as the writers; time goes on from there with the owner's first Tick."""
    log, old = (
        Log(role="tally"),
        Progress(position=7, clock="event", watermark=NOON, writers={"counts/0": NOON, "counts/1": NOON}),
    )
    log.core.resume(old)
    assert (log.core.watermark.time, log.core.progress().writers) == (NOON, {})
    log.end = 6
    log.policy()
    log.tick(NOON + MINUTE, "tally")
    assert (log.core.watermark.time, log.core.progress().writers) == (NOON + MINUTE, {"tally/0": NOON + MINUTE})


class Partial(toy.Tally):
    """Notes under what a decision was made."""

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def decide(self, state: State[toy.Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
        self.seen.append(at.partial)
        return iter(())


def test_while_a_writer_is_idle_a_decision_is_told_that_it_sees_a_part() -> None:
    decider = Partial()
    log = Log("tally", decider)
    log.policy()
    log.tick(NOON, "tally")
    given = events(started().post("u1", 1), "signals")
    log.take(*given)
    log.take(SourceIdle(role="counts", partition=1, silent_ms=10_000))
    log.take(*given)
    log.tick(NOON + MINUTE, "counts", 1)
    log.take(*given)
    assert decider.seen == [False, True, False]


@pytest.mark.parametrize(
    ("role", "partition", "clock"), [("stranger", 0, "event"), ("classify", 1, "event"), ("classify", 0, "wall")]
)
def test_a_tick_that_must_not_be_followed_becomes_a_dead_letter_at_stage_clock(
    role: str, partition: int, clock: str
) -> None:
    """An unknown writer, one of another partition, one of the other clock."""
    log = started()
    assert [(stage, error) for _, stage, error in aside(log.tick(NOON + MINUTE, role, partition, clock))] == [
        ("clock", "WrongTick")
    ]
    assert log.core.watermark.time == NOON


def test_at_most_one_tick_a_checkpoint_is_handed_on_the_newest() -> None:
    """Once, however many partitions there are downstream, and never twice the same."""
    log = started()
    log.tick(NOON + MINUTE)
    log.tick(NOON + 2 * MINUTE)
    assert [(o.topic, o.partition, o.record) for o in log.core.ticks()] == [
        ("watermarks", 0, Tick(clock="event", time=NOON + 2 * MINUTE, role="counts", partition=0))
    ]
    assert log.core.ticks() == []


def test_a_policy_holds_from_the_first_arrival_of_a_higher_version() -> None:
    """It is handed on once, to every partition downstream; an older one changes nothing."""
    log = started()
    assert [(r.topic, r.partition) for r in log.policy(2) if isinstance(r, Output)] == [("signals", 0), ("signals", 1)]
    assert log.policy(1) == [] and log.policy(2) == []
    assert [e.policy for e in events(log.post("u1", 1))] == [2]


def test_a_fact_before_any_policy_waits_for_the_first_one_which_is_handed_on_before_it() -> None:
    """A gateway may be faster than whoever seeds the log."""
    log = Log()
    log.tick(NOON)
    assert log.post("u1", 1) == [] and waits(log)
    told = log.policy()
    assert [(r.topic, r.partition) for r in told if isinstance(r, Output)] == [("signals", 0), ("signals", 1)]
    assert not waits(log) and log.core.position == 1


def test_before_time_is_known_facts_wait_and_the_log_behind_them_is_only_listened_to() -> None:
    """Not for the sources' own Ticks, nor for one that says nothing; the checkpoint stays before them."""
    log = Log(role="tally")
    log.policy()
    given = events(started().post("u1", 1), "signals")
    assert log.take(*given) == [] and waits(log)
    assert log.tick(NOON, "counts", 0) == [] and log.tick(0, "tally", 0) == []
    assert log.core.heard.unheard() == [("tally", 0)]
    assert (log.core.position, log.core.watermark.time, log.core.ticks()) == (1, 0, [])
    assert log.core.progress().writers == {}
    assert log.take(SourceIdle(role="counts", partition=1, silent_ms=10_000)) == [] and waits(log)
    assert log.tick(NOON, "tally") == []
    assert not waits(log) and (log.core.position, log.core.watermark.time) == (1, NOON)
    assert len(log.taken.left) == 1


def test_what_waited_is_read_up_to_the_record_that_made_time_known_before_any_timer_fires() -> None:
    """All that stands before the first Tick is taken before its timers fire."""
    log = Log(role="tally")
    log.policy()
    one, two = (events(started().post(author, 1), "signals")[0] for author in ("u1", "u2"))
    later = NOON + 20 * MINUTE
    waiting = [Fact(1, one), Fact(2, two), Fact(3, Tick(clock="event", time=later, role="tally", partition=0))]
    assert log.core.take(waiting) == Taken([], waiting)
    resumed = Log(role="tally")
    resumed.core.resume(log.core.progress())
    for core in (log.core, resumed.core):
        found = [
            (r.record.time, r.fact.offset)
            for r in core.take(waiting).results
            if isinstance(r, Output) and r.fact and isinstance(r.record, Alert)
        ]
        assert found == [(NOON + toy.TEN_MINUTES, 3)] * 2


def test_time_is_not_handed_on_before_all_that_waited_for_it_was_taken() -> None:
    """What timers tell of it at their own times is older: it stands before that Tick, also after a restart."""
    log, resumed = Log(), Log()
    log.policy()
    assert (log.post("u1", 1), log.tick(NOON)) == ([], [])
    resumed.core.resume(log.core.progress())
    assert (resumed.core.watermark.time, resumed.core.ticks()) == (NOON, [])
    resumed.end = 0
    resumed.post("u1", 1)
    assert resumed.core.ticks() == []
    resumed.tick(NOON)
    assert len(resumed.core.ticks()) == 1


@pytest.mark.parametrize("time", [1, NOON // 2, 1 << 62])
def test_a_tick_of_a_time_that_nobody_can_mean_becomes_a_dead_letter(time: int) -> None:
    """Before 2000 or after 9999; time stays where it is."""
    log = started()
    (wrong,) = log.tick(time)
    assert isinstance(wrong, DeadLetter) and (wrong.stage, log.core.watermark.time) == ("clock", NOON)


def test_what_a_checkpoint_keeps_is_enough_to_go_on_as_if_nothing_had_been() -> None:
    """Progress and touched records, through their own bytes: the same results follow."""
    from schemas.codec import state_codec

    one, two = started(), Log()
    one.post("u1", 1, f"wake after {2 * MINUTE}")
    one.post("u2", 1)
    one.tick(NOON + MINUTE)
    one.core.ticks()
    assert set(one.core.touched) == {"andina|twitter|u1", "andina|twitter|u2"}
    pack, unpack = state_codec(Progress)
    two.core.resume(unpack(pack(one.core.progress())))
    for key, packed in one.core.packed():
        assert packed is not None
        two.core.restore(key, packed)
    two.end = one.end
    assert two.core.progress() == one.core.progress()
    assert one.post("u1", 2) == two.post("u1", 2)
    assert one.tick(NOON + 9 * MINUTE) == two.tick(NOON + 9 * MINUTE)
    assert one.core.ticks() == two.core.ticks()


def test_a_tick_that_wakes_too_many_is_taken_in_parts_and_nothing_overtakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the log is taken up elsewhere in the middle: the same follows as in one part, and time waits for the end."""

    def waiting() -> Log:
        log = started()
        for n in range(10):
            log.post(f"u{n}", 1, f"wake after {(n // 3) * MINUTE}")
        log.core.ticks()
        return log

    def facts(log: Log) -> list[Fact]:
        tick = Tick(clock="event", time=NOON + 9 * MINUTE, role="classify", partition=0)
        return [Fact(log.end + 1, tick), Fact(log.end + 2, classified(mention("u0", 2)))]

    at_once = waiting()
    wanted = at_once.core.take(facts(at_once)).results
    monkeypatch.setattr("streams.fold.FIRED_AT_ONCE", 4)
    log = waiting()
    end, results = log.end, list[Result]()
    taken = log.core.take(facts(log))
    while taken.left:
        results += taken.results
        assert len(events(taken.results)) == 4
        assert (log.core.position, taken.left, log.core.ticks()) == (end + 1, facts(log), [])
        other = Log()
        other.end = end
        other.core.resume(log.core.progress())
        for key in list(log.core.state):
            record = log.core.state[key]
            other.core.restore(key, other.core._pack(record))
        log = other
        taken = log.core.take(facts(log))
    assert [r.record for r in results + taken.results if isinstance(r, Output)] == [
        r.record for r in wanted if isinstance(r, Output)
    ]
    assert log.core.progress() == at_once.core.progress()
    assert log.core.ticks() == at_once.core.ticks() != []
