"""Time is a record: Ticks through every hop, the least of the writers, timers at their own time, silent writers idle."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from kafka import TopicPartition

from agents.policy import digest
from netcenter.broker.reading import TopicFollower
from schemas.records import Alert, CaseChanged, ClassifiedMention, PolicyChanged, SourceIdle, Tick, Volume
from streams.committed_offsets import CommittedOffset, committed_by, parsed
from streams.fold import FIRED_AT_ONCE
from streams.kafka_connection import KafkaConnection
from streams.log_reader import reading
from streams.partitioner import partition_of
from tests.support import toy
from tests.support.toy import TEN_MINUTES
from tests.support.waiting import until
from tests.support.world import MINUTE, NOON, Row, World, author_on, classified, free_port, mention, ready

HERE, THERE = author_on(0, 2), author_on(1, 2)


def is_tick(row: Row, role: str) -> bool:
    """Whether it is a Tick of that role."""
    return isinstance(row.record, Tick) and row.record.role == role


def times(world: World, role: str) -> list[int]:
    """A role's watermark by partition of its input topic, as its group has committed it."""
    found = world.offsets(role)
    return [int(found[n][1]) if n in found else 0 for n in range(world.partitions)]


def await_times(world: World, role: str, wanted: list[int]) -> None:
    """Until that is a role's time."""
    world.until(lambda: times(world, role) == wanted, 20, f"{role} at {wanted}")


