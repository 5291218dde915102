"""A policy put in force from the command line: what it would change is told before, and the log has it after."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    InvalidTxnStateError,
    KafkaError,
    ProducerFencedError,
    TransactionalIdAuthorizationFailedError,
)

from agents.policy import digest
from netcenter import cli
from netcenter.broker import policy_change, sole_producer
from netcenter.broker.client import open_admin
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.policy_change import Applied, apply_policy, repair
from netcenter.broker.policy_standing import roles_progress, standing
from netcenter.broker.policy_topic import newest_policy, policy_log
from netcenter.broker.reading import records_of
from netcenter.broker.sole_producer import Overtaken
from netcenter.errors import CommandError, UsageError
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings, load
from schemas import codec
from schemas.records import ClassifiedMention, PolicyChanged
from streams.kafka_connection import KafkaConnection
from tests.support import toy
from tests.support.world import NOON, World, author_on, mention

Run = Callable[..., tuple[int, str]]
FIRST = DEFAULT_POLICY.read_text()
SECOND = FIRST.replace("sla_overdue = 5 ", "sla_overdue = 7 ") + '\n[[desks]]\nname = "spare"\n'


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    kafka: KafkaConnection,
    prefix: str,
) -> Run:
    """Run the command line against the session's Kafka: (exit code, stdout)."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("KAFKA", str(kafka)), ("PREFIX", prefix), ("PARTITIONS", "1")):
        monkeypatch.setenv(f"NETCENTER_{name}", value)
    (tmp_path / "first.toml").write_text(FIRST)
    (tmp_path / "second.toml").write_text(SECOND)

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capfd.readouterr().out

    return call


def changes_in_the_log(kafka: KafkaConnection, prefix: str, number: int = 0) -> list[tuple[int, str]]:
    """(version, hash) of each policy that a worker of a partition of `mentions` meets."""
    client = open_admin(kafka)
    try:
        found = committed_ranges(client, [TopicPartition(f"{prefix}mentions", number)])
    finally:
        client.close()
    met = [codec.decode(record.value) for record in records_of(kafka, found)]
    return [(r.version, r.hash) for r in met if isinstance(r, PolicyChanged)]


def test_a_policy_is_held_against_the_one_in_force_and_then_put_in_its_place(
    run: Run, kafka: KafkaConnection, prefix: str
) -> None:
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    assert run("policy", "diff", "first.toml") == (0, "no difference\n")
    code, out = run("policy", "diff", "second.toml")
    assert (code, out.splitlines()) == (
        0,
        ["desk spare: added", "alerts: sla_overdue 5 -> 7", "1 desk added, alerts changed"],
    )
    code, out = run("policy", "apply", "second.toml")
    warning, summary, done = out.splitlines()
    assert code == 0
    assert "desks.1: warning: no brand, no rule and no other desk names spare" in warning
    assert (summary, done) == ("1 desk added, alerts changed", "policy 2 is in the log")
    assert newest_policy(load(), kafka) == (2, SECOND)
    assert changes_in_the_log(kafka, prefix) == [(1, digest(FIRST)), (2, digest(SECOND))]
    assert run("policy", "apply", "second.toml")[1].splitlines()[1:] == ["no difference", "policy 2 is in the log"]


def test_a_policy_in_force_that_cannot_be_read_can_be_replaced(run: Run, kafka: KafkaConnection, prefix: str) -> None:
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    with LogWriter(load(), kafka, "policy") as log:
        log.send_bytes(f"{prefix}policy", 0, b"2", b"[classifier]\nmodel = 3\n")
        log.flush()
    assert run("policy", "diff", "first.toml")[0] == 1
    code, out = run("policy", "apply", "first.toml")
    assert code == 0
    assert "what changes is not known: the policy in force cannot be read" in out and "policy 3 is in the log" in out


# --- logs that commands of older releases have damaged ------------------------------------------------------------------


def text_of_version(kafka: KafkaConnection, prefix: str, version: int, text: str) -> None:
    """The text alone, as a command of an older release wrote it first."""
    with LogWriter(load(), kafka, "policy") as log:
        log.send_bytes(f"{prefix}policy", 0, b"%d" % version, text.encode())


@pytest.mark.parametrize("partitions", [(), (0,)])
def test_a_policy_whose_command_died_between_its_writes_is_put_in_force_by_the_same_command_again(
    run: Run, kafka: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch, partitions: tuple[int, ...]
) -> None:
    """The text is there, and its PolicyChanged in no partition, or in some."""
    monkeypatch.setenv("NETCENTER_PARTITIONS", "2")
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    text_of_version(kafka, prefix, 2, SECOND)
    with LogWriter(load(), kafka, "policy") as log:
        for number in partitions:
            log.send("mentions", PolicyChanged(version=2, hash=digest(SECOND), applied_at=1), number)
    lacking = [n for n in range(2) if n not in partitions]
    code, out = run("doctor")
    assert code == 1 and f"does not stand in mentions/{', '.join(map(str, lacking))}" in out
    told = json.loads(run("policy", "apply", "second.toml", "--json")[1])
    assert (told["version"], told["written"], told["mended_partitions"]) == (2, False, lacking)
    for number in range(2):
        assert changes_in_the_log(kafka, prefix, number) == [(1, digest(FIRST)), (2, digest(SECOND))]
    assert "does not stand" not in run("doctor")[1]
    assert json.loads(run("policy", "apply", "second.toml", "--json")[1])["mended_partitions"] == []


