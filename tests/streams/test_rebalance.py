"""Workers come and go: partitions move, nothing is lost or twice, and what is remembered is read anew only when it must be."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from schemas.records import CaseChanged, ClassifiedMention, Tick, Volume
from streams.kafka_connection import KafkaConnection
from tests.streams.test_health import get
from tests.support.load import Load, check_counted, post
from tests.support.world import MINUTE, NOON, Worker, World, author_on, free_port, mention


def recoveries(worker: Worker, number: int) -> int:
    """How often a worker has read a partition's state from the changelog."""
    return sum(line["partition"] == f"classified/{number}" for line in worker.lines("partition recovered"))


def test_partitions_move_under_load_and_nothing_is_lost_or_twice(
    kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    """One joins, one leaves; who keeps a partition keeps its memory, who gets one reads its state."""
    with World(kafka, prefix, tmp_path, partitions=4) as world:
        world.seed("classified")
        # A worker that a busy machine holds up for two seconds must not count as gone: then more would move than is meant.
        port = free_port()
        (first,) = world.started("counts", session_s=15.0, health_port=port)
        load = Load(world)
        load.start()
        world.await_records("cases", CaseChanged, 500)
        second = world.start("counts", session_s=15.0)
        world.await_owned([first, second], each=2)
        kept, moved = first.owned(), second.owned()
        assert sorted(kept + moved) == [0, 1, 2, 3]
        assert [recoveries(first, n) for n in kept] == [1, 1]
        assert [recoveries(second, n) for n in moved] == [1, 1]
        gone = [re.compile(rf'^netcenter_(?!records_lost)\w+{{[^}}]*partition="{n}"', re.MULTILINE) for n in moved]
        there = [f'netcenter_watermark_timestamp_seconds{{partition="{n}",role="counts"}}' for n in kept]
        world.until(lambda: all(name in get(port, "/metrics")[1] for name in there), 20, "gauges of what it kept")
        assert not any(gauge.search(get(port, "/metrics")[1]) for gauge in gone), "gauges of what it gave away"
        assert first.stop() == 0
        world.await_owned([second])
        assert [recoveries(second, n) for n in range(4)] == [1, 1, 1, 1]
        check_counted(world, load.stop())
        assert second.stop() == 0


def test_a_worker_that_is_stopped_commits_what_it_has_done(world: World) -> None:
    """Nothing of its open checkpoint is left for others to do again."""
    world.seed("classified")
    (worker,) = world.started("counts", checkpoint_s=5.0, idle_s=5.0)
    sent = Counter[str]()
    post(world, sent, 20)
    world.until(lambda: world.uncommitted("cases") > 0, 15, "a transaction under way")
    assert worker.stop() == 0
    assert len(world.rows("cases")) == 20 and world.uncommitted("cases") == 0
    world.started("counts")
    post(world, sent, 20)
    check_counted(world, sent)


def test_classify_started_again_knows_the_posts_and_the_open_minute_of_before(world: World) -> None:
    """It keeps no changelog of them: both come back from the tail of its own output."""
    author = author_on(0, world.partitions)
    (classify,) = world.started("classify")
    world.tick(NOON - MINUTE)
    world.send("mentions", mention(author, 1, "awful"))
    world.tick(NOON)
    world.send("mentions", mention(author, 2, "awful"))
    world.send("mentions", mention(author, 3, "where is it"))
    world.flush()
    world.await_records("classified", ClassifiedMention, 3)
    classify.kill()
    world.started("classify")
    for n in (2, 4, 1):
        world.send("mentions", mention(author, n))
    world.tick(NOON + MINUTE)
    world.flush()
    world.await_records("classified", Tick, 3 * world.partitions)
    assert [m.mention.native_id for m in world.records("classified", ClassifiedMention)] == [
        f"{author}-{n}" for n in (1, 2, 3, 4)
    ]
    volumes = world.await_records("volumes", Volume, 2)
    assert [(v.minute, sorted((c.label, c.count) for c in v.counts)) for v in volumes] == [
        (NOON - MINUTE, [("complaint", 1)]),
        (NOON, [("complaint", 1), ("question", 2)]),
    ]
