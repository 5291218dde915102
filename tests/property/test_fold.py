"""A fold over cold records and compact timers does what one over a dict and a sorted list does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from agents.decider import At, State, StateNote, Timer
from agents.policy import digest, parse
from schemas.records import CaseChanged, PolicyChanged, Record, Tick
from streams.core import DeadLetter, Fact
from streams.fold import FoldCore
from tests.support import toy
from tests.support.examples import examples
from tests.support.world import MINUTE, NOON

POLICY = parse(toy.POLICY, 1)
START = NOON - 3 * MINUTE
#: Instead of a thousand.
MOST_FIRINGS = 3

Woken = Literal["clear", "again", "ignore", "move", "remove", "raise", "raise late"]


class Held(msgspec.Struct, frozen=True):
    """A record that says when it wakes and what it does then."""

    number: int
    due: int | None
    woken: Woken = "clear"


class Change(StateNote, msgspec.Struct, frozen=True):
    """Note: a record, new, changed or removed."""

    key: str
    held: Held | None


class Scripted:
    """Does what the fact's reason says, and writes down what it sees."""

    record_types: ClassVar[Any] = Held

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def initial(self) -> State[Held]:
        return State()

    def decide(self, state: Any, fact: Record | Timer, at: At) -> Iterator[Any]:
        if isinstance(fact, CaseChanged):
            changes, fails = msgspec.json.decode(fact.reason, type=tuple[list[Change], bool])
            for change in changes:
                self.seen.append((change.key, change.key in state, state.get(change.key)))
                yield change
            if fails:
                raise ValueError
        elif isinstance(fact, Timer):
            yield from self._woken(fact, state.get(fact.key), at)

    def _woken(self, due: Timer, held: Held | None, at: At) -> Iterator[Any]:
        self.seen.append((due.key, due.at, at.time, held))
        woken = "clear" if held is None else held.woken
        if woken == "raise late":
            yield Change("a", Held(99, at.time))
            yield Change(due.key, None)
        if woken.startswith("raise"):
            raise ValueError
        number = held.number + 1 if held else 0
        if woken == "again":
            yield Change(due.key, Held(number, due.at, "again"))
        elif woken == "move":
            yield Change("b", Held(number, due.at - 1))
            yield Change(due.key, Held(number, due.at + MINUTE))
        elif woken != "ignore":
            yield Change(due.key, None if woken == "remove" else Held(number, None))

    def evolve(self, state: Any, event: Any) -> dict[str, Held | None]:
        return {event.key: event.held}

    def due(self, record: Held) -> int | None:
        return record.due


class Plain:
    """The fold as its promises say it: a dict of records, a dict of dues, searched."""

    def __init__(self) -> None:
        self.decider = Scripted()
        self.state: dict[str, Held] = {}
        self.dues: dict[str, int] = {}
        self.touched: set[str] = set()
        self.time = START
        self.errors: list[str] = []

    def put(self, key: str, held: Held | None) -> None:
        self.state.pop(key, None)
        self.dues.pop(key, None)
        if held is not None:
            self.state[key] = held
            if held.due is not None:
                self.dues[key] = held.due

    def step(self, fact: Record | Timer, time: int) -> None:
        state, dues, changed = dict(self.state), dict(self.dues), set[str]()
        try:
            at = At(time=time, seen=max(time, self.time), policy=POLICY, cause="")
            for event in self.decider.decide(self.state, fact, at):
                for key, held in self.decider.evolve(self.state, event).items():
                    changed.add(key)
                    self.put(key, held)
        except ValueError:
            # As if the step had not been; the timer that has fired is gone all the same.
            self.state, self.dues = state, dues
            self.errors.append("ValueError")
        else:
            self.touched |= changed

    def tick(self, time: int) -> None:
        self.time = max(self.time, time)
        fired: dict[tuple[int, str], int] = {}
        while found := sorted((due, key) for key, due in self.dues.items() if due <= self.time):
            due, key = found[0]
            del self.dues[key]
            fired[due, key] = fired.get((due, key), 0) + 1
            if fired[due, key] > MOST_FIRINGS:
                self.errors.append("EndlessTimer")
            else:
                self.step(Timer(key, due), due)

    def recover(self) -> None:
        for key, held in list(self.state.items()):
            self.put(key, held)


