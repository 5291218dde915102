"""The ground moves: a topic is made again, retention deletes what was not read, a changelog is gone. Nothing passes in silence."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from netcenter.broker.client import open_admin
from schemas.records import CaseChanged
from streams.kafka_connection import KafkaConnection
from tests.streams.test_health import get
from tests.support.waiting import until
from tests.support.world import Worker, World, author_on, classified, free_port, mention


@pytest.fixture
def admin(kafka: KafkaConnection) -> Iterator[KafkaAdminClient]:
    """What an operator has."""
    with closing(open_admin(kafka)) as client:
        yield client


def gone(world: World, admin: KafkaAdminClient, topic: str) -> None:
    """Delete a topic."""
    admin.delete_topics([world.prefix + topic])
    until(lambda: world.prefix + topic not in admin.list_topics(), 20, f"{topic} deleted")


def made_again(world: World, admin: KafkaAdminClient, topic: str) -> None:
    """Delete a topic and create it, empty."""
    gone(world, admin, topic)
    world.apply()


def cut(world: World, admin: KafkaAdminClient, topic: str, partition: int, before: int) -> None:
    """What retention does: delete the records before an offset."""
    admin.delete_records({TopicPartition(world.prefix + topic, partition): before})


def post(world: World, *numbers: int, partition: int = 0) -> None:
    """Posts of one author."""
    for n in numbers:
        world.send("classified", classified(mention(author_on(partition, world.partitions), n)))
    world.flush()


def why(worker: Worker) -> str:
    """The last line of a worker that has ended because settings and log do not fit."""
    assert worker.ended(25) == 2, worker.text()[-2000:]
    (line,) = worker.lines("worker failed")
    return str(line["why"])


def counted(world: World, count: int) -> None:
    """Until so many posts are counted, whatever becomes of workers."""
    until(lambda: len(world.records("cases", CaseChanged)) >= count, 25, f"{count} posts counted")


def test_an_input_topic_made_again_under_a_worker_stops_it_and_the_next_one_does_not_start(
    world: World, admin: KafkaAdminClient
) -> None:
    """Else what comes first would be passed over as read long ago."""
    world.seed("classified")
    (worker,) = world.started("counts", offset_commit_s=0.05)
    post(world, *range(10))
    counted(world, 10)
    made_again(world, admin, "classified")
    for ended in (worker, world.start("counts")):
        assert "a prefix of its own" in why(ended)
    assert "classified was deleted and made again while counts read it" in why(worker)
    assert re.search("counts has read classified/[01] up to offset ", why(ended))
    assert "but the log ends at 0: what it remembers is of an older topic of that name, or this one was cut" in why(
        ended
    )


def test_retention_that_overtakes_a_worker_is_told_and_it_goes_on_or_stops_as_the_setting_says(
    world: World, admin: KafkaAdminClient
) -> None:
    """Where it runs and where it starts: the client would go to the beginning by itself, and tell nobody."""
    world.seed("classified")
    port = free_port()
    (worker,) = world.started("counts", on_lost="continue", session_s=30.0, health_port=port)
    post(world, 1)
    counted(world, 1)
    worker.send_signal(signal.SIGSTOP)
    post(world, 2)  # which answers the request that the worker has made: what follows cannot be on its way to it
    time.sleep(2)  # Nothing shows that the broker has written this answer.
    post(world, *range(3, 9))
    cut(world, admin, "classified", 0, 8)
    worker.send_signal(signal.SIGCONT)
    (line,) = until(
        lambda: worker.lines("records were deleted by retention before they were read"), 60, "the loss told"
    )
    assert (line["level"], line["partition"], line["last"]) == ("error", "classified/0", 7)
    assert 2 <= line["first"] <= 7
    lost = f'netcenter_records_lost_total{{partition="0",role="counts",topic="classified"}} {8 - line["first"]}.0'
    assert lost in get(port, "/metrics")[1]
    counted(world, line["first"])
    assert worker.stop() == 0
    post(world, *range(9, 12))
    cut(world, admin, "classified", 0, 11)
    said = why(world.start("counts"))
    assert "retention has deleted what counts had not read, of offsets classified/0 10 to 10" in said
    assert "NETCENTER_ON_LOST=continue" in said


def test_a_changelog_that_is_gone_or_not_whole_stops_the_role_that_would_begin_with_an_empty_state(
    world: World, admin: KafkaAdminClient
) -> None:
    """Its sequence numbers would begin again, and whatever it remembered be forgotten."""
    world.seed("classified")
    (worker,) = world.started("counts", offset_commit_s=0.05)
    post(world, 1, 2, 3)
    counted(world, 3)
    until(lambda: world.offsets("counts").get(0, (0, 0))[0] >= 4, 20, "the group told")
    assert worker.stop() == 0
    changelog = "counts.changelog"
    resource = ConfigResource(ConfigResourceType.TOPIC, world.prefix + changelog, {"cleanup.policy": "compact,delete"})
    admin.alter_configs([resource])
    cut(world, admin, changelog, 0, 2)
    said = why(world.start("counts"))
    assert "counts.changelog/0 begins at offset 2: a part of what counts remembers was deleted" in said
    made_again(world, admin, changelog)
    said = why(world.start("counts"))
    assert re.search(r"counts has read classified/\d up to offset \d, its group says, but counts.changelog/\d is", said)
    assert "docs/lost_log.md" in said


def test_what_somebody_else_wrote_into_a_changelog_is_named_with_the_way_out(world: World) -> None:
    """A producer that takes the wrong topic: the role can be started again once its key has a null value."""
    world.seed("classified")
    remedies = {
        b"zzz": "take it out by `netcenter changelog remove counts 0 KEY`",
        b"\xff": "holds at offset 2 a record whose key counts has not written: find who writes there; take it out by "
        "`netcenter changelog remove counts 0 --offset 2`",
        b"\x00rebuilding": "is not whole: `netcenter rebuild counts` is at work, or was ended; wait for it, or run it again",
        b"\x00progress": "rebuild counts: `netcenter rebuild counts`",
    }
    for key, remedy in remedies.items():
        world.raw("counts.changelog", 0, key=key, value=b"garbage")
        world.flush()
        worker = world.start("counts")
        said = why(worker)
        assert said.startswith("counts.changelog/0 ") and remedy in said
        worker.log.unlink()  # else its end would count as a fault of those that follow
        world.raw("counts.changelog", 0, key=key, value=None)
        world.flush()
    world.started("counts")
    post(world, 1)
    counted(world, 1)
