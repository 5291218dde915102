"""A dead letter is redriven once, to where its producer wrote it, and its state says what became of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer, TopicPartition

from netcenter import cli
from netcenter.broker import provisioning, sole_producer
from netcenter.broker import redrive as redriving
from netcenter.broker.client import open_producer
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.broker.stored_dead_letters import read_dead_letters
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from schemas import codec, headers, ids
from schemas.dead_letter_headers import DEAD_LETTER, STATE, failure_headers
from schemas.keys import KEYLESS, customer
from schemas.records import CrisisDeclared, OperatorChanged, PolicyChanged, Record, Tick
from sinks.port import SinkItem
from sinks.postgres.rows import rows_of
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from tests.support.world import NOON, World, author_on, classified, mention

PARTITIONS = 2
Run = Callable[..., tuple[int, str, str]]


class Plant:
    """The topics of an installation that no worker reads."""

    def __init__(self, kafka: KafkaConnection, prefix: str) -> None:
        self.kafka, self.settings = kafka, Settings(prefix=prefix, partitions=PARTITIONS)
        provisioning.apply(self.settings, kafka, "event", DEFAULT_POLICY.read_text())
        self.producer = open_producer(kafka)

    def dead_letter(self, topic: str, record: Record | bytes, *, stage: str = "decide", by: str | None = None) -> str:
        """Writes the dead letter of a record and returns its id. by: the role or the program that wrote the record."""
        value = record if isinstance(record, bytes) else codec.encode(record)
        key = b"k" if isinstance(record, bytes) else None if type(record) in KEYLESS else _key(topic, record)
        head = [("ce_source", headers.ce_source(self.settings.prefix + by).encode())] if by else []
        offset = next(_OFFSETS)
        return self.raw(topic, key, value, [*head, *failure_headers(topic, 0, offset, stage, "ValueError", "why")])

    def raw(self, topic: str, key: bytes | None, value: bytes, head: list[tuple[str, bytes]]) -> str:
        """Writes a record to partition 0 of a topic's dead letters, and returns its id."""
        name = f"{self.settings.prefix}{topic}.dead"
        sent = self.producer.send(name, key=key, value=value, partition=0, headers=head).get(30)
        return f"{topic}.dead/0/{sent.offset}"

    def values(self, topic: str) -> list[bytes]:
        """The records of a topic, without those of every new log."""
        tps = [TopicPartition(self.settings.prefix + topic, n) for n in range(PARTITIONS)]
        found = records_of(self.kafka, committed_ranges_at(self.kafka, tps))
        return [r.value for r in found if codec.kind(r.value) not in (Tick, PolicyChanged)]

    def states(self) -> dict[str, str]:
        """The state of every dead letter, by its id."""
        return {letter.id: letter.state for letter in read_dead_letters(self.settings, self.kafka)}


_OFFSETS = iter(range(1, 1_000_000))


def _key(topic: str, record: Record) -> bytes:
    return PIPELINE.topic(topic).key(record)


@pytest.fixture
def plant(kafka: KafkaConnection, prefix: str) -> Iterator[Plant]:
    """One for each test."""
    plant = Plant(kafka, prefix)
    yield plant
    plant.producer.close(timeout=5)


