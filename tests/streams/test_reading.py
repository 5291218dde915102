"""Reading stretches of a log as workers write it: transactions, aborted ones, their markers, uneven partitions."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import NewTopic

from netcenter.broker import provisioning
from netcenter.broker.client import open_admin, open_consumer, open_producer
from netcenter.broker.offsets import OffsetRange, committed_ranges_at
from netcenter.broker.reading import RangeReader, TopicFollower, any_record, batches_of, records_of
from netcenter.errors import Unreachable
from netcenter.replay import stretch
from netcenter.replay.find_stretch import Range, find
from netcenter.replay.stretch import Stretch
from netcenter.settings import Settings
from schemas import codec
from schemas.keys import customer
from schemas.records import Mention, Tick
from streams.kafka_connection import KafkaConnection
from tests.support.waiting import until
from tests.support.world import MINUTE, NOON, author_on, mention

_PARTITIONS = 3
_POLICY = '[classifier]\nmodel = "' + "ab" * 32 + '"\n'


class Log:
    """A topic written to in transactions, and what was committed of each partition."""

    def __init__(self, kafka: KafkaConnection, topic: str) -> None:
        self.kafka, self.topic = kafka, topic
        self._producer = open_producer(kafka, f"{topic}-writer")
        self._producer.init_transactions()
        self.committed: dict[int, list[bytes]] = defaultdict(list)

    def transaction(
        self,
        sent: list[tuple[int, bytes]],
        key: Callable[[bytes], bytes | None] = lambda _: None,
        *,
        commits: bool = True,
    ) -> None:
        """Records of partitions, all of them or none."""
        self._producer.begin_transaction()
        for number, value in sent:
            self._producer.send(self.topic, value, key(value), partition=number)
        if not commits:
            self._producer.flush()
            self._producer.abort_transaction()
            return
        self._producer.commit_transaction()
        for number, value in sent:
            self.committed[number].append(value)

    def spans(self) -> dict[TopicPartition, OffsetRange]:
        """First offset and end of each partition."""
        return committed_ranges_at(self.kafka, [TopicPartition(self.topic, n) for n in range(_PARTITIONS)])

    def close(self) -> None:
        """Let go of Kafka."""
        self._producer.close(timeout=5)


@pytest.fixture(scope="module")
def log(kafka: KafkaConnection) -> Any:
    """Partitions of 900, 30 and 3 records in transactions of up to 40, one in three of them aborted, the last ones too."""
    topic = f"reading-{random.Random().randrange(1 << 40)}"
    with closing(open_admin(kafka)) as client:
        client.create_topics([NewTopic(topic, _PARTITIONS, 1)])
    with closing(Log(kafka, topic)) as written:
        chance = random.Random(7)
        for n in range(60):
            sent = [(0, b"a%d.%d" % (n, i)) for i in range(chance.randrange(40))]
            sent += [(1, b"b%d" % n)] * (n % 2) + [(2, b"c%d" % n)] * (n % 20 == 0)
            written.transaction(sent, commits=n % 3 != 1)
        written.transaction([(number, b"lost") for number in range(_PARTITIONS)], commits=False)
        yield written


def test_each_way_of_reading_ends_with_every_committed_record_in_order(log: Log) -> None:
    """Behind the last records stand those of an aborted transaction, and markers."""
    spans = log.spans()
    one_by_one: dict[int, list[bytes]] = defaultdict(list)
    for record in records_of(log.kafka, spans):
        one_by_one[record.partition].append(record.value)
    at_once: dict[int, list[bytes]] = defaultdict(list)
    with closing(open_consumer(log.kafka)) as consumer:
        for found in batches_of(consumer, spans, 50):
            for tp, rows in found.items():
                at_once[tp.partition] += [row.value for row in rows]
    assert one_by_one == at_once == log.committed


def test_partitions_may_rest_and_be_read_on_in_any_order(log: Log) -> None:
    """What was fetched of one that rests is neither lost nor given twice, and nothing waits for ever."""
    chance = random.Random(3)
    found: dict[int, list[bytes]] = defaultdict(list)
    with closing(open_consumer(log.kafka)) as consumer:
        read = RangeReader(consumer, log.spans())
        while read.left():
            wanted = chance.sample(read.left(), chance.randint(1, len(read.left())))
            for _ in range(chance.randint(1, 3)):
                for tp, rows in read.read(chance.choice((1, 7, 500)), wanted).items():
                    assert tp in wanted
                    found[tp.partition] += [row.value for row in rows]
    assert found == log.committed


def test_a_stretch_of_markers_and_aborted_records_holds_none(log: Log) -> None:
    """The last of each partition: an aborted record and its marker."""
    spans = log.spans()
    assert any_record(log.kafka, spans)
    assert not any_record(log.kafka, {tp: (end - 2, end) for tp, (_, end) in spans.items()})


def test_a_follower_gives_every_committed_record_once_and_then_only_the_newer_ones(log: Log) -> None:
    """Also where a transaction is aborted between two calls, whose marker moves the end and is no record."""
    tps = [TopicPartition(log.topic, n) for n in range(_PARTITIONS)]
    with TopicFollower(log.kafka, tps) as follower, TopicFollower(log.kafka, tps, from_end=True) as later:
        found: dict[int, list[bytes]] = defaultdict(list)
        for record in follower.new_records():
            found[record.partition].append(record.value)
        assert found == log.committed
        log.transaction([(0, b"aborted")], commits=False)
        log.transaction([(0, b"newer"), (2, b"newer")])
        for reader in (follower, later):
            newer: list[tuple[int, bytes]] = []

            def all_read(reader: TopicFollower = reader, newer: list[tuple[int, bytes]] = newer) -> bool:
                """Kafka writes the mark of a commit into each partition a moment after it has answered."""
                newer += [(r.partition, r.value) for r in reader.new_records()]
                return len(newer) >= 2

            until(all_read, 30, "the newer records")
            assert sorted(newer) == [(0, b"newer"), (2, b"newer")]
            assert reader.new_records() == []


def test_a_reading_that_no_longer_moves_ends_and_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker has gone, or the topic."""
    now = iter(range(0, 10_000, 25))
    monkeypatch.setattr("netcenter.broker.reading.time", SimpleNamespace(monotonic=lambda: next(now)))
    gone: Any = SimpleNamespace(
        assign=lambda _: None, seek=lambda *_: None, poll=lambda *_, **__: {}, position=lambda *_, **__: 5
    )
    with pytest.raises(Unreachable, match="mentions/3 has not been read beyond offset 5, of 9, for 60 s"):
        list(batches_of(gone, {TopicPartition("mentions", 3): (5, 9)}, 10))


