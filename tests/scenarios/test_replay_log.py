"""`replay --log` over a log that Kafka decided on: the same events, ids and times, of all of it and of a stretch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from netcenter.demo.story import STORY_POLICY, story, teller
from netcenter.embedded import Addresses
from netcenter.files.line import Line
from netcenter.pipeline import PIPELINE
from schemas.dead_letter_headers import failure_of
from schemas.jsonform import event
from schemas.records import BY_NAME, CaseOpened, Mention, subject_of
from schemas.times import rfc3339
from streams.signatures import STAGE
from tests.support import judge
from tests.support.chaos import HOUR, SEED, Plant, Playing
from tests.support.command_line import command
from tests.support.forgeries import forgeries, key_files

#: At a tenth of its size fewer join the guitar's conversation.
_POLICY = STORY_POLICY.read_text() + "conversation = 15\n"
_ROLES = ("classify", "cases", "surge")
_SCALE, _FIRST = 0.1, 30 * HOUR
_TOPICS = ("cases", "surges")
Histories = dict[str, list[dict[str, Any]]]


@dataclass
class Decided:
    """A log that was decided on, and where its records stand."""

    plant: Plant
    histories: dict[str, Histories]
    """Events as JSON by topic and aggregate."""
    middle: int
    """ms; a Tick among the posts."""
    forged: Counter[str]
    """How many records a gateway wrote that may not write them, by topic."""

    def replay(self, out: Path, *words: str) -> tuple[int, str]:
        """Run the command: (exit code, stderr)."""
        code, _, err = command(self.plant.folder, self.plant.given(), "replay", *words, "--out", str(out))
        return code, err


@pytest.fixture(scope="module")
def decided(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decided]:
    """The story's first day and a quarter at a tenth of its size."""
    lines = [line for line in story.story(SEED, _SCALE) if line.at < teller.START + _FIRST]
    prefix = f"t{uuid4().hex[:8]}."
    folder = tmp_path_factory.mktemp("decided")
    with Plant(stack, folder, _POLICY, prefix, 2, keys=key_files(folder)) as plant:
        forged = _forge(plant, lines)
        plant.start(*_ROLES)
        playing = Playing(plant, lines, run_on=6 * HOUR, ahead=0, follow=())
        plant.until(lambda: playing.done() or playing.time > teller.START + 8 * HOUR, 120, "a part of the story played")
        forged += _forge(plant, lines)
        plant.until(playing.done, 120, "the story played")
        plant.await_drained(playing.time, _ROLES, 120)
        plant.stop()
        log = judge.read_all(plant.settings, plant.kafka, *_TOPICS)
        key = {topic: PIPELINE.topic(topic).key for topic in _TOPICS}
        found = {
            topic: _by_aggregate(event(r.record, key[topic](r.record).decode()) for r in log[topic] if r.record)
            for topic in _TOPICS
        }
        assert all(found.values())
        posts = sorted(r.record.time for r in log["cases"] if isinstance(r.record, CaseOpened))
        middle = posts[len(posts) // 2] // 60_000 * 60_000
        yield Decided(plant, json.loads(json.dumps(found)), middle, forged)


def _forge(plant: Plant, lines: list[Line]) -> Counter[str]:
    """Writes what a gateway may not write, by a client that has nothing but the right to write. Returns how many by topic."""
    customer = next(line.record for line in lines if isinstance(line.record, Mention))
    made = list(forgeries(plant.folder, plant.partitions, customer.brand, customer.channel, customer.author_id))
    producer = KafkaProducer(**plant.kafka.for_kafka_python())
    for one in made:
        topic = plant.prefix + one.topic
        producer.send(topic, partition=one.partition, key=one.key, value=one.value, headers=one.headers)
    producer.close(timeout=10)
    return Counter(one.topic for one in made)


def test_what_a_gateway_forged_stands_in_the_dead_letters_alone(decided: Decided) -> None:
    """Each of them, and nothing else. The tests below show that the log leads to the same events with them in it."""
    log = judge.read_all(decided.plant.settings, decided.plant.kafka, "mentions.dead", "volumes.dead")
    for topic in ("mentions", "volumes"):
        failures = [failure_of(r.headers.items()) for r in log[f"{topic}.dead"]]
        assert {failure.stage for failure in failures} == {STAGE}
        assert len(failures) == decided.forged[topic]
    assert not any(worker.said("worker failed") for worker in decided.plant.workers)


def _by_aggregate(events: Any) -> Histories:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        found[one[subject_of(BY_NAME[one["type"]])]].append(one)  # type: ignore[arg-type]
    return found


def _ms(one: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(one["time"]).timestamp() * 1000)


def _written(out: Path) -> dict[str, Histories]:
    return {
        topic: _by_aggregate(json.loads(line) for line in (out / f"{topic}.jsonl").read_text().splitlines())
        for topic in _TOPICS
    }


@pytest.mark.parametrize("topic", ["mentions", "classified"])
def test_all_of_the_log_leads_to_the_events_that_kafka_holds(decided: Decided, tmp_path: Path, topic: str) -> None:
    code, err = decided.replay(tmp_path / "o", "--log", topic)
    assert code == 0, err
    assert json.loads((tmp_path / "o" / "summary.json").read_text())["log"]["begins_empty"] is None
    assert _written(tmp_path / "o")["cases"] == decided.histories["cases"]
    if topic == "mentions":  # the counts that surges come from are made of mentions
        assert _written(tmp_path / "o")["surges"] == decided.histories["surges"]


def test_up_to_a_moment_all_that_kafka_decided_until_then_is_told(decided: Decided, tmp_path: Path) -> None:
    code, err = decided.replay(tmp_path / "o", "--log", "mentions", "--until", rfc3339(decided.middle))
    assert code == 0, err
    until = {
        aggregate: early
        for aggregate, events in decided.histories["cases"].items()
        if (early := [e for e in events if _ms(e) < decided.middle])
    }
    found = {
        aggregate: [e for e in events if _ms(e) < decided.middle]
        for aggregate, events in _written(tmp_path / "o")["cases"].items()
    }
    assert {aggregate: events for aggregate, events in found.items() if events} == until


def test_from_a_moment_on_the_cases_that_open_then_are_the_same(decided: Decided, tmp_path: Path) -> None:
    code, err = decided.replay(tmp_path / "o", "--log", "mentions", "--since", rfc3339(decided.middle))
    assert code == 0, err
    assert "not begin where the log began" in err
    ours = _written(tmp_path / "o")["cases"]
    fresh = _newcomers(decided.histories["cases"], decided.middle)
    assert len(fresh) > 10
    assert {a: ours.get(a) for a in fresh} == fresh


def _newcomers(histories: Histories, since: int) -> Histories:
    """Cases of customers who had none before."""
    known = {events[0]["key"] for events in histories.values() if _ms(events[0]) < since}
    return {a: events for a, events in histories.items() if _ms(events[0]) >= since and events[0]["key"] not in known}


def test_a_stretch_without_a_record_says_what_there_is(decided: Decided, tmp_path: Path) -> None:
    code, err = decided.replay(tmp_path / "o", "--log", "mentions", "--since", "2027-06-01T00:00:00Z")
    assert code == 1
    assert "no post, reply or action in that stretch of mentions" in err
    assert f"{decided.plant.prefix}mentions/1 holds offsets 0 to " in err


def test_a_partition_that_is_not_there_is_named(decided: Decided, tmp_path: Path) -> None:
    code, err = decided.replay(tmp_path / "o", "--log", "mentions", "--offsets", "7:0-10")
    assert code == 2
    assert "--offsets 7: there are 2 partitions" in err


def test_another_policy_is_compared_with_the_logs_own(decided: Decided, tmp_path: Path) -> None:
    next_policy = tmp_path / "next.toml"
    next_policy.write_text(_POLICY.replace('target = "60m"', 'target = "30m"'))
    code, err = decided.replay(tmp_path / "o", "--log", "mentions", "--against", str(next_policy))
    assert code == 0, err
    assert _written(tmp_path / "o" / "log")["cases"] == decided.histories["cases"]
    told = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert told["policies"] == ["log", "next"]
    everywhere = told["rows"][0]
    assert everywhere["next"]["breaches"] > everywhere["log"]["breaches"]
    assert everywhere["next"]["cases"] == everywhere["log"]["cases"] == len(decided.histories["cases"])


def test_whoever_has_no_keys_writes_nothing_into_a_signed_log(decided: Decided) -> None:
    """Neither a worker, whose records others would refuse, nor a command: each says which setting is missing."""
    environment = {name: value for name, value in decided.plant.given().items() if "_KEYS_FILE" not in name}
    folder, before = decided.plant.folder, decided.plant.ends()
    code, _, err = command(folder, environment, "forget", "andina", "twitter", "ana")
    assert (code, "NETCENTER_OPERATORS_KEYS_FILE is not set, and this log is signed" in err) == (2, True)
    worker = subprocess.run(
        [sys.executable, "-m", "netcenter", "worker", "classify"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert worker.returncode == 2
    assert "is signed, and this worker has no keys: set NETCENTER_SYSTEM_KEYS_FILE" in worker.stdout + worker.stderr
    assert decided.plant.ends() == before
