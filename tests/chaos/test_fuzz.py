"""Whatever comes: every good record is classified, every bad one is a dead letter with its reason, and no role stops.

NETCENTER_FUZZ says how many of each; `make fuzz` runs it with 20,000.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import psycopg2
import pytest
from kafka import KafkaProducer

from netcenter.broker.client import open_producer
from netcenter.embedded import Addresses
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from schemas import codec
from schemas.dead_letter_headers import failure_of
from schemas.records import Decided, Mention, Tick
from schemas.times import rfc3339
from tests.support import judge, lenient_worker
from tests.support.chaos import ROLES, Plant
from tests.support.fuzz import CASE, DAY, MINUTE, NOON, SECRET, Fuzz, Sent

EACH = int(os.environ.get("NETCENTER_FUZZ", "1000"))
"""Good records, and as many bad ones."""
SEED = int(os.environ.get("NETCENTER_FUZZ_SEED", "13"))
PARTITIONS = 2
_MINUTES = 100
#: Whether every role runs and knows the time before anything else is sent; and records that stand before the first Tick.
_TIME_FIRST, _FIRST_TICK = True, 0
_OLDEST = 946_684_800_000
_DRAINED_S = 120.0 + EACH / 50
_POLICY = DEFAULT_POLICY.read_text()

pytestmark = pytest.mark.timeout(2 * _DRAINED_S)


@dataclass
class Outcome:
    """What was sent, and what stands in the log at the end."""

    plant: Plant
    sent: list[Sent]
    log: judge.Log

    def good(self) -> list[Sent]:
        """Those that must be taken."""
        return [one for one in self.sent if one.bad is None]


@pytest.fixture(scope="module")
def outcome(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Roles that start in any order before, between and after the records."""
    folder, draw = tmp_path_factory.mktemp("fuzz"), Random(SEED)
    prefix = f"f{uuid4().hex[:8]}."
    with Plant(stack, folder, _POLICY, prefix, PARTITIONS, command=lenient_worker.command) as plant:
        roles = list(ROLES)
        draw.shuffle(roles)
        if _TIME_FIRST:
            plant.start(*roles)
            _tick(plant, NOON)
            plant.await_drained(NOON, [name for name in ROLES if name != "postgres"], _DRAINED_S)
            roles = []
        plant.start(*roles[:2])
        sent = _play(plant, roles[2:])
        end = NOON + 5 * DAY
        _tick(plant, end)
        plant.await_drained(end, ROLES, _DRAINED_S)
        yield Outcome(plant, sent, judge.read_all(plant.settings, plant.kafka, fuzzed=True))


