"""`rebuild ROLE`: the state is the one that was there, and nothing is written twice, however often a rebuild is ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from kafka import TopicPartition
from msgspec.structs import replace

from netcenter.broker import provisioning
from netcenter.broker.changelogs import ChangelogWriter, newest_records
from netcenter.broker.client import open_admin
from netcenter.demo.story import STORY_POLICY, story, teller
from netcenter.embedded import Addresses
from netcenter.operate.rebuild_state import RebuiltPartition, StateRebuild
from netcenter.pipeline import PIPELINE
from streams.checkpoint import PROGRESS, REBUILDING, read_progress
from streams.core import Progress
from tests.support import judge
from tests.support.chaos import HOUR, SEED, Plant, Playing
from tests.support.command_line import command
from tests.support.waiting import until

_DECIDING = tuple(role.name for role in PIPELINE.roles if role.decides)
_POLICY = STORY_POLICY.read_text()
_LINES = [line for line in story.story(SEED, 0.05) if line.at < teller.START + 5 * HOUR]
_LATER = teller.START + 4 * HOUR
PARTITIONS = 2


@pytest.fixture(scope="module")
def plant(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Four hours of a twentieth of the story, decided on by every role; then the workers were stopped."""
    with Plant(stack, tmp_path_factory.mktemp("rebuild"), _POLICY, f"t{uuid4().hex[:8]}.", PARTITIONS) as plant:
        plant.start(*_DECIDING)
        _play(plant, 0, _LATER)
        plant.stop()
        yield plant


def _play(plant: Plant, begin: int, end: int) -> None:
    playing = Playing(plant, [x for x in _LINES if begin <= x.at < end], run_on=0, ahead=HOUR, follow=())
    plant.until(playing.done, 60, "the story played")
    plant.await_drained(playing.time, _DECIDING, 60)


def _state(plant: Plant, role: str) -> dict[int, dict[str, Any]]:
    """The state records of a role by partition and key; of classify the ids that it remembers."""
    found = {}
    for number in range(PARTITIONS):
        tp = TopicPartition(f"{plant.prefix}{role}.changelog", number)
        newest = {key.decode(): r.value for key, r in newest_records(plant.kafka, tp).items() if key[:1] != b"\0"}
        values = {key: msgspec.msgpack.decode(value) for key, value in newest.items()}
        if role == "classify":  # where a chunk ends follows from when the checkpoints were
            chunks = [values[key] for key in values if "/" in key]
            heads, tails = (b"".join(chunk[name] for chunk in chunks) for name in ("heads", "tails"))
            ids = (heads[8 * n : 8 * n + 8] + tails[4 * n : 4 * n + 4] for n in range(len(heads) // 8))
            values = dict.fromkeys(map(bytes.hex, ids), None)
        found[number] = values
    return found


def _progress(plant: Plant, role: str, number: int) -> Progress:
    records = newest_records(plant.kafka, TopicPartition(f"{plant.prefix}{role}.changelog", number))
    return read_progress(records[PROGRESS].value)


def _rebuilt(plant: Plant, role: str) -> list[RebuiltPartition]:
    work = StateRebuild(plant.settings, plant.kafka, PIPELINE.role(role), lambda _: None, lambda *_: None)
    assert work.losses() == []
    return work.run()


@pytest.mark.parametrize("role", _DECIDING)
def test_a_rebuilt_state_is_the_state_that_was_there(plant: Plant, role: str) -> None:
    before, stood = _state(plant, role), [_progress(plant, role, n) for n in range(PARTITIONS)]
    assert any(before.values())
    done = _rebuilt(plant, role)
    assert [one.position for one in done] == [progress.position for progress in stood]
    after = _state(plant, role)
    if role == "classify":  # the ids that were read again from the output topic at each start are in chunks now
        assert all(set(before[n]) <= set(after[n]) for n in range(PARTITIONS))
    else:
        assert after == before
    now = [_progress(plant, role, n) for n in range(PARTITIONS)]
    assert all(progress.whole_from > 0 for progress in now)
    assert [replace(progress, whole_from=0) for progress in now] == stood


@pytest.mark.parametrize("role", _DECIDING)
def test_a_changelog_that_is_gone_is_made_again_as_far_as_the_outputs_reach(plant: Plant, role: str) -> None:
    """No progress is left then: the outputs name the records that led to them, and the group knows the rest."""
    before, stood = _state(plant, role), [_progress(plant, role, n) for n in range(PARTITIONS)]
    name = f"{plant.prefix}{role}.changelog"
    with closing(open_admin(plant.kafka)) as client:
        client.delete_topics([name])
        until(lambda: name not in client.list_topics(), 20, f"{name} deleted")
    provisioning.apply(plant.settings, plant.kafka, "event", _POLICY)
    _rebuilt(plant, role)
    assert _state(plant, role) == before
    for number, progress in enumerate(stood):
        now = _progress(plant, role, number)
        assert (now.position, now.watermark, now.policy) == (progress.position, progress.watermark, progress.policy)


def test_after_the_rebuilds_the_roles_go_on_and_nothing_stands_twice(plant: Plant) -> None:
    """A rebuild that was ended in its middle keeps the workers away, until it has run to its end."""
    with ChangelogWriter(plant.settings, plant.kafka, PIPELINE.role("cases"), 1) as writer:
        writer.write([(REBUILDING, b"")])
    [worker] = plant.start("cases")
    assert worker.process.wait(60) == 2
    worker.wanted = False
    assert "cases.changelog/1 is not whole: `netcenter rebuild cases` is at work, or was ended" in worker.text()
    code, out, err = command(plant.folder, plant.given(), "rebuild", "cases", "--yes")
    assert code == 0, err
    assert "start the workers of cases again" in out
    plant.start(*_DECIDING)
    _play(plant, _LATER, teller.START + 5 * HOUR)
    log = judge.read_all(plant.settings, plant.kafka)
    assert judge.twice(log, but=("mentions",)) == {}
    assert judge.gaps(log) == []
    for role in _DECIDING[1:]:
        judge.same_as_its_input_topic(log, role, _POLICY, PARTITIONS)
