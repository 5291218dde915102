"""Policy is a record: it holds from its arrival, and a worker that lacks what it names waits and says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from kafka.admin import NewTopic

from agents.policy import digest
from netcenter.broker import provisioning
from schemas.dead_letter_headers import failure_of
from schemas.records import CaseChanged, ClassifiedMention, PolicyChanged
from streams.deciding_worker import DecidingWorker
from streams.errors import Stop
from streams.worker import WorkerSettings
from tests.support import toy
from tests.support.waiting import until
from tests.support.world import NOON, World, author_on, classified, free_port, mention, ready

HERE, THERE = author_on(0, 2), author_on(1, 2)
SECOND = toy.POLICY + "uncertain_below = 0.95\n"


def changed(version: int, text: str) -> PolicyChanged:
    """The record that puts a policy in force."""
    return PolicyChanged(version=version, hash=digest(text), applied_at=NOON)


def publish(world: World, version: int, text: str) -> None:
    """The text, as `policy apply` does."""
    world.raw("policy", 0, key=b"%d" % version, value=text.encode())
    world.flush()


def test_a_policy_holds_from_the_first_arrival_of_a_higher_version_in_each_partition(world: World) -> None:
    """Before it the old one, an older one that comes later changes nothing, the other partition is not concerned."""
    world.started("classify", "counts")
    publish(world, 2, SECOND)
    world.tick(NOON)
    world.send("mentions", mention(HERE, 1))
    world.send("mentions", changed(2, SECOND), 0)
    world.send("mentions", mention(HERE, 2))
    world.send("mentions", changed(1, toy.POLICY), 0)
    world.send("mentions", mention(HERE, 3))
    world.send("mentions", mention(THERE, 1))
    world.flush()
    events = world.await_records("cases", CaseChanged, 4)
    assert [e.policy for e in events if e.author_id == HERE] == [1, 2, 2]
    assert [e.policy for e in events if e.author_id == THERE] == [1]
    posts = {m.mention.native_id: (m.policy, m.uncertain) for m in world.records("classified", ClassifiedMention)}
    assert posts == {f"{HERE}-1": (1, False), f"{HERE}-2": (2, True), f"{HERE}-3": (2, True), f"{THERE}-1": (1, False)}


def test_a_change_to_a_text_that_was_never_applied_is_a_dead_letter(world: World) -> None:
    """Whoever copies `mentions` of another log copies such: version 2 is here with another text, the others are not."""
    (worker,) = world.started("classify")
    publish(world, 2, SECOND)
    world.tick(NOON)
    world.send("mentions", mention(HERE, 1))
    versions = (-1, 2, 3, 2**63 - 1)
    for version in versions:
        world.send("mentions", changed(version, "the text of another log"), 0)
    world.send("mentions", mention(HERE, 2))
    world.send("mentions", changed(2, SECOND), 0)
    world.send("mentions", mention(HERE, 3))
    world.flush()
    assert [m.policy for m in world.await_records("classified", ClassifiedMention, 3)] == [1, 1, 2]
    for version, row in zip(versions, world.rows("mentions.dead"), strict=True):
        failure = failure_of(row.headers.items())
        assert (failure.stage, failure.error) == ("policy", "WrongPolicy")
        assert f"policy {version} " in (failure.message or "")
    assert worker.alive()


def test_the_first_policy_of_a_log_may_be_wrong_too(world: World) -> None:
    """Nothing was in force before it. It is a dead letter and an error in the log, and the policy behind it holds."""
    (worker,) = world.started("counts")
    for version, text in ((99, "a text that was never written"), (1, "another text than that of version 1")):
        world.send("classified", changed(version, text), 0)
    world.seed("classified")
    world.send("classified", classified(mention(HERE, 1)))
    world.flush()
    assert [event.policy for event in world.await_records("cases", CaseChanged, 1)] == [1]
    failures = [failure_of(row.headers.items()) for row in world.rows("classified.dead")]
    assert [(failure.stage, failure.error) for failure in failures] == [("policy", "WrongPolicy")] * 2
    assert worker.alive() and '"level": "error"' in worker.text()


def test_a_worker_waits_for_the_first_policy_while_the_policy_topic_is_empty(world: World) -> None:
    """Its texts were lost, or are not written yet. The worker is not ready meanwhile, and says what it waits for."""
    port = free_port()
    name = world.prefix + "policy"
    world.admin.delete_topics([name])
    until(lambda: name not in world.admin.list_topics(), 20, "the policy topic deleted")
    provisioning.create(world.admin, [NewTopic(name, 1, 1)])
    world.started("counts", health_port=port)
    world.seed("classified")
    world.send("classified", classified(mention(HERE, 1)))
    world.flush()
    world.until(lambda: "waiting for the text of policy 1 in " in ready(port)[1], 15, "a worker that waits")
    publish(world, 1, toy.POLICY)
    assert [event.policy for event in world.await_records("cases", CaseChanged, 1)] == [1]


def test_what_is_no_policy_in_its_topic_stops_nobody(world: World) -> None:
    """A producer that takes the wrong topic: keys that are no versions, texts that are none, tombstones."""
    for key, value in (
        (b"acme", b"zz"),
        (b"\xff", b"zz"),
        (b"9" * 5_000, b"zz"),
        (b"-1", b"zz"),
        (b"1", b"\xff"),
        (b"3", None),
    ):
        world.raw("policy", 0, key=key, value=value)

    publish(world, 2, SECOND)
    world.started("classify")
    world.tick(NOON)
    world.send("mentions", changed(2, SECOND), 0)
    world.send("mentions", mention(HERE, 1))
    world.flush()
    assert [m.policy for m in world.await_records("classified", ClassifiedMention, 1)] == [2]


def test_a_worker_that_waits_survives_a_rebalance_and_goes_on_where_it_stood(world: World, tmp_path: Path) -> None:
    """It says what it waits for meanwhile, and is not ready."""
    port, models = free_port(), tmp_path / "models"
    models.mkdir()
    (models / toy.MODEL).touch()
    environment = {toy.MODELS: str(models)}
    (first,) = world.started("classify", environment=environment, health_port=port)
    world.until(lambda: ready(port) == (200, "ok\n"), 10, "the worker to be ready")
    text = toy.POLICY.replace(toy.MODEL, "cd" * 32)
    publish(world, 2, text)
    world.tick(NOON)
    for n in range(2):
        world.send("mentions", changed(2, text), n)
    world.send("mentions", mention(HERE, 1))
    world.flush()
    world.until(lambda: "waiting for the classifier cdcd" in ready(port)[1], 15, "a worker that waits")
    second = world.start("classify", environment=environment)
    world.await_owned([first, second], each=1)
    (models / ("cd" * 32)).touch()
    (post,) = world.await_records("classified", ClassifiedMention, 1)
    assert post.policy == 2
    world.until(lambda: ready(port) == (200, "ok\n"), 10, "the worker to be ready again")
    assert first.alive() and second.alive()


def test_a_worker_that_lacks_the_classifier_is_not_ready_until_it_comes(world: World, tmp_path: Path) -> None:
    """The model in force is a hash in the policy: nothing is classified with another."""
    port, models, other = free_port(), tmp_path / "models", "cd" * 32
    models.mkdir()
    (models / toy.MODEL).touch()
    world.started("classify", environment={toy.MODELS: str(models)}, health_port=port)
    text = toy.POLICY.replace(toy.MODEL, other)
    publish(world, 2, text)
    world.tick(NOON)
    world.send("mentions", changed(2, text), 0)
    world.send("mentions", mention(HERE, 1))
    world.send("mentions", mention(THERE, 1))
    world.flush()
    line = f"waiting for the classifier {other[:16]}; or for another policy, by `netcenter policy apply`\n"
    world.until(lambda: ready(port) == (503, line), 15, "a worker that waits")
    assert not [m for m in world.records("classified", ClassifiedMention) if m.mention.author_id == HERE]
    (models / other).touch()
    assert {m.mention.author_id: m.model for m in world.await_records("classified", ClassifiedMention, 2)} == {
        HERE: other[:16],
        THERE: toy.MODEL[:16],
    }


def test_a_policy_that_cannot_be_met_is_passed_over_once_a_newer_one_can(world: World, tmp_path: Path) -> None:
    """It holds nowhere: the one before it stays in force until the next, whichever frees the wait, and whenever."""
    port, models = free_port(), tmp_path / "models"
    models.mkdir()
    (models / toy.MODEL).touch()
    (worker,) = world.started("classify", environment={toy.MODELS: str(models)}, health_port=port)
    lost, good = toy.POLICY.replace(toy.MODEL, "cd" * 32), SECOND
    publish(world, 2, lost)
    world.tick(NOON)
    world.send("mentions", mention(HERE, 1))
    world.send("mentions", changed(2, lost), 0)
    world.send("mentions", mention(HERE, 2))
    world.flush()
    assert len(world.await_records("classified", ClassifiedMention, 1)) == 1, "what stands before it does not wait"
    world.until(lambda: "waiting for the classifier cdcd" in ready(port)[1], 15, "a worker that waits")
    publish(world, 3, good)
    world.send("mentions", changed(3, good), 0)
    world.send("mentions", mention(HERE, 3))
    world.send("mentions", mention(THERE, 1))
    world.send("mentions", changed(2, lost), 1)
    world.send("mentions", mention(THERE, 2))
    world.send("mentions", changed(3, good), 1)
    world.send("mentions", mention(THERE, 3))
    world.flush()
    posts = {m.mention.native_id: m.policy for m in world.await_records("classified", ClassifiedMention, 6)}
    assert posts == {f"{author}-{n}": v for author in (HERE, THERE) for n, v in ((1, 1), (2, 1), (3, 3))}
    told = [(r.partition, r.record.version) for r in world.rows("classified") if isinstance(r.record, PolicyChanged)]
    assert sorted(told) == [(0, 1), (0, 3), (1, 1), (1, 3)]
    world.until(lambda: ready(port) == (200, "ok\n"), 10, "the worker to be ready again")
    assert worker.alive() and len(worker.lines("policy passed over: it cannot be met here, and a newer one can")) == 2


def test_a_policy_that_cannot_be_read_stops_the_worker_until_a_newer_one_is_there(world: World) -> None:
    """It says so; with the newer one it starts and passes it over."""
    worker, wrong = world.start("classify"), "[classifier]\nmodel = 3\n"
    publish(world, 2, wrong)
    world.tick(NOON)
    world.send("mentions", mention(HERE, 1))
    world.send("mentions", changed(2, wrong), 0)
    world.send("mentions", mention(HERE, 2))
    world.flush()
    assert worker.ended(25) == 1
    (line,) = worker.lines("worker failed")
    assert "policy 2" in line["why"] and "netcenter policy apply" in line["why"]
    worker.log.unlink()  # else its end would count as a fault of those that follow
    publish(world, 3, SECOND)
    world.start("classify")
    assert [m.policy for m in world.await_records("classified", ClassifiedMention, 2)] == [1, 1]


def test_another_classifier_judges_from_one_record_on_in_each_partition_without_a_restart(world: World) -> None:
    """What `netcenter train --corrections` publishes is a file; the policy's record puts it in force."""
    (worker,) = world.started("classify")
    other = "cd" * 32
    text = toy.POLICY.replace(toy.MODEL, other)
    publish(world, 2, text)
    world.tick(NOON)
    for n, author in enumerate((HERE, THERE)):
        world.send("mentions", mention(author, 1))
        world.send("mentions", changed(2, text), n)
        world.send("mentions", mention(author, 2))
    world.flush()
    posts = {m.mention.native_id: m.model for m in world.await_records("classified", ClassifiedMention, 4)}
    assert posts == {f"{a}-{n}": model[:16] for a in (HERE, THERE) for n, model in ((1, toy.MODEL), (2, other))}
    assert worker.alive()


def test_a_text_that_is_not_the_one_the_log_names_stops_the_worker(world: World) -> None:
    """Two runs over the same log must not follow different rules."""
    worker = DecidingWorker(
        toy.PIPELINE, toy.PIPELINE.role("counts"), WorkerSettings(kafka=world.kafka, prefix=world.prefix)
    )
    with pytest.raises(
        Stop, match=r"no text of policy 1 in .* has the hash 000000000000 .*`netcenter policy repair FILE`"
    ):
        asyncio.run(worker.policies.ensure(1, "0" * 64))