def _play(plant: Plant, roles: list[str]) -> list[Sent]:
    """All records, with the minutes going by; the roles that are left start on the way."""
    fuzz, sent, producer = Fuzz(SEED, PARTITIONS), list[Sent](), open_producer(plant.kafka)
    step = max(1, 2 * EACH // _MINUTES)
    try:
        for n, one in enumerate(fuzz.told(EACH, EACH)):
            if n >= _FIRST_TICK and (n - _FIRST_TICK) % step == 0:
                fuzz.now = NOON + n // step * MINUTE
                _tick(plant, fuzz.now, producer)
            if roles and n % (EACH // 4) == EACH // 8:
                plant.start(roles.pop())
            producer.send(
                plant.prefix + one.topic, partition=one.partition, key=one.key, value=one.value, headers=one.headers
            )
            sent.append(one)
            if n % 1_000 == 999:
                producer.flush(60)  # else a busy broker lets what waits too long expire
        producer.flush(60)
    finally:
        producer.close(timeout=5)
    plant.start(*roles)
    return sent


def _tick(plant: Plant, time: int, producer: KafkaProducer | None = None) -> None:
    own = producer or open_producer(plant.kafka)
    for number in range(PARTITIONS):
        value = codec.encode(Tick(clock="event", time=time, role="clock", partition=number))
        own.send(plant.prefix + "mentions", partition=number, value=value)
    if producer is None:
        own.flush(60)
        own.close(timeout=5)


def test_every_good_record_goes_on_once(outcome: Outcome) -> None:
    """Posts are classified; updates, replies and actions stand behind them; and all posts are rows of the projection."""
    found = Counter(judge.identity(row.record) for row in outcome.log["classified"] if row.record is not None)
    wanted = {one.id for one in outcome.good() if one.topic == "mentions"}
    assert {id for id in found if id is not None} - {None} == wanted
    assert {count for id, count in found.items() if id is not None} == {1}


def test_every_bad_record_is_a_dead_letter_once_with_its_reason_and_no_good_one_is(outcome: Outcome) -> None:
    """Where it was sent, with its key and bytes; the reason holds no word of a post."""
    for topic in PIPELINE.topics:
        if not topic.inputs:
            continue
        letters = {int(row.headers[CASE]): row for row in outcome.log[topic.dead.name]}
        wanted = {one.number: one for one in outcome.sent if one.bad is not None and one.topic == topic.name}
        told = Counter(one.bad for number, one in wanted.items() if number not in letters)
        assert letters.keys() == wanted.keys(), (topic.name, told, letters.keys() - wanted.keys())
        often = Counter(int(row.headers[CASE]) for row in outcome.log[topic.dead.name])
        # Of a record of a newer release the projection makes a dead letter too, where it reads the topic.
        newer = {n for n, row in letters.items() if failure_of(row.headers.items()).error == "NewerRecord"}
        assert {n for n, count in often.items() if count > 1} <= newer
        for number, row in letters.items():
            assert (row.partition, row.key, row.value) == (
                wanted[number].partition,
                wanted[number].key,
                wanted[number].value,
            )
            failure = failure_of(row.headers.items())
            assert failure.message and failure.stage and SECRET not in failure.message


def test_no_role_stops_and_none_says_a_word_of_a_post(outcome: Outcome) -> None:
    """None has ended, none was started anew, and each still answers."""
    assert outcome.plant.deaths == {}
    for worker in outcome.plant.workers:
        assert worker.alive(), worker.text()[-2_000:]
        assert not worker.said("worker failed") and SECRET not in worker.text()


def test_what_is_decided_inside_is_never_at_fault(outcome: Outcome) -> None:
    """No record of ours becomes a dead letter further on, but for an action with which nothing can be done."""
    inside = [row for name in ("classified.dead", "signals.dead") for row in outcome.log[name]]
    assert {failure_of(row.headers.items()).error for row in inside} <= {"Unusable"}


def test_sequences_have_no_gap_and_nothing_is_dated_before_2000(outcome: Outcome) -> None:
    """In every public topic."""
    assert judge.gaps(outcome.log) == []
    for name, rows in outcome.log.items():
        early = [r.record for r in rows if isinstance(r.record, Decided) and r.record.time < _OLDEST]
        assert not early, f"{name}: {len(early)}, the first {type(early[0]).__name__} at {rfc3339(early[0].time)}"
    posts = [row.record for row in outcome.log["cases"] if isinstance(row.record, Decided)]
    assert posts, "nothing was decided"


def test_every_good_post_is_counted_and_projected(outcome: Outcome) -> None:
    """Volumes add up, and PostgreSQL has a row for each."""
    posts = [one for one in outcome.good() if one.topic == "mentions" and codec.kind(one.value) is Mention]
    assert sum(sum(counts.values()) for counts in judge.told_volumes(outcome.log).values()) == len(posts)
    kept = set(judge.remembered(row.record for row in outcome.log["classified"]))
    connection = psycopg2.connect(outcome.plant.settings.postgres)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select id::text from mentions")
            rows = {id for (id,) in cursor}
    finally:
        connection.close()
    assert kept <= rows <= {one.id for one in posts}
