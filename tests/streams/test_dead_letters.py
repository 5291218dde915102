"""A dead letter is put back once, where its producer wrote it, and knows what has become of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import TopicPartition

from netcenter import cli
from netcenter.broker import redrive as settling
from netcenter.broker import topics
from netcenter.broker.dead_letters import letters
from netcenter.broker.reading import records
from netcenter.broker.topics import spans_of
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from schemas import codec, ids
from schemas.dead_letters import DEAD_LETTER, STATE, failure_headers
from schemas.keys import KEYLESS, customer
from schemas.records import CrisisDeclared, OperatorChanged, PolicyChanged, Record, Tick
from sinks.port import Item
from sinks.postgres.rows import rows_of
from streams.partitioner import partition_of
from tests.support.world import NOON, World, author_on, classified, mention

PARTITIONS = 2
Run = Callable[..., tuple[int, str, str]]


class Plant:
    """The topics of an installation that no worker reads."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.kafka, self.settings = kafka, Settings(prefix=prefix, partitions=PARTITIONS)
        topics.apply(self.settings, kafka, "event", DEFAULT_POLICY.read_text())
        self.producer = topics.producer(kafka)

    def letter(self, topic: str, record: Record | bytes, *, stage: str = "decide", by: str | None = None) -> str:
        """A letter of a record; by: the role that wrote it. Its id."""
        value = record if isinstance(record, bytes) else codec.encode(record)
        key = b"k" if isinstance(record, bytes) else None if type(record) in KEYLESS else _key(topic, record)
        head = [("ce_source", f"/netcenter/{by}".encode())] if by else []
        offset = next(_OFFSETS)
        return self.raw(topic, key, value, [*head, *failure_headers(topic, 0, offset, stage, "ValueError", "why")])

    def raw(self, topic: str, key: bytes | None, value: bytes, head: list[tuple[str, bytes]]) -> str:
        """A record of partition 0 of the dead letters of a topic; its id."""
        name = f"{self.settings.prefix}{topic}.dead"
        sent = self.producer.send(name, key=key, value=value, partition=0, headers=head).get(30)
        return f"{topic}.dead/0/{sent.offset}"

    def values(self, topic: str) -> list[bytes]:
        """What was put into a topic, but for what every new log holds."""
        tps = [TopicPartition(self.settings.prefix + topic, n) for n in range(PARTITIONS)]
        found = records(self.kafka, spans_of(self.kafka, tps))
        return [r.value for r in found if codec.kind(r.value) not in (Tick, PolicyChanged)]

    def states(self) -> dict[str, str]:
        """Of every letter, by its id."""
        return {letter.id: letter.state for letter in letters(self.settings, self.kafka)}


_OFFSETS = iter(range(1, 1_000_000))


def _key(topic: str, record: Record) -> bytes:
    return PIPELINE.topic(topic).key(record)


@pytest.fixture
def plant(kafka: str, prefix: str) -> Iterator[Plant]:
    """One for each test."""
    plant = Plant(kafka, prefix)
    yield plant
    plant.producer.close(timeout=5)