def test_a_log_is_replayed_to_its_end_though_one_partition_holds_nearly_everything(
    kafka: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partitions are merged by time: the others rest while the next Tick of one is looked for."""
    monkeypatch.setattr(stretch, "_AHEAD", 20)
    monkeypatch.setattr(stretch, "_AT_ONCE", 15)
    settings = Settings(prefix=prefix, partitions=_PARTITIONS)
    provisioning.apply(settings, kafka, "event", _POLICY)
    chance, number = random.Random(1), 0
    with closing(Log(kafka, f"{prefix}mentions")) as log:
        for minute in range(30):
            ticks = [
                (n, Tick(clock="event", time=NOON + minute * MINUTE, role="clock", partition=n))
                for n in range(_PARTITIONS)
            ]
            log.transaction([(n, codec.encode(tick)) for n, tick in ticks])
            posts = []
            for n, count in enumerate((chance.randrange(60), chance.randrange(3), int(minute == 29))):
                for _ in range(count):
                    number += 1
                    posts.append((n, codec.encode(mention(author_on(n, _PARTITIONS), number))))
            log.transaction(posts, lambda value: customer(codec.decode(value)), commits=minute % 4 != 1)
        log.transaction([(n, b"lost") for n in range(_PARTITIONS)], commits=False)
        wanted = {
            n: [m.native_id for value in values if isinstance(m := codec.decode(value), Mention)]
            for n, values in log.committed.items()
        }
    found: dict[int, list[str]] = defaultdict(list)
    times = []
    replayed: Stretch = find(settings, kafka, Range("mentions"))
    for step in replayed.steps():
        times.append(step.time)
        assert step.dead_letters == 0
        for n, facts in step.facts.items():
            found[n] += [fact.record.native_id for fact in facts if isinstance(fact.record, Mention)]
    assert found == wanted
    assert times == sorted(times)
