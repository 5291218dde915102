"""Promises of every Decider of the pipeline: one that is added to `netcenter/pipeline.py` is tested here by itself.

Each promise is a function that a Decider and its facts must pass. The tests at the end hold that a Decider which breaks a
promise fails it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.decider import At, Decider, State, StateNote, Timer, Unusable
from agents.policy import Policy
from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.keys import KEYLESS
from schemas.records import (
    RECORDS,
    CrisisClosed,
    CrisisDeclared,
    CrisisOpened,
    Decided,
    OfferAnswered,
    Record,
    Reply,
    Volume,
)
from streams.topology import Fold
from tests.support import care_facts
from tests.support.any_record import example
from tests.support.decider_facts import Facts, facts_of, policy_of
from tests.support.decider_runner import Run
from tests.support.examples import examples

Make = Callable[[], Decider]
FOLDS = {role.name: role.shape for role in PIPELINE.roles if isinstance(role.shape, Fold)}
each_decider = pytest.mark.parametrize("role", FOLDS)


# --- the promises ---


def state_is_the_fold_of_events(make: Make, policy: Policy, facts: Facts) -> None:
    """Events and notes alone rebuild the state; and records that are restored rebuild the indexes over them."""
    run, folded, recovered = play(make(), policy, facts), make().initial(), make().initial()
    decider = make()
    for event in run.folded:
        for key, record in decider.evolve(folded, event).items():
            folded.put(key, record)
    for key, record in sorted(run.state.items(), reverse=True):
        recovered.put(key, record)
    for state in (folded, recovered):
        assert dict(state) == dict(run.state)
        assert indexes(state) == indexes(run.state)


def sequences_have_no_gaps(make: Make, policy: Policy, facts: Facts) -> None:
    """seq counts 1, 2, 3 in every aggregate, and no two events have the same id."""
    events = play(make(), policy, facts).events
    seqs: dict[str, list[int]] = defaultdict(list)
    for event in events:
        assert isinstance(event, Decided)
        seqs[event.aggregate].append(event.seq)
    for seq in seqs.values():
        assert seq == list(range(1, len(seq) + 1))
    assert len({event.id for event in events}) == len(events)


def decide_and_evolve_change_nothing(make: Make, policy: Policy, facts: Facts) -> None:
    """State changes only where the runner puts what `evolve` returns."""
    play(Watched(make()), policy, facts)


def a_failed_step_leaves_no_trace(make: Make, policy: Policy, facts: Facts) -> None:
    """Whichever event or note of a step fails: records, indexes, events and the later course are as if it had not been."""
    decider = make()
    failing = Failing(decider)
    run = Run(failing, policy)
    for n, (time, fact) in enumerate(facts):
        run.tick(time)
        if fact is None:
            continue
        before = (packed(decider, run.state), indexes(run.state), len(run.events), len(run.folded))
        failing.left = n % 4
        try:
            run.fact(fact)
        except Broken:
            assert (packed(decider, run.state), indexes(run.state), len(run.events), len(run.folded)) == before
            failing.left = None
            give(run, fact)
        failing.left = None
    assert run.events == play(make(), policy, facts).events


def records_survive_encoding(make: Make, policy: Policy, facts: Facts) -> None:
    """Each record that the changelog gets is read back as the same record, and has the same bytes again."""
    decider = make()
    run = Run(decider, policy)
    pack, unpack = codec.state_codec(decider.record_types)
    for time, fact in facts:
        run.tick(time)
        if fact is not None:
            give(run, fact)
        for record in run.state.values():
            value = bytes(pack(record))
            assert unpack(value) == record
            assert bytes(pack(unpack(value))) == value


def the_same_facts_give_the_same_events(make: Make, policy: Policy, facts: Facts) -> None:
    """A second run decides the same; so does one that starts anew from its encoded records between two facts."""
    whole = play(make(), policy, facts)
    assert play(make(), policy, facts).events == whole.events
    middle = len(facts) // 2
    first = play(make(), policy, facts[:middle])
    decider = make()
    pack, unpack = codec.state_codec(decider.record_types)
    second = Run(decider, policy)
    second.tick(first.time)
    for key, record in first.state.items():
        second.restore(key, unpack(bytes(pack(record))))
    for time, fact in facts[middle:]:
        second.tick(time)
        if fact is not None:
            give(second, fact)
    assert first.events + second.events == whole.events
    assert dict(second.state) == dict(whole.state)


def no_fact_is_yielded(make: Make, policy: Policy, facts: Facts) -> None:
    """What goes through `evolve` is an event of the Decider's own or a note: never the fact or timer itself."""
    given_ = {id(fact) for _, fact in facts}
    for event in play(make(), policy, facts).folded:
        assert isinstance(event, Decided | StateNote)
        assert id(event) not in given_