@pytest.fixture(scope="module")
def flow(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three hops on the event clock: some minutes with posts, timers among them, then a jump of half an hour."""
    with World(kafka, f"d{uuid4().hex[:8]}.", tmp_path_factory.mktemp("time")) as world:
        world.started("classify", "counts", "tally", checkpoint_s=0.05)
        world.tick(NOON)
        world.send("mentions", mention(HERE, 1, "wake after 600001"))
        world.send("mentions", mention(author_on(0, 2, 1), 1, "wake after 120000"))
        world.send("mentions", mention(author_on(0, 2, 2), 1, "wake after 120000"))
        for minute in range(1, 5):
            world.send("mentions", mention(THERE, minute, "awful"))
            world.tick(NOON + minute * MINUTE)
        world.tick(NOON + 30 * MINUTE)
        world.flush()
        for role in ("classify", "counts", "tally"):
            await_times(world, role, [NOON + 30 * MINUTE] * 2)
        yield world


def test_a_tick_reaches_every_partition_of_every_hop_with_its_writers_name(flow: World) -> None:
    """In place from mentions to classified; after that each partition writes one among the watermarks, and each owner of a
    partition further down one into that partition.
    """

    def last(topic: str) -> set[tuple[int, str, int]]:
        ticks = [(r.partition, r.record) for r in flow.rows(topic) if isinstance(r.record, Tick)]
        return {(n, t.role, t.partition) for n, t in ticks if t.time >= NOON + 30 * MINUTE}

    assert last("watermarks") == {(0, role, n) for role in ("classify", "counts") for n in range(2)}
    assert last("signals") == {(n, "tally", n) for n in range(2)}
    assert last("volumes") == set(), "nobody reads it here"
    placed = {(row.partition, row.record.partition) for row in flow.rows("classified") if isinstance(row.record, Tick)}
    assert placed == {(0, 0), (1, 1)}


def test_timers_fire_in_order_each_at_its_own_time_through_a_jump(flow: World) -> None:
    """Two minutes, ten minutes and a millisecond: not the half hour of the Tick that woke them."""
    fired = [e for e in flow.records("cases", CaseChanged) if e.reason == "timer: fired"]
    assert [e.time for e in fired] == [NOON + 2 * MINUTE, NOON + 2 * MINUTE, NOON + TEN_MINUTES + 1]
    assert len({e.id for e in fired}) == 3
    alerts = flow.records("alerts", Alert)
    assert {(a.aggregate.rpartition("|")[2], a.time) for a in alerts if a.aggregate.endswith("|" + HERE)} == {
        (HERE, NOON + TEN_MINUTES)
    }


def test_nothing_stands_behind_a_tick_that_promised_it(flow: World) -> None:
    """In each partition, whoever wrote it: the owner's Tick comes after all that its sources had said before."""
    counted = 0
    for partition in range(2):
        promised = 0
        for row in flow.rows("signals"):
            if row.partition != partition:
                continue
            if isinstance(record := row.record, Tick):
                promised = record.time
            elif isinstance(record, CaseChanged):
                counted += 1
                assert record.time >= promised
    assert counted == 10


def test_a_worker_reads_how_far_a_group_is_and_what_is_due_next(flow: World) -> None:
    """As the worker that asks whether the log is at rest; a group that never was has committed nothing."""

    async def asked(role: str) -> list[CommittedOffset]:
        async with reading(flow.kafka) as reader:
            return await committed_by(reader._client, flow.prefix + role)

    told = {n: CommittedOffset(at, *parsed(text)[::2]) for n, (at, text) in flow.committed("counts").items()}
    assert sorted(asyncio.run(asked("counts"))) == sorted(told.values())
    assert {at.time for at in told.values()} == {NOON + 30 * MINUTE} and all(at.due for at in told.values())
    assert asyncio.run(asked("nobody")) == []


def test_time_is_the_least_of_the_writers_and_never_falls(flow: World) -> None:
    """One partition's hour passes; further down it is an hour later only when the other's has passed too."""
    flow.tick(NOON + 60 * MINUTE, only=0)
    flow.tick(NOON, only=1)
    flow.flush()
    await_times(flow, "counts", [NOON + 60 * MINUTE, NOON + 30 * MINUTE])

    def told() -> set[tuple[int, int]]:
        rows = (row.record for row in flow.rows("watermarks") if is_tick(row, "counts"))
        newest = {t.partition: t.time for t in rows if isinstance(t, Tick)}
        return set(newest.items())

    assert told() == {(0, NOON + 60 * MINUTE), (1, NOON + 30 * MINUTE)}
    assert times(flow, "tally") == [NOON + 30 * MINUTE] * 2
    flow.tick(NOON + 60 * MINUTE, only=1)
    flow.flush()
    await_times(flow, "tally", [NOON + 60 * MINUTE] * 2)
    mine = [row.record.time for row in flow.rows("classified") if row.partition == 1 and isinstance(row.record, Tick)]
    assert all(a < b for a, b in pairwise(mine))


def test_on_the_wall_clock_classify_ticks_and_the_brokers_stamp_is_the_time(
    kafka: KafkaConnection, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nobody else has to; what the writer's own clock said does not count."""
    with World(kafka, prefix, tmp_path_factory.mktemp("wall"), clock="wall") as world:
        world.started("classify", tick_s=0.2)
        world.tick(NOON * 2)
        world.flush()
        world.await_records("classified", Tick, 8)
        stamps = {(r.partition, r.timestamp) for r in world.rows("mentions") if isinstance(r.record, Tick)}
        told = {(r.partition, r.record.time) for r in world.rows("classified") if isinstance(r.record, Tick)}
        assert told <= stamps
        assert max(time for _, time in told) < NOON * 2


def test_a_silent_writer_counts_as_idle_and_comes_back_with_its_next_tick(
    kafka: KafkaConnection, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On the wall clock, at the end of the input topic: time goes on without it, and waits for it again once it speaks."""
    with World(kafka, prefix, tmp_path_factory.mktemp("wall"), clock="wall") as world:
        world.started("tally", source_idle_s=3.0)
        now = 0

        def spoken(partition: int) -> None:
            world.send("watermarks", Tick(clock="wall", time=now, role="counts", partition=partition), 0)
            world.flush()

        for n in range(2):
            world.send("signals", PolicyChanged(version=1, hash=digest(toy.POLICY), applied_at=NOON), n)
        now = NOON
        spoken(0)
        spoken(1)
        await_times(world, "tally", [NOON] * 2)
        now = NOON + MINUTE
        spoken(0)
        await_times(world, "tally", [NOON + MINUTE] * 2)
        idle = [(r.partition, r.record) for r in world.rows("signals") if isinstance(r.record, SourceIdle)]
        assert {(n, e.role, e.partition) for n, e in idle} == {(0, "counts", 1), (1, "counts", 1)}
        assert all(e.silent_ms >= 3_000 for _, e in idle)
        now = NOON + 30_000
        spoken(1)

        def back() -> set[tuple[int, str, int]]:
            rows = [(r.partition, r.record) for r in world.rows("signals") if is_tick(r, "counts")]
            return {(n, t.role, t.partition) for n, t in rows if isinstance(t, Tick)}

        until(lambda: back() == {(0, "counts", 1), (1, "counts", 1)}, 15, "a source that came back, in the log")
        now = NOON + 2 * MINUTE
        spoken(0)
        now = NOON + MINUTE + 1
        spoken(1)
        await_times(world, "tally", [NOON + MINUTE + 1] * 2)


def test_what_waits_for_a_writer_that_never_comes_is_decided_once_it_is_idle_though_the_others_never_rest(
    kafka: KafkaConnection, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not in 1970, and not never: until then `/ready` says what it waits for; a restart in between changes nothing."""
    port = free_port()
    with World(kafka, prefix, tmp_path_factory.mktemp("wait"), clock="wall", partitions=2) as world:
        given: dict[str, Any] = {"source_idle_s": 2.0, "health_port": port}
        worker = world.start("tally", **given)
        for n in range(2):
            world.send("signals", PolicyChanged(version=1, hash=digest(toy.POLICY), applied_at=NOON), n)
        for n in range(2):
            world.send("signals", counted(1, n), n)
        now = NOON

        def spoken() -> bool:
            nonlocal now
            now += 100
            world.send("watermarks", Tick(clock="wall", time=now, role="counts", partition=0), 0)
            world.flush()
            return True

        line = r"time is not known yet in tally's partition signals/\d: no Tick of counts/1 yet\n"
        until(lambda: spoken() and re.fullmatch(line, ready(port)[1]), 60, "a worker that says what it waits for")
        worker.kill()
        world.workers.clear()
        world.start("tally", **given)
        world.until(lambda: spoken() and ready(port) == (200, "ok\n"), 40, "time that is known")
        world.until(lambda: spoken() and all(t > NOON for t in times(world, "tally")), 20, "time that goes on")
        now += TEN_MINUTES
        world.until(lambda: spoken() and len(world.records("alerts", Alert)) == 2, 20, "what waited was decided")
        assert {r.record.role for r in world.rows("signals") if isinstance(r.record, SourceIdle)} == {"counts"}


def test_more_than_memory_should_hold_may_wait_for_time_and_comes_in_order(world: World) -> None:
    """It is read again from the log: every post once, in its order, dated by the first Tick."""
    count = 1_200
    (worker,) = world.started("classify", "counts")[1:]
    for n in range(count):
        world.send("mentions", mention(HERE, n))
        if n % 200 == 199:
            world.flush()
    world.until(lambda: len(world.rows("mentions")) >= count, 20, "all of them in the log")
    world.tick(NOON)
    world.flush()
    found = world.await_records("cases", CaseChanged, count, 40)
    assert [e.seq for e in found] == list(range(1, count + 1))
    assert {e.time for e in found} == {NOON}
    assert worker.alive()
    posts = [m.mention.native_id for m in world.records("classified", ClassifiedMention)]
    assert posts == [f"{HERE}-{n}" for n in range(count)]
    assert {m.minute for m in world.records("volumes", Volume)} <= {NOON}


def counted(number: int, partition: int) -> CaseChanged:
    """What counts would tell of a customer whose brand belongs on this partition."""
    brand = next(b for b in (f"b{n}" for n in range(100)) if partition_of(b.encode(), 2) == partition)
    key = f"{brand}|twitter|u{number}"
    return CaseChanged(
        id=f"{key}#1", aggregate=key, seq=1, time=NOON, cause="c", policy=1, reason="toy: counted", brand=brand,
        channel="twitter", author_id=f"u{number}", desk="care", change="post_added", label="other", priority=1, waiting=False,
    )  # fmt: skip


def test_a_jump_of_months_that_wakes_thousands_is_many_checkpoints_and_survives_a_kill_between_them(
    kafka: KafkaConnection, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each is woken once, at its own time, before anything that stands behind the Tick; the dead letter is written once."""
    count, late = 3 * FIRED_AT_ONCE + 7, NOON + 90 * 24 * 60 * MINUTE
    with World(kafka, prefix, tmp_path_factory.mktemp("jump"), partitions=1) as world:
        first = world.start("counts")
        world.seed("classified")
        world.tick(NOON, "classified", role="classify")
        for n in range(count):
            world.send("classified", classified(mention(f"u{n}", 1, "wake after 60000")))
        world.flush()
        world.await_records("cases", CaseChanged, count, 60)
        world.until(lambda: world.uncommitted("cases") == 0, 20, "nothing open")
        with TopicFollower(kafka, [TopicPartition(f"{prefix}cases", 0)]) as cases:
            before = cases.ends()
            world.tick(late, "classified", role="classify")
            world.send("classified", classified(mention("u0", 2)))
            world.raw("classified", 0, key=None, value=b"no record")
            world.flush()
            world.until(lambda: cases.ends() != before, 60, "some woken")
        first.kill()
        woken = len(world.records("cases", CaseChanged)) - count
        assert woken % FIRED_AT_ONCE == 0 and woken < count
        world.start("counts")
        found = world.await_records("cases", CaseChanged, 2 * count + 1, 60)[count:]
        world.until(lambda: len(world.rows("classified.dead")) == 1, 20, "one dead letter")
        assert world.until(lambda: times(world, "counts") == [late], 20, "the Tick handed on")
        assert [(e.reason, e.time) for e in found[:-1]] == [("timer: fired", NOON + MINUTE)] * count
        assert len({e.id for e in found}) == len(found) == count + 1
        assert (found[-1].author_id, found[-1].time) == ("u0", late)
