"""`operators` and `desk` on a real log: what they write, and what they read of the state that the role desk has left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import TopicPartition

from agents.policy import digest, parse
from netcenter.broker import provisioning
from netcenter.broker.changelogs import ChangelogWriter
from netcenter.broker.desk_state import ROLE
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.broker.sound_records import SoundRecords
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import keys
from schemas.records import Decided, OfferAnswered, OperatorChanged, PolicyChanged, Record
from streams.checkpoint import PROGRESS, progress_writer
from streams.core import Fact, Output
from streams.cores import new_core
from streams.fold import FoldCore
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from tests.support.care_facts import answer, at, operator, work
from tests.support.command_line import command

POLICY = """
[classifier]
model = "0000000000000000000000000000000000000000000000000000000000000000"
[[brands]]
name = "andina"
mode = "live"
[[desks]]
name = "care"
[[desks]]
name = "night"
"""
NOW = at("10:00")
Call = Callable[..., tuple[int, str, str]]


class DeskLog:
    """A log on which the role desk has decided on four cases, of which two operators have one each, and has stopped."""

    def __init__(self, kafka: KafkaConnection, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.settings = Settings(kafka=str(kafka), prefix=f"t{uuid4().hex[:8]}.", partitions=2)
        provisioning.apply(self.settings, kafka, "event", POLICY)
        self.number = partition_of(keys.ALL_DESKS, 2)
        self.desk = TopicPartition(f"{self.settings.prefix}{ROLE.input_topic}", self.number)
        core = new_core(PIPELINE, ROLE, self.number, 2, lambda version, _: parse(POLICY, version))
        assert isinstance(core, FoldCore)
        self._core = core
        changed = PolicyChanged(version=1, hash=digest(POLICY), applied_at=NOW)
        core.continue_log("", committed_ranges_at(kafka, [self.desk])[self.desk][1], "event", NOW, changed)
        self.events: list[Decided] = []
        self._decide()

    def _decide(self) -> None:
        position = self._core.position
        self._take(
            operator("ana", "10:00", capacity=1, until="18:00"), operator("eva", "10:00", capacity=1, until="18:00")
        )
        self._take(*(work(f"w{n}", "10:00", due=f"1{n}:00", url=f"https://example.org/{n}") for n in range(1, 5)))
        self._take(
            answer(next(e for e in self.events if getattr(e, "case_id", "") == "case of w1"), "accepted", "10:00")
        )
        progress = self._core.progress()
        progress.position = position  # none of this stands in the log itself
        with ChangelogWriter(self.settings, self.kafka, ROLE, self.number) as writer:
            writer.write((key.encode(), value) for key, value in self._core.packed())
            writer.write([(PROGRESS, progress_writer()(progress))])
        with LogWriter(self.settings, self.kafka, "test") as log:
            for event in self.events:
                log.send("assignments", event)

    def _take(self, *records: Record) -> None:
        results = self._core.take([Fact(n, record) for n, record in enumerate(records)]).results
        outputs = [one for one in results if isinstance(one, Output)]
        assert len(outputs) == len(results), results
        self.events += [one.record for one in outputs if one.topic == "assignments" and isinstance(one.record, Decided)]

    def run(self, *words: str) -> tuple[int, str, str]:
        """`netcenter` with these words; no PostgreSQL answers: (exit code, stdout, stderr)."""
        given = {
            "KAFKA": str(self.kafka),
            "PREFIX": self.settings.prefix,
            "POSTGRES": "postgresql://nobody@127.0.0.1:1/none",
        }
        return command(
            self.folder, {f"NETCENTER_{name}": value for name, value in given.items()} | {"COLUMNS": "200"}, *words
        )

    def said(self) -> list[Record]:
        """What tools have written into the topic of the desk since the role has stopped."""
        first = committed_ranges_at(self.kafka, [self.desk])[self.desk]
        found = SoundRecords(self.settings).of(records_of(self.kafka, {self.desk: first}))
        return [record for record, _ in found if isinstance(record, OperatorChanged | OfferAnswered)]


@pytest.fixture(scope="module")
def log(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> DeskLog:
    return DeskLog(kafka, tmp_path_factory.mktemp("desk"))


def test_list_names_who_is_signed_in_and_what_they_have(log: DeskLog) -> None:
    code, out, err = log.run("operators", "list")
    assert (code, err) == (0, "")
    assert "2 operators; as the desk stands at 2026-" in out
    assert out.count("  1/1\n") == 2 and out.count("  offered until") == out.count("  has: case") == 1
    code, out, _ = log.run("operators", "list", "--json")
    assert [one["operator"] for one in json.loads(out)["operators"]] == ["ana", "eva"]


def test_show_prints_the_queue_and_why_the_next_goes_to_nobody(log: DeskLog) -> None:
    code, out, err = log.run("desk", "show", "care")
    assert (code, err) == (0, "")
    assert "care: 2 cases wait, 1 offered, 1 accepted; 2 operators take work, 0 of them free" in out
    assert (
        "next: case case of w3, first of priority 2 by its due" in out and "to nobody now: all 2 who take work" in out
    )
    code, out, _ = log.run("desk", "show")
    assert [line.partition(":")[0] for line in out.splitlines()] == ["care", "night"]
    code, _, err = log.run("desk", "show", "nihgt")
    assert code == 2 and "DESK: no desk is called 'nihgt'" in err


def test_explain_reads_the_log_where_no_postgresql_answers(log: DeskLog) -> None:
    """And says what the case waits for, from the state of the desk."""
    code, out, err = log.run("desk", "explain", "case of w1")
    assert code == 0 and "PostgreSQL cannot be reached" in err and "reading the whole of `assignments`" in err
    assert "offered to" in out and "because: least_loaded" in out and "accepts" in out
    assert "now                   it waits for an answer of" in out
    code, out, err = log.run("desk", "explain", "case")
    assert code == 2 and "is the beginning of several: case of w1, case of w2" in err


def test_a_presence_is_said_at_every_desk_where_somebody_is(log: DeskLog) -> None:
    """The desk has not read the sign-in yet; it is looked for in what the desk has not read."""
    assert log.run("operators", "sign-in", "zoe", "--desk", "care", "--desk", "night", "--for", "8h")[0] == 0
    assert "zoe stays at the desks care, night until 20" in log.run("operators", "renew", "zoe", "--for", "9h")[1]
    assert log.run("operators", "pause", "zoe")[1] == "zoe pauses at the desks care, night until they resume\n"
    assert log.run("operators", "sign-out", "zoe", "--desk", "night")[0] == 0
    said = [(one.change, one.desk) for one in log.said() if isinstance(one, OperatorChanged) and one.operator == "zoe"]
    assert said == [
        *(("signed_in", "care"), ("signed_in", "night"), ("renewed", "care"), ("renewed", "night")),
        *(("paused", "care"), ("signed_out", "night")),
    ]


def test_whoever_is_not_there_renews_nothing(log: DeskLog) -> None:
    before = log.said()
    code, _, err = log.run("operators", "renew", "nobody")
    assert code == 2 and "nobody is signed in at no desk" in err
    code, _, err = log.run("operators", "sign-in", "max", "--desk", "nihgt")
    assert code == 2 and "no desk is called 'nihgt': policy 1 has none of this name; there are: care, night" in err
    assert log.said() == before


def test_an_offer_is_answered_by_its_id_or_by_its_customer(log: DeskLog) -> None:
    assert log.run("operators", "accept", "ana", "--customer", "andina|twitter|u1")[0] == 0
    code, _, err = log.run("operators", "decline", "ana", "4b1f")
    assert code == 0 and "no offer 4b1f is open, so this changes nothing" in err
    said = [(one.answer, one.offer_id, one.author_id) for one in log.said() if isinstance(one, OfferAnswered)]
    assert said == [("accepted", "", "u1"), ("declined", "4b1f", None)]
