"""Promises of the topics that the broker keeps for us."""

from __future__ import annotations

import re
import time
from contextlib import closing

from kafka.admin import ConfigResource, ConfigResourceType

from netcenter.broker.client import open_admin
from tests.streams.test_health import get
from tests.support.waiting import until
from tests.support.world import NOON, World, author_on, classified, free_port, mention

LONG_AGO = 1_425_168_000_000  # 2015-03-01


def test_a_record_that_a_producer_stamped_years_ago_is_stamped_with_now(world: World) -> None:
    """Else retention would delete a played history within minutes."""
    before = int(time.time() * 1000)
    world.send("mentions", mention(author_on(0, 2), 1, at=NOON), timestamp_ms=LONG_AGO)
    world.flush()
    (row,) = [row for row in world.rows("mentions") if row.key is not None]
    assert row.timestamp >= before - 1_000


def test_a_worker_with_another_count_of_partitions_ends_with_exit_code_2_and_names_topic_and_counts(
    world: World,
) -> None:
    """Else its keys would go to other partitions than everybody's."""
    for worker, topic in [
        (world.start("counts", partitions=3), "alerts"),
        (world.start("rows", partitions=3), "cases"),
    ]:
        assert worker.ended(25) == 2
        (line,) = worker.lines("worker failed")
        assert line["why"].startswith(f"{world.prefix}{topic}")
        assert " has 2 partitions, the settings say 3: counts are fixed for a prefix; set NETCENTER_" in line["why"]


def test_a_worker_names_the_topics_that_are_missing_and_goes_on_when_they_are_there(world: World) -> None:
    """Whatever they are for: what it reads, what it writes, its dead letters, its changelog."""
    uses = {"classified": "input", "classified.dead": "dead letters", "counts.changelog": "changelog"}
    uses["signals"] = "output"
    missing = [world.prefix + name for name in uses]
    told = ", ".join(f"{world.prefix}{name} ({use})" for name, use in uses.items())
    with closing(open_admin(world.kafka)) as client:
        client.delete_topics(missing)
        until(lambda: not {*missing} & {*client.list_topics()}, 20, "topics that are gone")
    port = free_port()
    worker = world.start("counts", health_port=port)
    world.until(lambda: worker.lines("waiting for topics"), 20, "a line that names them")
    assert [line["missing"] for line in worker.lines("waiting for topics")] == [told]
    assert get(port, "/ready")[1].startswith(f"waiting for topics that are not there: {told}; run")
    assert get(port, "/live") == (200, "ok\n")
    world.apply()
    world.await_owned([worker])
    lacks = r"waiting for the first policy: classified/\d holds none yet; it comes from classify\n"
    world.until(lambda: re.fullmatch(lacks, get(port, "/ready")[1]), 15, "a worker that lacks its first policy")
    world.seed("classified")
    world.until(lambda: get(port, "/ready") == (200, "ok\n"), 15, "a worker that is ready")
    assert len(worker.lines("all topics are there")) == 1


def test_what_a_topic_does_not_take_is_told_with_the_topic_and_its_size_and_the_limit_to_raise(world: World) -> None:
    """As on a topic that somebody made by hand."""
    with closing(open_admin(world.kafka)) as client:
        name = f"{world.prefix}cases"
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": "200"})])
    world.seed("classified")
    (worker,) = world.started("counts")
    world.send("classified", classified(mention(author_on(0, 2), 1)))
    world.flush()
    assert worker.ended(25) == 1
    (line,) = worker.lines("worker failed")
    assert re.match(rf"{name}/0 does not take \d+ bytes in 1 records: raise max.message.bytes", line["why"])
