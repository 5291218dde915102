"""`rebuild` beside a sink that goes on writing: afterwards PostgreSQL holds what the log tells, and nothing was lost meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from kafka import TopicPartition
from kafka.admin import NewTopic
from psycopg2.extensions import make_dsn

from netcenter.broker.client import open_admin, open_consumer, open_producer
from netcenter.broker.reading import batches_of
from netcenter.demo.story import STORY_POLICY, story, teller
from netcenter.embedded import Addresses
from sinks.postgres.projection import REBUILT
from sinks.postgres.tables import TABLES
from streams.kafka_connection import KafkaConnection
from tests.support import forked, judge
from tests.support.chaos import HOUR, SEED, Plant, Playing, create_database
from tests.support.command_line import command
from tests.support.waiting import until

_ROLES = ("classify", "cases", "postgres")
_POLICY = STORY_POLICY.read_text()
_LINES = [line for line in story.story(SEED, 0.05) if line.at < teller.START + 10 * HOUR]
_LATER, _LAST = teller.START + 6 * HOUR, teller.START + 9 * HOUR


@pytest.fixture(scope="module")
def plant(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """Six hours of a twentieth of the story, read by PostgreSQL's worker, which goes on from test to test."""
    with Plant(stack, tmp_path_factory.mktemp("rebuild"), _POLICY, f"t{uuid4().hex[:8]}.", 2) as plant:
        plant.start(*_ROLES)
        _play(plant, 0, _LATER)
        yield plant


def _play(plant: Plant, begin: int, end: int) -> None:
    playing = Playing(plant, [x for x in _LINES if begin <= x.at < end], run_on=0, ahead=HOUR, follow=_ROLES[:2])
    plant.until(playing.done, 60, "the story played")
    plant.await_drained(playing.time, _ROLES, 60)


def _command(plant: Plant, *words: str, **environment: str) -> tuple[int, str, str]:
    return command(plant.folder, {**plant.given(), **environment}, *words)


def _rebuilt(plant: Plant) -> dict[str, Any]:
    code, out, err = _command(plant, "rebuild", "--yes", "--json")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def _sql(plant: Plant, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(plant.settings.postgres or "")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor) if cursor.description else []


def _tables(uri: str | None) -> dict[str, Any]:
    """Every row; an offset of 0 says as much as none."""
    found = judge.tables(uri or "")
    found["sink_offsets"] = {key: row for key, row in found["sink_offsets"].items() if row["next"]}
    return found


def test_a_rebuild_that_is_killed_changes_nothing_and_the_next_one_succeeds(plant: Plant) -> None:
    before = _tables(plant.settings.postgres)
    there = f"select 1 from pg_tables where schemaname = '{REBUILT}' and tablename = 'cases'"
    with closing(psycopg2.connect(plant.settings.postgres or "")) as reader, reader.cursor() as cursor:
        # Somebody who reads a table for as long as he likes: the swap waits for him, and is killed meanwhile.
        cursor.execute("select count(*) from mentions")
        environment = {**os.environ, **plant.given()}
        words = ["rebuild", "--yes"]
        killed = forked.start(forked.command, plant.folder / "killed.log", plant.folder, environment, words)
        try:
            until(lambda: _sql(plant, there), 30, "the new tables")
            refused, _, why = _command(plant, "rebuild", "--yes")
        finally:
            killed.kill()
            killed.join()
    assert refused == 1 and "under way already" in why
    judge.same_tables(_tables(plant.settings.postgres), before)
    code, _, err = _command(plant, "rebuild", "--yes")
    assert code == 0, err
    assert f"dropped what an earlier rebuild had left: schema {REBUILT}" in err
    judge.same_tables(_tables(plant.settings.postgres), before)


def test_rows_that_are_wrong_or_gone_are_made_right_while_the_worker_writes_on(plant: Plant) -> None:
    _sql(
        plant,
        "update cases set label = 'praise', posts = 99; delete from clocks; delete from mentions where ctid < '(1,1)'",
    )
    later = Playing(plant, [x for x in _LINES if _LATER <= x.at < _LAST], run_on=0, ahead=HOUR, follow=_ROLES[:2])
    told = _rebuilt(plant)
    assert told["tables"]["clocks"]["before"] < told["tables"]["clocks"]["after"]
    plant.until(later.done, 60, "the rest played")
    plant.await_drained(later.time, _ROLES, 60)
    log = judge.read_all(plant.settings, plant.kafka)
    judge.same_tables(
        _tables(plant.settings.postgres), _tables(judge.folded(plant.settings, log, f"{plant.database}_alone"))
    )
    assert not plant.deaths
    assert _sql(plant, "select nspname from pg_namespace where nspname like 'netcenter%%'") == []