@pytest.fixture
def run(plant: Plant, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line, with a partition count in the settings that is not the log's: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("KAFKA", plant.kafka), ("PREFIX", plant.settings.prefix), ("PARTITIONS", "5")):
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


def test_letters_are_put_back_once_however_often_all_are_asked_for(plant: Plant, run: Run) -> None:
    posts = [mention(f"u{n}", n) for n in range(3)]
    for post in posts:
        plant.letter("mentions", post)
    said = plant.letter("volumes", crisis(1))
    left = OperatorChanged(id="o1", desk="care", operator="ana", change="left", at=NOON)
    plant.letter("desk", left, by="cases")  # in a private topic even what a role wrote
    assert run("dead", "replay", "--all")[:2] == (0, "5 put back\n")
    assert run("dead", "replay", "--all")[:2] == (0, "0 put back\n")
    assert sorted(plant.values("mentions")) == sorted(map(codec.encode, posts))
    assert plant.values("volumes") == [codec.encode(crisis(1))]
    assert plant.values("desk") == [codec.encode(left)]
    assert set(plant.states().values()) == {"put back"}
    code, _, err = run("dead", "replay", said)
    assert code == 2 and f"{said} does not wait: put back" in err


def test_a_letter_goes_to_the_partition_of_its_key_in_the_log_that_there_is(plant: Plant, run: Run) -> None:
    """Not in one of the settings' count."""
    posts = [mention(author_on(n, PARTITIONS), n) for n in range(PARTITIONS)]
    for post in posts:
        plant.letter("mentions", post, stage="partition")
    assert run("dead", "replay", "--all")[0] == 0
    for number, post in enumerate(posts):
        assert partition_of(customer(post), PARTITIONS) == number
        tp = TopicPartition(f"{plant.settings.prefix}mentions", number)
        found = records(plant.kafka, spans_of(plant.kafka, [tp]))
        assert [r.value for r in found if r.key is not None] == [codec.encode(post)]


def test_a_record_that_netcenter_wrote_to_a_public_topic_never_stands_there_twice(plant: Plant, run: Run) -> None:
    stay = {
        plant.letter("classified", classified(mention("u1", 1)), by="classify"): "where Netcenter itself wrote it",
        plant.letter("classified", b"of a stranger", stage="decode"): "where Netcenter itself wrote it",
        plant.letter("volumes", crisis(2), stage="sink"): "`netcenter rebuild`",
        plant.letter(
            "mentions", Tick(clock="wall", time=NOON, role="x", partition=0)
        ): "a Tick holds only where it stood",
        plant.raw("mentions", b"k", b"", []): "does not say which topic",
    }
    code, out, _ = run("dead", "replay", "--all")
    assert code == 0 and out.splitlines()[0] == "0 put back"
    for id, why in stay.items():
        assert [line for line in out.splitlines() if line.startswith(f"{id} stays: ") and why in line], (id, out)
    code, _, err = run("dead", "replay", min(stay))
    assert code == 2 and f"{min(stay)} cannot be put back" in err
    assert plant.values("classified") == plant.values("volumes") == []
    assert set(plant.states().values()) == {"waiting"}


def test_one_record_that_two_have_refused_is_put_back_once(plant: Plant, run: Run) -> None:
    """The role and PostgreSQL's sink both cannot read it."""
    head = failure_headers("volumes", 0, 7, "decode", "WireError", "why")
    both = {plant.raw("volumes", b"andina", b"unreadable", head) for _ in range(2)}
    assert run("dead", "replay", "--all")[0] == 0
    late = plant.raw("volumes", b"andina", b"unreadable", head)
    assert run("dead", "replay", "--all")[0] == 0
    assert plant.values("volumes") == [b"unreadable"]
    assert plant.states() == dict.fromkeys({*both, late}, "put back")


def test_a_discarded_letter_stays_in_the_log_and_is_not_put_back(plant: Plant, run: Run) -> None:
    gone, kept = plant.letter("mentions", mention("u1", 1)), plant.letter("mentions", mention("u2", 2))
    assert run("dead", "discard", gone)[:2] == (0, "1 discarded\n")
    assert plant.states() == {gone: "discarded", kept: "waiting"}
    assert run("dead", "replay", "--all")[:2] == (0, "1 put back\n")
    listed = [json.loads(line) for line in run("dead", "list", "--json")[1].splitlines()]
    assert {x["id"]: x["state"] for x in listed} == {gone: "discarded", kept: "put back"}
    assert json.loads(run("dead", "show", gone)[1])["state"] == "discarded"
    assert run("dead", "discard", "mentions.dead/0/99")[0] == 2


def test_a_marks_look_in_a_producers_headers_hides_no_letter(plant: Plant) -> None:
    """They are copied into the letter, whatever they say."""
    forged = [(STATE, b"discarded"), (DEAD_LETTER, b"mentions.dead/0/0")]
    head = failure_headers("mentions", 0, 1, "decode", "WireError", "why")
    id = plant.raw("mentions", b"k", b"bad", [*forged, *head])
    assert plant.states() == {id: "waiting"}


def test_whoever_dies_between_putting_back_and_marking_has_put_back_nothing(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.letter("mentions", mention("u1", 1))
    with monkeypatch.context() as patch:
        patch.setattr(settling, "_mark", _dies)
        with pytest.raises(ZeroDivisionError):
            settling.put_back(plant.settings, plant.kafka, None, None)
    assert settling.put_back(plant.settings, plant.kafka, None, None).done == 1
    assert plant.values("mentions") == [codec.encode(mention("u1", 1))]


def _dies(*_: object) -> None:
    raise ZeroDivisionError


def test_of_two_who_put_back_at_once_one_does_it_and_the_other_is_told(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has chosen its letters when the second begins."""
    plant.letter("mentions", mention("u1", 1))
    real, done = settling._send_back, []

    def meanwhile(*given: object) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(settling, "_send_back", real)
            done.append(settling.put_back(plant.settings, plant.kafka, None, None).done)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(settling, "_send_back", meanwhile)
    with pytest.raises(CommandError, match="another `dead replay` or `dead discard` began meanwhile"):
        settling.put_back(plant.settings, plant.kafka, None, None)
    assert done == [1]
    assert plant.values("mentions") == [codec.encode(mention("u1", 1))]


def test_a_letter_that_fails_again_says_as_which_and_that_one_can_be_put_back(kafka: str, tmp_path: Path) -> None:
    """By a role that runs."""
    with World(kafka, f"d{uuid4().hex[:8]}.", tmp_path, PARTITIONS) as world:
        settings = Settings(prefix=world.prefix)
        world.started("classify", dead_share=1.0)
        world.tick(NOON)
        post = mention(author_on(0, PARTITIONS), 1)
        world.raw("mentions", 0, key=customer(post), value=b"bad")
        world.raw("mentions", 1, key=customer(post), value=codec.encode(post))
        world.flush()
        world.until(lambda: len(list(letters(settings, kafka))) == 2, 20, "two letters")
        assert settling.put_back(settings, kafka, None, None).done == 2
        world.until(lambda: len(list(letters(settings, kafka))) == 3, 20, "one of them again")
        first, again, other = letters(settings, kafka)
        assert (first.state, first.came_back) == ("failed again", again.id)
        assert (again.state, other.state) == ("waiting", "put back")
        world.until(lambda: world.rows("classified"), 20, "the other classified")
        assert settling.put_back(settings, kafka, [again.id], None).done == 1
        world.until(lambda: len(list(letters(settings, kafka))) == 4, 20, "and again")
        assert [x.state for x in letters(settings, kafka)] == ["failed again", "failed again", "waiting", "put back"]


def test_postgres_takes_a_mark_for_no_letter() -> None:
    marked = [(DEAD_LETTER, b"mentions.dead/0/1"), (STATE, b"put back")]
    assert rows_of(Item("mentions.dead", 0, 2, b"k", None, marked, NOON)) == []
    head = failure_headers("mentions", 0, 1, "decode", "WireError", "why")
    assert len(rows_of(Item("mentions.dead", 0, 2, b"k", None, [*marked, *head], NOON))) == 1
