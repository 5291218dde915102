"""The job of the bench counts rightly on a wire that is not Avro, though its worker is killed in the middle."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from kafka import TopicPartition

from bench import broker, usage
from bench.counting import FORMS, PARTITIONS
from bench.same_job import outlets, posts, prepare
from bench.verdict import RIGHT, in_json, verdict
from netcenter.broker.reading import TopicFollower
from streams.kafka_connection import KafkaConnection
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent
MENTIONS = 100_000


@contextmanager
def worker(name: str, kafka: KafkaConnection, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "bench.counting", name, str(kafka), "json"]
    with log.open("ab") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
    finally:
        usage.end(process)


def test_mentions_in_json_are_each_counted_once_through_a_kill(
    kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    name, log = f"{prefix}count", tmp_path / "log"
    out, random = f"{name}.out", Random(3)
    authors = [f"u{random.randrange(400)}" for _ in range(MENTIONS)]
    prepare(kafka, "json")
    outlets(kafka, name)
    broker.create(kafka, {out: PARTITIONS})
    broker.fill(kafka, FORMS["json"].input_topic, PARTITIONS, posts(authors))
    with TopicFollower(kafka, [TopicPartition(out, n) for n in range(PARTITIONS)]) as counts:
        with worker(name, kafka, log) as first:
            until(lambda: sum(counts.ends().values()), 40, "the first counts")
            first.kill()
            first.wait()
        written = counts.new_records()
        assert 0 < len(written) < MENTIONS, "killed in the middle"

        def all_of_them() -> bool:
            written.extend(counts.new_records())
            return len(written) >= MENTIONS

        with worker(name, kafka, log):
            until(all_of_them, 60, "every count")
    rows = [(r.partition, r.key, r.value, r.offset) for r in written]
    assert verdict(rows, in_json, Counter(authors), PARTITIONS, whole=True) == RIGHT