def test_who_was_forgotten_is_in_no_table_before_and_after_a_rebuild(plant: Plant) -> None:
    [(author, words)] = _sql(
        plant, "select author_id, text from mentions where brand = 'andina' and channel = 'twitter' and not own limit 1"
    )
    code, out, err = _command(plant, "forget", "andina", "twitter", author, "--id", "request-1")
    assert code == 0, err
    assert "until their retention" in out
    plant.until(lambda: not _found(plant, author, words), 30, "the author forgotten")
    _rebuilt(plant)
    assert _found(plant, author, words) == []


def _found(plant: Plant, *traces: str) -> list[str]:
    """The tables in whose rows any of these stands."""
    names = [name for (name,) in _sql(plant, "select tablename from pg_tables where schemaname = 'public'")]
    return [
        name
        for name in names
        if any(
            _sql(plant, f"select 1 from {name} t where position(%s in t::text) > 0 limit 1", trace) for trace in traces
        )
    ]


def test_an_emptied_database_is_filled_again_by_the_worker_that_runs(plant: Plant) -> None:
    """It notices at its next write, and reads from the log's beginning on."""
    [worker] = plant.alive("postgres")
    names = ", ".join(table.name for table in TABLES)
    _sql(plant, f"truncate {names}, sink_offsets, forgotten")
    _play(plant, _LAST, _LAST + HOUR // 2)
    plant.until(
        lambda: worker.said("the receiver has lost what it had; reading on from its own offsets"), 30, "it is told"
    )
    plant.await_drained(0, _ROLES, 60)
    log = judge.read_all(plant.settings, plant.kafka)
    judge.same_tables(
        _tables(plant.settings.postgres), _tables(judge.folded(plant.settings, log, f"{plant.database}_again"))
    )
    assert plant.alive("postgres") == [worker]


def test_what_the_log_no_longer_has_is_kept(plant: Plant) -> None:
    before = _tables(plant.settings.postgres)
    with closing(open_admin(plant.kafka)) as client:
        cut = {TopicPartition(f"{plant.prefix}{topic}", n): 40 for topic in ("classified", "cases") for n in range(2)}
        client.delete_records(cut)
    told = _rebuilt(plant)
    judge.same_tables(_tables(plant.settings.postgres), before)
    copied = {name: table["copied"] for name, table in told["tables"].items()}
    assert copied["mentions"] > 0 and copied["case_events"] > 0
    _play(plant, _LAST + HOUR // 2, _LAST + HOUR)  # and the worker goes on from where it was
    assert not plant.deaths


def test_what_stands_neither_in_the_log_nor_in_postgresql_is_named(plant: Plant) -> None:
    """The log was trimmed by the test before, and a database was emptied: what is there is taken, what is lost is said."""
    empty = f"{plant.database}_empty"
    create_database(plant.addresses.postgres, empty)
    uri = make_dsn(plant.settings.postgres or "", dbname=empty)
    code, _, err = _command(plant, "rebuild", "--yes", NETCENTER_POSTGRES=uri)
    assert code == 0, err
    said = " ".join(err.split())
    assert f"offsets 0 to 39 of {plant.prefix}classified/0 stand neither in the log nor in PostgreSQL" in said
    assert min(row["next"] for row in judge.tables(uri)["sink_offsets"].values() if row["topic"] == "classified") >= 40


def test_a_partition_that_is_read_to_its_end_may_grow_while_others_are_read(
    kafka: KafkaConnection, prefix: str
) -> None:
    """What is appended to it belongs to the next round."""
    short, long = TopicPartition(f"{prefix}grows", 0), TopicPartition(f"{prefix}grows", 1)
    with closing(open_admin(kafka)) as client:
        client.create_topics([NewTopic(short.topic, 2, 1)])
    producer = open_producer(kafka)

    def append(tp: TopicPartition, value: bytes) -> None:
        producer.send(tp.topic, value, partition=tp.partition).get(30)

    append(short, b"s0")
    append(long, b"l0")
    found: dict[TopicPartition, list[bytes]] = {short: [], long: []}
    with closing(open_consumer(kafka)) as consumer, closing(producer):
        polls_since = 0
        for batch in batches_of(consumer, {short: (0, 1), long: (0, 2)}, 100):
            for tp, records in batch.items():
                found[tp] += [record.value for record in records]
            if short in batch:
                append(short, b"s1")
            polls_since += bool(found[short])
            if polls_since == 10:  # by now a consumer that still asks for the short one has been given more
                append(long, b"l1")
    assert found == {short: [b"s0"], long: [b"l0", b"l1"]}


def test_topics_that_are_not_there_are_refused(plant: Plant) -> None:
    """The line says what to do."""
    code, _, err = _command(plant, "rebuild", "--yes", NETCENTER_PREFIX="nowhere.")
    assert code == 1
    assert "there is no topic nowhere." in err and "topics apply" in err
