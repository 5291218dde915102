"""Nothing is decided before time and a policy are known: what waits is decided at the first time, by the first policy, however
the log is cut and taken up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agents.classify.stage import ClassifyStage
from agents.policy import digest, parse
from schemas import codec
from schemas.records import CaseChanged, PolicyChanged, Record, SourceIdle, Tick, Volume
from streams.batch import BatchCore
from streams.core import Core, DeadLetter, Fact, Output, Result
from streams.fold import FoldCore
from tests.support import toy
from tests.support.examples import examples
from tests.support.world import MINUTE, NOON, author_on, mention

POLICY = parse(toy.POLICY, 1)
CHANGED = PolicyChanged(version=1, hash=digest(toy.POLICY), applied_at=NOON)
HERE = author_on(0, 2)


def classify() -> Core:
    stage = ClassifyStage(0, toy.stub)
    return BatchCore(toy.PIPELINE, toy.PIPELINE.role("classify"), 0, 2, lambda *_: POLICY, stage)


def tally() -> Core:
    return FoldCore(toy.PIPELINE, toy.PIPELINE.role("tally"), 0, 2, lambda *_: POLICY, toy.Tally())


class Shell:
    """Runs a core over a log as `Core.take` asks for it; keeps no fact that waits, and can be taken up elsewhere."""

    def __init__(self, make: Callable[[], Core], log: list[Fact]) -> None:
        self.make, self.log, self.core = make, log, make()
        self.results: list[Result] = []
        self.read = 0
        """How many records of the log were given."""

    def give(self, count: int) -> None:
        """The next records of the log."""
        self._take(self.log[self.read : self.read + count])
        self.read += count

    def _take(self, facts: list[Fact]) -> None:
        again = self.core.waits_to_begin
        while facts:
            before = self.core.position
            taken = self.core.take(facts)
            self.results += taken.results
            if self.core.waits_to_begin:
                if not again:
                    self.core.position = taken.left[0].offset
                return
            if again:
                assert self.core.position == before, "a fact overtook those that wait"
                self._take(self.log[before : facts[0].offset])
                again = False
                continue
            facts = taken.left
            if facts:
                self.core.position = facts[0].offset

    def restart(self) -> None:
        """From the checkpoint: all that was read ahead is read again."""
        old, self.core = self.core, self.make()
        self.core.resume(old.progress())
        if isinstance(old, FoldCore) and isinstance(self.core, FoldCore):
            for key in old.state:
                self.core.restore(key, old._pack(old.state[key]))
        if isinstance(self.core, BatchCore):
            tail = [r for r in self.results if isinstance(r, Output) and r.topic == "classified"]
            now = next((r.record.time for r in tail if isinstance(r.record, Tick)), 0)
            for r in tail:
                if isinstance(r.record, Tick):
                    now = r.record.time
                elif not isinstance(r.record, PolicyChanged):
                    self.core.recall(r.record, r.fact.offset if r.fact else 0, now)
            self.core.stage.tick(self.core.watermark.time)
        self.read = self.core.position


def told(results: list[Result]) -> list[Any]:
    """What is written, in order, and the dead letters."""
    found: list[Any] = []
    for r in results:
        if isinstance(r, Output):
            found.append((r.topic, r.partition, r.record, r.fact.offset if r.fact else None))
        elif isinstance(r, DeadLetter):
            found.append((r.fact.offset, r.stage, r.error))
    return found


def case(number: int) -> CaseChanged:
    return CaseChanged(
        id=f"e{number}", aggregate=f"andina|twitter|u{number}", seq=1, time=NOON, cause="c", policy=1, reason="toy: counted",
        brand="andina", channel="twitter", author_id=f"u{number}", desk="care", change="post_added", label="other",
        priority=1, waiting=False,
    )  # fmt: skip


TIMES = some.sampled_from([0, NOON, NOON + 1, NOON + MINUTE, NOON + 20 * MINUTE])


def ticks(*writers: tuple[str, int]) -> some.SearchStrategy[Record]:
    return some.builds(
        lambda clock, time, writer: Tick(clock=clock, time=time, role=writer[0], partition=writer[1]),
        some.sampled_from(["wall", "wall", "event"]),
        TIMES,
        some.sampled_from(writers),
    )


FOLDED: some.SearchStrategy[Record] = some.one_of(
    some.builds(case, some.integers(0, 3)),
    ticks(("counts", 0), ("counts", 1), ("who", 0)),
    some.builds(lambda n: SourceIdle(role="counts", partition=n, silent_ms=10_000), some.integers(0, 1)),
    some.just(CHANGED),
)
BATCHED: some.SearchStrategy[Record] = some.one_of(
    some.builds(lambda n: mention(HERE, n), some.integers(0, 5)), ticks(("clock", 0), ("clock", 1)), some.just(CHANGED)
)
STEPS = some.lists(some.sampled_from([1, 1, 2, 3, 7, 0]), max_size=30)
"""How many records are given at once; 0: taken up elsewhere."""


@pytest.mark.parametrize(("make", "records"), [(classify, BATCHED), (tally, FOLDED)], ids=["batch", "fold"])
@examples(100)
@given(data=some.data())
def test_what_waits_for_time_is_decided_at_the_first_one_however_the_log_is_cut(
    make: Callable[[], Core], records: some.SearchStrategy[Record], data: some.DataObject
) -> None:
    """The same outputs in the same order, the same progress, and no fact of 1970 anywhere."""
    some_records = [*data.draw(some.sampled_from([[CHANGED], []])), *data.draw(some.lists(records, max_size=20))]
    stamps = [NOON + n * MINUTE for n in range(len(some_records))]
    log = [Fact(n, r, at, codec.encode(r)) for n, (r, at) in enumerate(zip(some_records, stamps, strict=True))]
    whole, cut = Shell(make, log), Shell(make, log)
    whole.give(len(log))
    for step in data.draw(STEPS):
        cut.give(step) if step else cut.restart()
    cut.give(len(log))
    assert told(cut.results) == told(whole.results)
    assert cut.core.progress() == whole.core.progress()
    for result in whole.results:
        if isinstance(result, Output):
            record: Any = result.record
            assert isinstance(record, PolicyChanged) or getattr(record, "time", NOON) >= NOON
            assert not isinstance(record, Volume) or record.minute >= NOON
