"""Promises of the memory for ids: within its span no id is new twice, however they come and however often it is restored."""

from __future__ import annotations

from unittest import mock
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from agents.classify import recent_ids
from agents.classify.recent_ids import RecentIds
from tests.support.examples import examples

SPAN = 100
#: Some are UUIDs, which are hashes already; two of these begin alike.
IDS = st.integers(0, 30).map(lambda n: str(n) if n % 3 else str(UUID(int=(n // 6 << 64) | n)))
STEPS = st.lists(
    st.tuples(st.lists(IDS, max_size=9), st.integers(0, 40), st.booleans(), st.sampled_from([20, SPAN, 300])),
    max_size=30,
)
SIZES = st.tuples(st.integers(1, 8), st.integers(1, 60), st.integers(4, 40))


class Log:
    """A memory, and the changelog and the output topic's tail from which it is restored."""

    def __init__(self) -> None:
        self.memory = RecentIds()
        self.changelog: dict[str, bytes] = {}
        self.tail: list[tuple[str, int, int]] = []

    def take(self, ids: list[str], time: int) -> list[bool]:
        offsets = list(range(len(self.tail), len(self.tail) + len(ids)))
        answers = self.memory.news(ids, offsets, time)
        self.tail += [(id, offset, time) for id, offset in zip(ids, offsets, strict=True)]
        self.new = [pair for pair, new in zip(zip(ids, offsets, strict=True), answers, strict=True) if new]
        return answers

    def commit(self) -> None:
        for key, value in self.memory.packed():
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value

    def restart(self, told: list[tuple[str, int, int]]) -> None:
        """From the changelog, and what the log tells since the moment that the memory names."""
        before = self.memory
        self.memory = RecentIds()
        for key, value in self.changelog.items():
            self.memory.restore(key, value)
        assert (self.memory.upto, self.memory.since, self.memory.forgotten) == (
            before.upto,
            before.since,
            before.forgotten,
        )
        for id, offset, time in told:
            if time >= self.memory.since and offset > self.memory.upto:
                self.memory.note(id, offset, time)


@examples(200)
@given(steps=STEPS, sizes=SIZES)
def test_an_id_that_came_within_the_span_is_known_and_one_that_never_came_is_new(
    steps: list[tuple[list[str], int, bool, int]], sizes: tuple[int, int, int]
) -> None:
    """Through restarts and other spans, with chunks of a few ids; and what may be forgotten is told."""
    with (
        mock.patch.object(recent_ids, "CHUNK", sizes[0]),
        mock.patch.object(recent_ids, "LONGEST", sizes[1]),
        mock.patch.object(recent_ids, "MOST", sizes[2]),
    ):
        log, time = Log(), 1_000
        last: dict[str, int] = {}
        told: list[tuple[str, int, int]] = []
        furthest = 0
        for ids, passed, restarts, span in steps:
            time += passed
            log.memory.age(time)
            log.memory.forget(time, span)
            seen = dict(last)
            for id, new in zip(ids, log.take(ids, time), strict=True):
                if id not in seen:
                    assert new
                elif seen[id] > log.memory.forgotten:
                    assert not new
                if new:
                    seen[id] = last[id] = time
            told += [(id, offset, time) for id, offset in log.new]
            furthest = max(furthest, time - span)
            assert log.memory.forgotten <= furthest or len(last) > sizes[2] - 9
            log.commit()
            if restarts:
                log.restart(told)


def test_what_is_as_good_as_forgotten_is_let_go_and_its_chunks_leave_the_changelog() -> None:
    """Memory and changelog are bounded by the span, and a longer span is filled by and by."""
    with mock.patch.object(recent_ids, "CHUNK", 10):
        log = Log()
        for n in range(1_000):
            log.memory.forget(1_000 + n, SPAN)
            log.take([f"id {n}"], 1_000 + n)
            log.commit()
        assert len(log.memory) <= SPAN + SPAN // 8 + 2 * 10
        assert len(log.changelog) <= SPAN // 10 + 3
        log.memory.forget(2_000, 10 * SPAN)
        assert log.memory.forgotten > 2_000 - 2 * SPAN


def test_more_ids_than_it_may_hold_shorten_its_memory_and_it_says_so() -> None:
    """Bounded, whatever comes; nobody is told that an id is new because it had to be forgotten unsaid."""
    with mock.patch.object(recent_ids, "CHUNK", 10), mock.patch.object(recent_ids, "MOST", 80):
        memory = RecentIds()
        memory.news([f"id {n}" for n in range(100)], range(100), 1_000)
        assert memory.forgotten == 0
        memory.forget(1_001, SPAN)
        assert memory.forgotten == 1_000 and len(memory) <= 80 + 10


def test_a_chunk_fits_into_a_record_of_a_changelog() -> None:
    """64 kB is what one may have."""
    memory = RecentIds()
    memory.news([str(UUID(int=n)) for n in range(2 * recent_ids.CHUNK)], range(2 * recent_ids.CHUNK), 1_795_176_000_000)
    sizes = [len(value) for _, value in memory.packed() if value is not None]
    assert len(sizes) == 3 and max(sizes) < 64_000


@examples(50)
@given(st.lists(STEPS, min_size=1, max_size=3), SIZES)
def test_another_log_takes_over_every_id_that_any_of_its_sources_remembers(
    sources: list[list[tuple[list[str], int, bool, int]]], sizes: tuple[int, int, int]
) -> None:
    chunk, longest, most = sizes
    with mock.patch.multiple(recent_ids, CHUNK=chunk, LONGEST=longest, MOST=most * 10):
        memories, now = [], 1
        for steps in sources:
            memory, offset, time = RecentIds(), 0, 1
            for ids, later, _, span in steps:
                time += later
                memory.forget(time, span)
                memory.news(ids, range(offset, offset + len(ids)), time)
                offset += len(ids)
            memories.append(memory)
            now = max(now, time)
        whole, restored = RecentIds(), RecentIds()
        whole.take_over(memories, now)
        for key, value in whole.packed():
            if value is not None:
                restored.restore(key, value)
        every = [str(n) if n % 3 else str(UUID(int=(n // 6 << 64) | n)) for n in range(31)]
        known = [any(not memory.news([id], [999], now)[0] for memory in memories) for id in every]
        assert [not new for new in restored.news(every, range(31), now)] == known
        assert restored.forgotten == max(memory.forgotten for memory in memories)
