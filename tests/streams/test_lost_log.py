"""The ground moves: a topic is made again, retention deletes what was not read, a changelog is gone. Nothing passes in silence."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from schemas.records import CaseChanged
from tests.streams.test_health import get
from tests.streams.toy import ROWS
from tests.streams.world import Worker, World, author_on, classified, free_port, mention
from tests.waiting import until


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    """What an operator has."""
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as client:
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


def test_an_inbox_made_again_under_a_worker_stops_it_and_the_next_one_does_not_start(
    world: World, admin: KafkaAdminClient
) -> None:
    """Else what comes first would be passed over as read long ago."""
    world.seed("classified")
    (worker,) = world.started("counts", hint_s=0.05)
    post(world, *range(10))
    counted(world, 10)
    made_again(world, admin, "classified")
    for ended in (worker, world.start("counts")):
        assert "a prefix of its own" in why(ended)
    assert "classified was deleted and made again while counts read it" in why(worker)
    assert "counts has applied classified/0 up to offset " in why(ended)
    assert "but the log ends at 0: the topic was deleted, made again or cut since" in why(ended)


def test_records_that_retention_deleted_unread_stop_a_worker_or_are_passed_over_as_the_setting_says(
    world: World, admin: KafkaAdminClient
) -> None:
    """An error with the place and the first and last offset in both cases, and a metric where it goes on."""
    world.seed("classified")
    (worker,) = world.started("counts")
    post(world, 1)
    counted(world, 1)
    assert worker.stop() == 0
    post(world, *range(2, 12))
    cut(world, admin, "classified", 0, 7)
    ended = world.start("counts")
    said = why(ended)
    assert "retention has deleted what counts had not read, of offsets classified/0 2 to 6" in said
    assert "NETCENTER_ON_LOST=continue" in said
    port = free_port()
    going = world.start("counts", on_lost="continue", health_port=port)
    counted(world, 6)
    for one in (ended, going):
        (line,) = one.lines("records were deleted by retention before they were read")
        assert (line["level"], line["partition"], line["first"], line["last"]) == ("error", "classified/0", 2, 6)
    lost = 'netcenter_lost_records_total{partition="0",role="counts",topic="classified"} 5.0'
    assert lost in get(port, "/metrics")[1]


@pytest.mark.parametrize("on_lost", ["stop", "continue"])
def test_retention_that_overtakes_a_running_worker_is_told_as_well(
    world: World, admin: KafkaAdminClient, on_lost: str
) -> None:
    """The client would go to the beginning by itself, and tell nobody."""
    world.seed("classified")
    (worker,) = world.started("counts", on_lost=on_lost, session_s=30.0)
    post(world, 1)
    counted(world, 1)
    worker.send_signal(signal.SIGSTOP)
    post(world, 2)  # may be on its way to the worker
    post(world, *range(3, 9))
    cut(world, admin, "classified", 0, 8)
    worker.send_signal(signal.SIGCONT)
    if on_lost == "stop":
        assert "retention has deleted what counts had not read" in why(worker)
    else:
        post(world, 9)
        world.until(lambda: world.records("cases", CaseChanged)[-1].seq >= 3, 20, "what is left, counted")
    (line,) = worker.lines("records were deleted by retention before they were read")
    assert line["first"] in (2, 3) and line["last"] == 7


def test_a_sink_that_keeps_no_offsets_is_judged_by_those_of_its_group(
    world: World, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    """Both ways: beyond the end, and before the beginning."""
    given = {ROWS: str(tmp_path / "rows")}
    world.seed("classified")
    world.started("counts")
    rows = world.start("rows", given, hint_s=0.05)
    post(world, 1, 2, 3)
    until(lambda: (tmp_path / "rows").exists() and len((tmp_path / "rows").read_text().splitlines()) == 3, 25, "rows")
    assert rows.stop() == 0
    post(world, 4, 5)
    counted(world, 5)
    before = world.offsets("rows")[0][0]
    cut(world, admin, "cases", 0, before + 2)
    assert f"retention has deleted what rows had not read, of offsets cases/0 {before} to {before + 1}" in why(
        world.start("rows", given)
    )
    made_again(world, admin, "cases")
    said = why(world.start("rows", given))
    assert f"rows (by its group's offset) has read cases/0 up to offset {before}, but the log ends at 0" in said
    assert f"--delete --group {world.prefix}rows" in said


def test_a_changelog_that_is_gone_or_not_whole_stops_the_role_that_would_begin_with_an_empty_state(
    world: World, admin: KafkaAdminClient
) -> None:
    """Its sequence numbers would begin again, and whatever it remembered be forgotten."""
    world.seed("classified")
    (worker,) = world.started("counts", hint_s=0.05)
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
    assert "counts has applied classified/0 up to offset 4, its group says, but counts.changelog/0 is empty" in said
    assert "docs/runbooks/lost_log.md" in said