def a_copy_changes_nothing(make: Make, policy: Policy, facts: Facts, kind: type[Record], draw: Random) -> None:
    """A record that was read before, and stands in the log once more at any later place, leads to no event."""
    run, copied, earlier = Run(make(), policy), Run(make(), policy), list[Record]()
    for time, fact in facts:
        for one in (run, copied):
            one.tick(time)
            if fact is not None:
                give(one, fact)
        if isinstance(fact, kind):
            earlier.append(fact)
        if earlier and draw.random() < 0.7:
            give(copied, draw.choice(earlier))
    assert copied.events == run.events


# --- every Decider of the pipeline ---


@each_decider
@examples(15)
@given(data=st.data())
def test_the_state_is_the_fold_of_events(role: str, data: st.DataObject) -> None:
    state_is_the_fold_of_events(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role)))


@each_decider
@examples(15)
@given(data=st.data())
def test_sequences_have_no_gaps_and_ids_are_unique(role: str, data: st.DataObject) -> None:
    sequences_have_no_gaps(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role)))


@each_decider
@examples(15)
@given(data=st.data())
def test_decide_and_evolve_change_nothing_by_themselves(role: str, data: st.DataObject) -> None:
    decide_and_evolve_change_nothing(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role))[:40])


@each_decider
@examples(15)
@given(data=st.data())
def test_a_failed_step_leaves_no_trace(role: str, data: st.DataObject) -> None:
    a_failed_step_leaves_no_trace(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role))[:60])


@each_decider
@examples(15)
@given(data=st.data())
def test_each_state_record_survives_the_changelog(role: str, data: st.DataObject) -> None:
    records_survive_encoding(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role))[:60])


@each_decider
@examples(15)
@given(data=st.data())
def test_the_same_facts_give_the_same_events_also_from_restored_records(role: str, data: st.DataObject) -> None:
    the_same_facts_give_the_same_events(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role)))


@each_decider
@examples(15)
@given(data=st.data())
def test_a_decider_yields_events_and_notes_and_no_fact(role: str, data: st.DataObject) -> None:
    no_fact_is_yielded(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role)))


@each_decider
def test_a_fact_that_no_topic_brings_it_yields_nothing(role: str) -> None:
    """One record of each type that the role's input topic does not carry."""
    decider = FOLDS[role].decider()
    state, at = decider.initial(), At(care_facts.DAY, care_facts.DAY, policy_of(role), "a fact")
    carried = PIPELINE.topic(PIPELINE.role(role).input_topic).records
    for record in RECORDS:
        if record not in carried:
            assert list(decider.decide(state, example(record), at)) == []


@each_decider
@examples(15)
@given(data=st.data())
def test_each_state_record_goes_to_another_log_with_the_facts_that_change_it(role: str, data: st.DataObject) -> None:
    facts = data.draw(facts_of(role))
    topic = PIPELINE.topic(PIPELINE.role(role).input_topic)
    keys = {topic.key(fact) for _, fact in facts if isinstance(fact, topic.records) and type(fact) not in KEYLESS}
    for key, record in play(FOLDS[role].decider(), policy_of(role), facts).state.items():
        with suppress(Unusable):
            assert FOLDS[role].carried(key, record).by in keys


#: Of a role whose input topic others write too: the signed records of which a copy, with its signature, leads to nothing.
#: SECURITY.md says what a copy of any other signed record of these topics does.
HARMLESS_COPIES = {"surge": (Volume, CrisisDeclared), "desk": (OfferAnswered, CrisisOpened, CrisisClosed)}


@pytest.mark.parametrize(("role", "kind"), [(role, kind) for role, kinds in HARMLESS_COPIES.items() for kind in kinds])
@examples(15)
@given(data=st.data())
def test_a_signed_record_that_is_copied_within_its_partition_leads_to_nothing(
    role: str, kind: type[Record], data: st.DataObject
) -> None:
    draw = data.draw(st.randoms(use_true_random=False))
    a_copy_changes_nothing(FOLDS[role].decider, policy_of(role), data.draw(facts_of(role)), kind, draw)