def test_who_is_overtaken_writes_nothing_and_is_told_what_stands_now(
    run: Run, kafka: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other command runs between the reading and the writing of this one."""
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    real, third = standing, FIRST + "# third\n"

    def meanwhile(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(policy_change, "standing", real)
            assert apply_policy(load(), kafka, third, "git").version == 2
        return real(*given)

    monkeypatch.setattr(policy_change, "standing", meanwhile)
    with pytest.raises(
        Overtaken, match=rf"has written nothing: policy 2 \({digest(third)[:12]}, from git, by .*policy list`"
    ):
        apply_policy(load(), kafka, SECOND)
    assert changes_in_the_log(kafka, prefix) == [(1, digest(FIRST)), (2, digest(third))]
    assert policy_log(load(), kafka).doubled() == []


def test_the_newest_change_wins_from_wherever_it_came(run: Run, kafka: KafkaConnection, prefix: str) -> None:
    """A Job that applies the file of Git again and again reverses nothing that somebody applied by hand."""
    assert run("topics", "apply", "--policy", "first.toml", "--source", "git")[0] == 0
    third = FIRST + "# third\n"
    assert apply_policy(load(), kafka, FIRST, "git") == Applied(1, policy_log(load(), kafka).versions[1][0])
    assert apply_policy(load(), kafka, SECOND).version == 2
    again = apply_policy(load(), kafka, FIRST, "git")
    assert (again.version, again.kept_out, again.written) == (2, True, False)
    assert run("topics", "apply", "--policy", "first.toml", "--source", "git")[0] == 0
    out = run("policy", "apply", "first.toml", "--source", "git")[1]
    assert "this source has said nothing new, and policy 2 was applied since (by hand, by " in out
    # Git says what was applied by hand already: that is a change of Git, which a later Job must not repeat over another.
    assert (apply_policy(load(), kafka, SECOND, "git").version, policy_log(load(), kafka).newest) == (3, 3)
    assert apply_policy(load(), kafka, third).version == 4
    assert apply_policy(load(), kafka, SECOND, "git").kept_out
    assert apply_policy(load(), kafka, FIRST, "git").version == 5, "a revert in Git is a change"
    assert apply_policy(load(), kafka, FIRST).version == 5
    told = json.loads(run("policy", "list", "--json")[1])
    assert [(p["version"], p["source"]) for p in told["policies"]] == [
        (1, "git"),
        (2, None),
        (3, "git"),
        (4, None),
        (5, "git"),
    ]
    assert all("@" in p["by"] for p in told["policies"])
    assert told["log"] == {"0": {"version": 5, "hash": digest(FIRST)}}
    lines = run("policy", "list")[1].splitlines()
    assert lines[-1] == f"mentions: policy 5 ({digest(FIRST)[:12]}) in every partition"


def test_a_log_in_which_one_version_has_two_texts_is_followed_and_then_repaired(
    kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    """Two commands of an older release at once: each partition has the two changes in another order."""
    texts = [f"{toy.POLICY}uncertain_below = 0.{n}\n" for n in (95, 96)]
    changes = [PolicyChanged(version=2, hash=digest(text), applied_at=NOON) for text in texts]
    with World(kafka, prefix, tmp_path) as world:
        for text in texts:
            world.raw("policy", 0, key=b"2", value=text.encode())
        world.flush()
        for number, order in enumerate((changes, changes[::-1])):
            for change in order:
                world.send("mentions", change, number)
        (worker,) = world.started("classify")
        settings = Settings(prefix=prefix, partitions=2)
        world.tick(NOON)
        world.flush()
        world.until(lambda: _worker_at(world, settings) == {digest(text) for text in texts}, 20, "both texts in force")
        worker.stop()
        repaired = repair(settings, kafka)
        assert (repaired.version, repaired.written, repaired.copied) == (3, True, 2)
        assert repaired.policy.text == texts[1], "the text that was written last"
        # Compaction keeps one record of each key, and the copies have keys of their own.
        _compact_by_hand(world, settings)
        world.started("classify")
        for number in range(2):
            world.send("mentions", mention(author_on(number, 2), 1))
        world.flush()
        assert [m.policy for m in world.await_records("classified", ClassifiedMention, 2)] == [3, 3]
        assert repair(settings, kafka) == Applied(3, repaired.policy._replace(**_stored(settings, kafka)))


def _stored(settings: Settings, kafka: KafkaConnection) -> dict[str, Any]:
    last = policy_log(settings, kafka).last
    assert last is not None
    return {"stamp": last.stamp, "by": last.by}


def _worker_at(world: World, settings: Settings) -> set[str]:
    """The hashes of the policies that classify has in force."""
    with closing(open_admin(world.kafka)) as client:
        return {p.policy_hash for p in roles_progress(settings, world.kafka, client).get("classify", {}).values()}


def _compact_by_hand(world: World, settings: Settings, forget: Collection[bytes] = ()) -> None:
    """What compaction leaves of the policy topic, at once: the newest record of each key; without some keys."""
    tp, name = TopicPartition(f"{settings.prefix}policy", 0), f"{settings.prefix}policy"
    newest = {r.key: r for r in records_of(world.kafka, committed_ranges(world.admin, [tp]))}
    changed = ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "delete"})
    assert world.admin.alter_configs([changed])["topic"] == {name: "OK"}
    world.admin.delete_records({tp: committed_ranges(world.admin, [tp])[tp][1]})
    for key, record in newest.items():
        if key not in forget:
            world.raw("policy", 0, key=key, value=record.value, headers=record.headers)
    world.flush()


def test_a_text_that_compaction_has_deleted_is_taken_from_the_file_that_was_applied(
    kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    """A worker has the first of two texts in force, and stops at each start until the text is there again."""
    texts = [f"{toy.POLICY}uncertain_below = 0.{n}\n" for n in (95, 96)]
    with World(kafka, prefix, tmp_path) as world:
        settings = Settings(prefix=prefix, partitions=2)
        world.raw("policy", 0, key=b"2", value=texts[0].encode())
        world.flush()
        (worker,) = world.started("classify")
        world.tick(NOON)
        for number in range(2):
            world.send("mentions", PolicyChanged(version=2, hash=digest(texts[0]), applied_at=NOON), number)
        world.flush()
        world.until(lambda: _worker_at(world, settings) == {digest(texts[0])}, 20, "the first text in force")
        worker.stop()
        world.raw("policy", 0, key=b"2", value=texts[1].encode())
        world.flush()
        _compact_by_hand(world, settings)
        stopped = world.start("classify")
        assert stopped.ended(25) == 1
        (line,) = stopped.lines("worker failed")
        assert "policy 2" in line["why"] and "run `netcenter policy repair FILE`" in line["why"]
        stopped.log.unlink()
        with pytest.raises(UsageError, match=rf"the text of policy 2 \({digest(texts[0])[:12]}\) is not in the log"):
            repair(settings, kafka)
        with pytest.raises(UsageError, match=r"other.toml: its hash is .* no role waits for a text with that hash"):
            repair(settings, kafka, [("other.toml", FIRST)])
        done = repair(settings, kafka, [("first.toml", texts[0])])
        assert (done.version, done.policy.text, done.copied) == (3, texts[1], 1)
        world.started("classify")
        world.send("mentions", mention(author_on(0, 2), 1))
        world.flush()
        assert [m.policy for m in world.await_records("classified", ClassifiedMention, 1)] == [3]


def test_a_kafka_that_stops_answering_in_the_middle_is_told_in_one_line_and_the_command_can_be_run_again(
    run: Run, kafka: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself would wait for the end of its transaction for ever."""
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    over = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(sole_producer, "_COMMIT_S", 0.2)
        patch.setattr(sole_producer, "_OUTCOME_S", 0.2)
        patch.setattr(KafkaProducer, "commit_transaction", lambda _: over.wait(60))
        with pytest.raises(
            CommandError, match=r"^the policy cannot be written, or it is: Kafka at .* and run the command again$"
        ):
            apply_policy(load(), kafka, SECOND)
    over.set()
    assert apply_policy(load(), kafka, SECOND).version == 2
    assert changes_in_the_log(kafka, prefix) == [(1, digest(FIRST)), (2, digest(SECOND))]


@pytest.mark.parametrize("holds", [True, False], ids=["committed", "aborted"])
def test_the_log_says_what_has_come_of_a_commit_that_failed(
    run: Run, kafka: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    """The first answer is lost, and the second try is told an error, as the client reports it: that the producer is fenced,
    that its state is wrong, that a right is missing, an error that the client does not know.
    """
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    commit, abort = KafkaProducer.commit_transaction, KafkaProducer.abort_transaction
    unknown = KafkaError("Unhandled error in EndTxnResponse: UnknownError")
    for n, error in enumerate(
        (ProducerFencedError(), InvalidTxnStateError(), TransactionalIdAuthorizationFailedError(), unknown)
    ):

        def failing(producer: KafkaProducer, error: KafkaError = error) -> None:
            commit(producer) if holds else abort(producer)
            raise error

        text = f"{SECOND}\n# {n}\n"
        with monkeypatch.context() as patch:
            patch.setattr(KafkaProducer, "commit_transaction", failing)
            if holds:
                assert apply_policy(load(), kafka, text).version == n + 2
                continue
            with pytest.raises(CommandError, match="has written nothing|nothing was written: run") as raised:
                apply_policy(load(), kafka, text)
        assert isinstance(raised.value, Overtaken) == isinstance(error, ProducerFencedError)
        assert raised.value.__cause__ is error or isinstance(raised.value, Overtaken)
    assert len(changes_in_the_log(kafka, prefix)) == (5 if holds else 1)
