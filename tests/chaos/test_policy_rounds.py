"""Two or three `policy apply` at once, and some killed at any moment: each version has one text, and workers go on.

NETCENTER_POLICY_ROUNDS says how many rounds; `make rounds` runs 200. NETCENTER_POLICY_SEED begins elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from netcenter.broker.policy_change import apply_policy
from netcenter.broker.policy_standing import PolicyId, standing
from netcenter.broker.policy_topic import PolicyLog, policy_log
from netcenter.settings import Settings
from schemas.records import ClassifiedMention
from streams.kafka_connection import KafkaConnection
from tests.support.policy_appliers import PolicyRound, play
from tests.support.world import NOON, World, author_on, mention

ROUNDS = int(os.environ.get("NETCENTER_POLICY_ROUNDS", "5"))
SEED = int(os.environ.get("NETCENTER_POLICY_SEED", "1"))


@pytest.fixture
def world(kafka: KafkaConnection, tmp_path: Path) -> Iterator[World]:
    """Two partitions and a worker of classify."""
    with World(kafka, f"t{uuid4().hex[:8]}.", tmp_path) as world:
        yield world


def test_of_appliers_at_once_and_killed_ones_each_version_has_one_text_and_the_last_success_is_in_force(
    world: World,
) -> None:
    random, settings = Random(SEED), Settings(prefix=world.prefix, partitions=world.partitions)
    (worker,) = world.started("classify")
    world.tick(NOON)
    world.flush()
    counted: Counter[str] = Counter()
    for number in range(ROUNDS):
        before = policy_log(settings, world.kafka)
        played = play(world.kafka, settings, random, number)
        counted.update(outcome for _, outcome, _ in played.outcomes)
        assert played.count("failed") == 0, played
        _holds(world, settings, before, played)
        in_force = policy_log(settings, world.kafka).newest
        _follows(world, number, in_force)
        assert worker.alive(), worker.text()[-2000:]
    print(f"{ROUNDS} rounds from seed {SEED}: {dict(counted)}")


def _holds(world: World, settings: Settings, before: PolicyLog, played: PolicyRound) -> None:
    """A later apply finds and mends nothing: what was written is whole, and what was told is true."""
    # A transaction that a killed applier left open is aborted by the next apply; this one wants what is in force.
    newest = policy_log(settings, world.kafka)
    assert newest.last is not None
    after = apply_policy(settings, world.kafka, newest.last.text)
    log = policy_log(settings, world.kafka)
    assert log.last is not None and log.doubled() == []
    assert set(standing(settings, world.kafka, log).log.values()) == {PolicyId(log.newest, log.last.hash)}
    assert not after.mended, "a transaction is there in every partition, or in none"
    applied = {value: text for text, outcome, value in played.outcomes if outcome == "applied"}
    assert len(applied) == played.count("applied"), "no two appliers were told the same version"
    for version, text in applied.items():
        assert log.versions[version][0].text == text
    unknown = [
        log.versions[version][0].text for version in log.versions.keys() - before.versions.keys() - applied.keys()
    ]
    killed = {text for text, outcome, _ in played.outcomes if outcome == "killed"}
    # An applier may die after its commit and before its word; `_holds` itself applies again what an abort took away.
    assert set(unknown) <= killed | {newest.last.text}
    if applied and max(applied) == log.newest:
        assert log.last.text == applied[log.newest]


def _follows(world: World, number: int, version: int) -> None:
    """Posts that are read now are classified under this version, in every partition."""
    ids = set()
    for partition in range(world.partitions):
        post = mention(author_on(partition, world.partitions), number)
        ids.add(post.id)
        world.send("mentions", post)
    world.flush()

    def found() -> list[int]:
        return [m.policy for m in world.records("classified", ClassifiedMention) if m.mention.id in ids]

    world.until(lambda: len(found()) == len(ids), 40, "the posts of the round, classified")
    assert found() == [version] * len(ids)
