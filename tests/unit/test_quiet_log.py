"""When the log is at rest, so that Ticks of the wall clock come seldom: only where nobody would notice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import pytest
import structlog
from aiokafka.errors import NotCoordinatorForGroupError
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Tick
from streams.committed_offsets import NEVER, CommittedOffset
from streams.kafka_connection import KafkaConnection
from streams.partition import OwnTicks
from streams.quiet_log import QUIET_S, REST_S, QuietLog, rest_s
from streams.settings import WorkerSettings
from streams.wall_clock import WallClock, until_next
from streams.watermark import Watermark

NOW_S = 1_795_176_000.0
NOW = int(NOW_S * 1000)
QUIET = int(QUIET_S * 1000)
ROLES = ("classify", "cases")
#: Looks until the log is surely at rest.
LOOKS = 5


class Reader:
    """A consumer without a group."""

    _client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Enough(Exception):
    """Ends what runs without end, after the last second of the test."""


def at_rest(patch: pytest.MonkeyPatch, quiet_s: float, *found: CommittedOffset | Exception, looks: int = LOOKS) -> bool:
    """Whether the log is at rest after so many looks, one a second, where the first role has nothing to do and the second
    has committed this.
    """
    patch.setattr("streams.quiet_log.wall.time", lambda: NOW_S)
    rests = CommittedOffset(7, NOW - 3_000, NEVER)

    async def committed(_client: Any, group: str) -> Sequence[CommittedOffset]:
        if group == ROLES[0]:
            return [rests]
        for each in found:
            if isinstance(each, Exception):
                raise each
        return [rests, *(each for each in found if isinstance(each, CommittedOffset))]

    seconds, now = iter(range(looks)), [100.0]

    async def sleep(_: float) -> None:
        now[0] += 1.0
        if next(seconds, None) is None:
            raise Enough

    patch.setattr("streams.quiet_log.wall.monotonic", lambda: now[0])
    patch.setattr("streams.quiet_log.committed_by", committed)
    patch.setattr("streams.quiet_log.asyncio.sleep", sleep)
    log: Any = QuietLog(ROLES, Reader, structlog.get_logger("test"))
    with pytest.raises(Enough):
        asyncio.run(log.watch(lambda: quiet_s, 1.0))
    return bool(log.at_rest)


def test_the_log_is_at_rest_when_nothing_came_and_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that has never committed has never had anything to do."""
    assert at_rest(monkeypatch, QUIET_S)
    assert at_rest(monkeypatch, QUIET_S, CommittedOffset(1, NOW - 1, NOW + QUIET + 1))


def test_the_log_is_at_rest_only_when_that_holds_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows from a timer that has fired is on its way meanwhile, and no group says when it is due."""
    assert not at_rest(monkeypatch, QUIET_S, looks=LOOKS - 1)


@pytest.mark.parametrize(
    ("quiet_s", "found"),
    [
        pytest.param(QUIET_S - 1, CommittedOffset(1, NOW, NEVER), id="a record came"),
        pytest.param(QUIET_S, CommittedOffset(1, NOW, NOW + QUIET), id="a timer is due soon"),
        pytest.param(QUIET_S, CommittedOffset(1, NOW, NOW - QUIET), id="a timer is overdue"),
        pytest.param(QUIET_S, CommittedOffset(1, NOW), id="a worker does not say what is due"),
        pytest.param(QUIET_S, CommittedOffset(1, NOW - QUIET, NEVER), id="a role has not come to the last record"),
        pytest.param(QUIET_S, NotCoordinatorForGroupError(), id="Kafka does not say"),
    ],
)
def test_the_log_is_not_at_rest_where(
    quiet_s: float, found: CommittedOffset | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not at_rest(monkeypatch, quiet_s, found)


@pytest.mark.parametrize(
    ("tick_s", "source_idle_s", "wanted"), [(1.0, 10.0, REST_S), (1.0, 4.0, 2.0), (7.0, 20.0, 7.0)]
)
def test_no_writer_of_ticks_counts_as_idle_for_its_rest(tick_s: float, source_idle_s: float, wanted: float) -> None:
    settings = WorkerSettings(kafka=KafkaConnection("localhost:9"), tick_s=tick_s, source_idle_s=source_idle_s)
    assert rest_s(settings) == wanted


class Owned:
    """A partition of a log that follows a clock."""

    def __init__(self, kind: str) -> None:
        self.core, self.own_ticks = self, OwnTicks()
        self.heard = Watermark(frozenset(), kind=kind)


def ticks(patch: pytest.MonkeyPatch, owned: dict[int, Any], rests: Sequence[bool]) -> list[tuple[int, list[int]]]:
    """(second, partitions) of the Ticks, with whether the log is at rest in each second."""
    for partition in owned.values():
        partition.own_ticks.busy = 100.0 - QUIET_S
    now, found = [100.0], list[tuple[int, list[int]]]()
    seconds = iter(rests)
    patch.setattr("streams.wall_clock.wall.monotonic", lambda: now[0])
    patch.setattr("streams.wall_clock.until_next", lambda _, interval: interval)

    class Quiet:
        @property
        def at_rest(self) -> bool:
            return rests[int(now[0]) - 101]

    class Ticks:
        async def write(self, ticks: Sequence[tuple[Any, Tick]]) -> None:
            assert all(owned[tick.partition] is partition and tick.role == "clock" for partition, tick in ticks)
            found.append((int(now[0]) - 100, [tick.partition for _, tick in ticks]))

    async def sleep(seconds_: float) -> None:
        if next(seconds, None) is None:
            raise Enough
        now[0] += seconds_

    patch.setattr("streams.wall_clock.asyncio.sleep", sleep)
    clock: Any = WallClock(owned, Quiet(), Ticks())  # type: ignore[arg-type]
    with pytest.raises(Enough):
        asyncio.run(clock.tick("clock", 1.0, REST_S))
    return found


def test_ticks_come_each_second_and_at_rest_each_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first second that is not at rest has its Tick again."""
    owned = {0: Owned("wall"), 3: Owned("wall")}
    rests = [False, False, *[True] * 8, False, False]
    assert ticks(monkeypatch, owned, rests) == [(n, [0, 3]) for n in (1, 2, 7, 11, 12)]


@given(st.floats(0, 2e9), st.sampled_from([0.2, 1.0, 60.0]))
def test_a_tick_comes_a_little_after_a_whole_interval(now: float, interval: float) -> None:
    """So a minute that has ended does not wait for a second; and two Ticks never come together."""
    wait = until_next(now, interval)
    assert interval / 2 <= wait <= 1.5 * interval
    assert (now + wait - 0.02 + 1e-5) % interval <= 2e-5


def test_a_log_on_the_event_clock_gets_no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ticks(monkeypatch, {0: Owned("event"), 1: Owned("wall")}, [False]) == [(1, [1])]
    assert ticks(monkeypatch, {0: Owned("event")}, [False]) == []