class Real:
    """The fold itself, with the changelog that its checkpoints write."""

    def __init__(self) -> None:
        self.decider = Scripted()
        self.core = self._core()
        self.changelog: dict[str, bytes] = {}
        self.errors: list[str] = []
        self.core.take([Fact(0, PolicyChanged(version=1, hash=digest(toy.POLICY), applied_at=NOON))])
        self.take(Tick(clock="event", time=START, role="classify", partition=0))

    def _core(self) -> FoldCore:
        return FoldCore(toy.PIPELINE, toy.PIPELINE.role("counts"), 0, 1, lambda *_: POLICY, self.decider)

    def take(self, record: Record) -> None:
        results = self.core.take([Fact(1, record)]).results
        self.errors += [result.error for result in results if isinstance(result, DeadLetter)]

    def commit(self) -> None:
        for key, packed in self.core.packed():
            if packed is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = packed
        self.core.committed()

    def recover(self) -> None:
        progress = self.core.progress()
        self.core = self._core()
        self.core.resume(progress)
        for key, packed in self.changelog.items():
            self.core.restore(key, packed)


def fact(changes: list[Change], fails: bool) -> CaseChanged:
    """One that carries a script."""
    return CaseChanged(
        id="",
        aggregate="",
        seq=1,
        time=0,
        cause="",
        policy=1,
        reason=msgspec.json.encode((changes, fails)).decode(),
        brand="andina",
        channel="twitter",
        author_id="u",
        desk="care",
        change="post_added",
        label="other",
        priority=1,
        waiting=False,
    )


TIMES = some.one_of(some.integers(NOON - 2, NOON + 4), some.integers(NOON - 2 * MINUTE, NOON + 5 * MINUTE))
WOKEN = some.sampled_from(["clear", "again", "ignore", "move", "remove", "raise", "raise late"])
HELD = some.builds(Held, some.integers(0, 9), some.none() | TIMES, WOKEN)
CHANGES = some.builds(Change, some.sampled_from("abcde"), some.none() | HELD)
STEPS = some.one_of(
    some.tuples(some.lists(CHANGES, min_size=1, max_size=4), some.sampled_from([False, False, True])),
    TIMES,
    some.sampled_from(["commit", "recover"]),
)


@pytest.mark.parametrize("most_live", [-1, 60, 1 << 20])
@examples(200)
@given(history=some.lists(STEPS, max_size=40))
def test_a_fold_is_a_dict_and_a_sorted_list(most_live: int, history: list[Any]) -> None:
    """The same records, timers, firings in order, errors, and bytes for a checkpoint, however few records stay live."""
    with mock.patch("agents.decider._MOST_LIVE", most_live), mock.patch("streams.fold._MOST_FIRINGS", MOST_FIRINGS):
        real, plain = Real(), Plain()
        for step in history:
            if isinstance(step, tuple):
                real.take(fact(*step))
                plain.step(fact(*step), plain.time)
            elif isinstance(step, int):
                real.take(Tick(clock="event", time=step, role="classify", partition=0))
                plain.tick(step)
            else:
                assert set(real.core.touched) == plain.touched
                plain.touched.clear()
                real.commit()
                if step == "recover":
                    real.recover()
                    plain.recover()
            assert len(real.core.state) == len(plain.state)
            assert set(real.core.state) == set(plain.state)
            assert real.core.timers() == len(plain.dues)
            assert real.errors == plain.errors
            assert real.decider.seen == plain.decider.seen
        assert dict(real.core.state) == plain.state
        real.commit()
        _, unpack = real.core._pack, real.core._unpack
        assert {key: unpack(packed) for key, packed in real.changelog.items()} == plain.state