def test_security_md_says_of_each_signed_record_what_a_copy_does() -> None:
    """Each that a role of the suite reads, and each that every role reads."""
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    rows = re.search(r"\| a copy of \|.*?\n\n", page, re.DOTALL)
    assert rows
    signed = {kind.__name__ for topic in PIPELINE.topics for kind in topic.signed}
    assert (
        set(re.findall(r"\b(?:[A-Z][a-z]+)+\b", "".join(re.findall(r"^\| ([^|]*)\|", rows[0], re.MULTILINE)))) == signed
    )
    for kinds in HARMLESS_COPIES.values():
        for kind in kinds:
            assert re.search(rf"^\|[^|]*{kind.__name__}[^|]*\| nothing", rows[0], re.MULTILINE), kind


# --- running, watching, failing ---


def play(decider: Decider, policy: Policy, facts: Facts) -> Run:
    """Runs all facts; one that the Decider cannot use leaves no trace, as in the worker."""
    run = Run(decider, policy)
    for time, fact in facts:
        run.tick(time)
        if fact is not None:
            give(run, fact)
    return run


def give(run: Run, fact: Record) -> None:
    """Gives a fact; a ValueError (Unusable among them) of the Decider makes it a dead letter."""
    with suppress(ValueError):
        run.fact(fact)


def indexes(state: State[Any]) -> dict[str, Any]:
    """What a Decider's own kind of state keeps beside its records; `left_out` only counts what happened since the start."""
    return {name: value for name, value in vars(state).items() if name not in vars(State()) and name != "left_out"}


def packed(decider: Decider, state: State[Any]) -> dict[str, bytes]:
    """The encoded records: a change inside a record shows too."""
    pack, _ = codec.state_codec(decider.record_types)
    return {key: bytes(pack(record)) for key, record in state.items()}


class Watched:
    """A Decider that behaves as another one; the state must be the same before and after each call of it."""

    record_types: ClassVar[Any] = None

    def __init__(self, decider: Decider) -> None:
        self.decider, self.initial, self.due = decider, decider.initial, decider.due

    def decide(self, state: Any, fact: Record | Timer, at: At) -> Iterator[Decided | StateNote]:
        """As the other one."""
        events = iter(self.decider.decide(state, fact, at))
        while True:
            before = packed(self.decider, state), msgspec.msgpack.encode(indexes(state), enc_hook=repr)
            event = next(events, None)
            assert (packed(self.decider, state), msgspec.msgpack.encode(indexes(state), enc_hook=repr)) == before
            if event is None:
                return
            yield event

    def evolve(self, state: Any, event: Any) -> dict[str, Any]:
        """As the other one."""
        before = packed(self.decider, state), msgspec.msgpack.encode(indexes(state), enc_hook=repr)
        changed = self.decider.evolve(state, event)
        assert (packed(self.decider, state), msgspec.msgpack.encode(indexes(state), enc_hook=repr)) == before
        return changed


class Broken(Exception):
    """What a failing step raises."""


class Failing:
    """A Decider that behaves as another one until `left` more events have been applied; None: for ever."""

    record_types: ClassVar[Any] = None

    def __init__(self, decider: Decider) -> None:
        self.decider, self.initial, self.due, self.decide = decider, decider.initial, decider.due, decider.decide
        self.left: int | None = None

    def evolve(self, state: Any, event: Any) -> dict[str, Any]:
        """As the other one, or raises Broken."""
        if self.left is not None:
            if self.left == 0:
                raise Broken
            self.left -= 1
        return self.decider.evolve(state, event)


# --- a Decider that breaks a promise fails it ---


class Counted(msgspec.Struct, frozen=True):
    """How many replies a customer got."""

    seq: int
    names: list[str] = []


class ReplyNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: a reply was read."""

    reply: Reply


class Honest:
    """Counts the replies to each customer, and keeps its promises."""

    record_types: ClassVar[Any] = Counted

    def initial(self) -> State[Counted]:
        """No replies yet."""
        return State()

    def due(self, record: Counted) -> int | None:
        """Never."""
        return None

    def decide(self, state: State[Counted], fact: Any, at: At) -> Iterator[Any]:
        """A note, and the count as an event of some type."""
        if isinstance(fact, Reply):
            yield ReplyNoted(fact)
            yield counted(fact.author_id, state[fact.author_id].seq, at)

    def evolve(self, state: State[Counted], event: Any) -> dict[str, Any]:
        """One more reply."""
        if not isinstance(event, ReplyNoted):
            return {}
        old = state.get(event.reply.author_id) or Counted(0)
        return {event.reply.author_id: Counted(old.seq + 1, [*old.names, event.reply.native_id])}


def counted(customer: str, seq: int, at: At) -> Decided:
    """An event of a customer."""
    return Decided(**at.envelope(customer, seq, "counted: a reply"))


class Hidden(Honest):
    """Puts a record into the state itself."""

    def decide(self, state: State[Counted], fact: Any, at: At) -> Iterator[Any]:
        if isinstance(fact, Reply):
            state.put("all", Counted((state.get("all") or Counted(0)).seq + 1))
            yield from super().decide(state, fact, at)


class Gaps(Honest):
    """Counts by two."""

    def evolve(self, state: State[Counted], event: Any) -> dict[str, Any]:
        return {key: Counted(new.seq + 1, new.names) for key, new in super().evolve(state, event).items()}


class Mutates(Honest):
    """Appends to the list of a record that is in the state."""

    def evolve(self, state: State[Counted], event: Any) -> dict[str, Any]:
        if isinstance(event, ReplyNoted) and event.reply.author_id in state:
            state[event.reply.author_id].names.append("again")
        return super().evolve(state, event)


class Memory(Honest):
    """Remembers in the Decider what the state should hold."""

    def __init__(self) -> None:
        self.seen = 0

    def decide(self, state: State[Counted], fact: Any, at: At) -> Iterator[Any]:
        if isinstance(fact, Reply):
            self.seen += 1
            yield ReplyNoted(fact)
            yield counted("all", self.seen, at)


class Lossy(Honest):
    """Its record's type in the changelog is not that of its records."""

    record_types: ClassVar[Any] = msgspec.defstruct("Other", [("seq", float)], frozen=True)


class Itself(Honest):
    """Yields the fact to remember it."""

    def decide(self, state: State[Counted], fact: Any, at: At) -> Iterator[Any]:
        if isinstance(fact, Reply):
            yield fact
            yield counted(fact.author_id, state[fact.author_id].seq, at)

    def evolve(self, state: State[Counted], event: Any) -> dict[str, Any]:
        return super().evolve(state, ReplyNoted(event) if isinstance(event, Reply) else event)


REPLIES: Facts = [(care_facts.DAY + n, care_facts.reply(str(n), care_facts.DAY + n)) for n in range(6)]
PROMISES = (
    state_is_the_fold_of_events,
    sequences_have_no_gaps,
    decide_and_evolve_change_nothing,
    a_failed_step_leaves_no_trace,
    records_survive_encoding,
    the_same_facts_give_the_same_events,
    no_fact_is_yielded,
)


@pytest.mark.parametrize("promise", PROMISES)
def test_an_honest_decider_keeps_every_promise(promise: Callable[[Make, Policy, Facts], None]) -> None:
    promise(Honest, care_facts.POLICY, REPLIES)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (Hidden, state_is_the_fold_of_events),
        (Gaps, sequences_have_no_gaps),
        (Hidden, decide_and_evolve_change_nothing),
        (Mutates, decide_and_evolve_change_nothing),
        (Hidden, a_failed_step_leaves_no_trace),
        (Memory, a_failed_step_leaves_no_trace),
        (Lossy, records_survive_encoding),
        (Memory, the_same_facts_give_the_same_events),
        (Itself, no_fact_is_yielded),
    ],
)
def test_a_decider_that_breaks_a_promise_is_found(broken: Make, promise: Callable[[Make, Policy, Facts], None]) -> None:
    with pytest.raises(AssertionError):
        promise(broken, care_facts.POLICY, REPLIES)


def test_a_decider_that_takes_copies_is_found() -> None:
    with pytest.raises(AssertionError):
        a_copy_changes_nothing(Honest, care_facts.POLICY, REPLIES, Reply, Random(1))


def test_the_suite_sees_every_deciding_role() -> None:
    """And for each the facts of its own that it needs: any records seldom lead to an event."""
    assert list(FOLDS) == ["cases", "surge", "desk", "alerts"]
    assert OfferAnswered in PIPELINE.topic("desk").records