@pytest.fixture
def run(plant: Plant, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line, with a partition count in the settings that is not the log's: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("KAFKA", str(plant.kafka)), ("PREFIX", plant.settings.prefix), ("PARTITIONS", "5")):
        monkeypatch.setenv(f"NETCENTER_{name}", value)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capfd.readouterr()

    return call


def crisis(number: int) -> CrisisDeclared:
    """What a person declares."""
    return CrisisDeclared(id=ids.make("crisis", number), brand="andina", change="open", by="ana", reason="r", at=NOON)


def test_dead_letters_are_redriven_once_however_often_all_are_asked_for(plant: Plant, run: Run) -> None:
    posts = [mention(f"u{n}", n) for n in range(3)]
    for post in posts:
        plant.dead_letter("mentions", post)
    # By a tool whose name ends as that of a role that writes there too.
    said = plant.dead_letter("volumes", crisis(1), by="my-classify")
    left = OperatorChanged(id="o1", desk="care", operator="ana", change="signed_out", at=NOON)
    plant.dead_letter("desk", left, by="cases")  # in a private topic even what a role wrote
    assert run("dead", "redrive", "--all")[:2] == (0, "5 redriven\n")
    assert run("dead", "redrive", "--all")[:2] == (0, "0 redriven\n")
    assert sorted(plant.values("mentions")) == sorted(map(codec.encode, posts))
    assert plant.values("volumes") == [codec.encode(crisis(1))]
    assert plant.values("desk") == [codec.encode(left)]
    assert set(plant.states().values()) == {"redriven"}
    code, _, err = run("dead", "redrive", said)
    assert code == 2 and f"{said} does not wait: redriven" in err


def test_a_record_is_redriven_to_the_partition_of_its_key_in_the_log_that_there_is(plant: Plant, run: Run) -> None:
    """Not in one of the settings' count."""
    posts = [mention(author_on(n, PARTITIONS), n) for n in range(PARTITIONS)]
    for post in posts:
        plant.dead_letter("mentions", post, stage="partition")
    assert run("dead", "redrive", "--all")[0] == 0
    for number, post in enumerate(posts):
        assert partition_of(customer(post), PARTITIONS) == number
        tp = TopicPartition(f"{plant.settings.prefix}mentions", number)
        found = records_of(plant.kafka, committed_ranges_at(plant.kafka, [tp]))
        assert [r.value for r in found if r.key is not None] == [codec.encode(post)]


def test_a_record_that_netcenter_wrote_to_a_public_topic_never_stands_there_twice(plant: Plant, run: Run) -> None:
    stay = {
        plant.dead_letter("classified", classified(mention("u1", 1)), by="classify"): "where Netcenter itself wrote it",
        plant.dead_letter("classified", b"of a stranger", stage="decode"): "where Netcenter itself wrote it",
        plant.dead_letter("volumes", crisis(2), stage="sink"): "`netcenter rebuild`",
        plant.dead_letter(
            "mentions", Tick(clock="wall", time=NOON, role="x", partition=0)
        ): "a Tick holds only where it stood",
        plant.raw("mentions", b"k", b"", []): "does not say which topic",
    }
    code, out, _ = run("dead", "redrive", "--all")
    assert code == 0 and out.splitlines()[0] == "0 redriven"
    for id, why in stay.items():
        assert [line for line in out.splitlines() if line.startswith(f"{id} cannot be redriven: ") and why in line], (
            id,
            out,
        )
    code, _, err = run("dead", "redrive", min(stay))
    assert code == 2 and f"{min(stay)} cannot be redriven" in err
    assert plant.values("classified") == plant.values("volumes") == []
    assert set(plant.states().values()) == {"waiting"}


def test_one_record_that_two_have_refused_is_redriven_once(plant: Plant, run: Run) -> None:
    """The role and PostgreSQL's sink both cannot read it."""
    head = failure_headers("volumes", 0, 7, "decode", "WireError", "why")
    both = {plant.raw("volumes", b"andina", b"unreadable", head) for _ in range(2)}
    assert run("dead", "redrive", "--all")[0] == 0
    late = plant.raw("volumes", b"andina", b"unreadable", head)
    assert run("dead", "redrive", "--all")[0] == 0
    assert plant.values("volumes") == [b"unreadable"]
    assert plant.states() == dict.fromkeys({*both, late}, "redriven")


def test_a_discarded_dead_letter_stays_in_the_log_and_is_not_redriven(plant: Plant, run: Run) -> None:
    gone, kept = plant.dead_letter("mentions", mention("u1", 1)), plant.dead_letter("mentions", mention("u2", 2))
    assert run("dead", "discard", gone)[:2] == (0, "1 discarded\n")
    assert plant.states() == {gone: "discarded", kept: "waiting"}
    assert run("dead", "redrive", "--all")[:2] == (0, "1 redriven\n")
    listed = [json.loads(line) for line in run("dead", "list", "--json")[1].splitlines()]
    assert {x["id"]: x["state"] for x in listed} == {gone: "discarded", kept: "redriven"}
    assert json.loads(run("dead", "show", gone)[1])["state"] == "discarded"
    assert run("dead", "discard", "mentions.dead/0/99")[0] == 2


def test_a_producers_headers_that_look_like_a_mark_hide_no_dead_letter(plant: Plant) -> None:
    """The headers of a record are copied into its dead letter, whatever they say."""
    forged = [(STATE, b"discarded"), (DEAD_LETTER, b"mentions.dead/0/0")]
    head = failure_headers("mentions", 0, 1, "decode", "WireError", "why")
    id = plant.raw("mentions", b"k", b"bad", [*forged, *head])
    assert plant.states() == {id: "waiting"}


def test_a_redrive_that_dies_between_a_record_and_its_mark_has_redriven_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.dead_letter("mentions", mention("u1", 1))
    with monkeypatch.context() as patch:
        patch.setattr(KafkaProducer, "commit_transaction", _dies)
        patch.setattr(sole_producer, "_OUTCOME_S", 0.5)
        with pytest.raises(CommandError, match="has not said whether it has committed .ZeroDivisionError"):
            redriving.redrive(plant.settings, plant.kafka, None, None)
    assert redriving.redrive(plant.settings, plant.kafka, None, None).done == 1
    assert plant.values("mentions") == [codec.encode(mention("u1", 1))]


def _dies(*_: object) -> None:
    raise ZeroDivisionError


def test_of_two_redrives_at_once_one_succeeds_and_the_other_fails(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has chosen its dead letters when the second begins."""
    plant.dead_letter("mentions", mention("u1", 1))
    real, done = redriving._again, []

    def meanwhile(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(redriving, "_again", real)
            done.append(redriving.redrive(plant.settings, plant.kafka, None, None).done)
        return real(*given)

    monkeypatch.setattr(redriving, "_again", meanwhile)
    with pytest.raises(CommandError, match="another `dead redrive` or `dead discard` began meanwhile"):
        redriving.redrive(plant.settings, plant.kafka, None, None)
    assert done == [1]
    assert plant.values("mentions") == [codec.encode(mention("u1", 1))]


def test_a_dead_letter_that_fails_again_names_the_newer_one_and_that_one_can_be_redriven(
    kafka: KafkaConnection, tmp_path: Path
) -> None:
    """By a role that runs."""
    with World(kafka, f"d{uuid4().hex[:8]}.", tmp_path, PARTITIONS) as world:
        settings = Settings(prefix=world.prefix)
        world.started("classify", dead_share=1.0)
        world.tick(NOON)
        post = mention(author_on(0, PARTITIONS), 1)
        world.raw("mentions", 0, key=customer(post), value=b"bad")
        world.raw("mentions", 1, key=customer(post), value=codec.encode(post))
        world.flush()
        world.until(lambda: len(list(read_dead_letters(settings, kafka))) == 2, 20, "two dead letters")
        assert redriving.redrive(settings, kafka, None, None).done == 2
        world.until(lambda: len(list(read_dead_letters(settings, kafka))) == 3, 20, "one of them again")
        first, again, other = read_dead_letters(settings, kafka)
        assert (first.state, first.failed_again_as) == ("failed again", again.id)
        assert (again.state, other.state) == ("waiting", "redriven")
        world.until(lambda: world.rows("classified"), 20, "the other classified")
        assert redriving.redrive(settings, kafka, [again.id], None).done == 1
        world.until(lambda: len(list(read_dead_letters(settings, kafka))) == 4, 20, "and again")
        assert [x.state for x in read_dead_letters(settings, kafka)] == [
            "failed again",
            "failed again",
            "waiting",
            "redriven",
        ]


def test_postgres_takes_a_mark_for_no_dead_letter() -> None:
    marked = [(DEAD_LETTER, b"mentions.dead/0/1"), (STATE, b"redriven")]
    assert rows_of(SinkItem("mentions.dead", 0, 2, b"k", None, marked, NOON)) == []
    head = failure_headers("mentions", 0, 1, "decode", "WireError", "why")
    assert len(rows_of(SinkItem("mentions.dead", 0, 2, b"k", None, [*marked, *head], NOON))) == 1
