"""The job of the bench counts rightly on a wire that is not Avro, though its worker is killed in the middle."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from bench import broker, usage
from bench.counting import FORMS, PARTITIONS
from bench.same_job import outlets, posts, prepare
from bench.verdict import RIGHT, in_json, verdict
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent
MENTIONS = 100_000


@contextmanager
def worker(name: str, kafka: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "bench.counting", name, kafka, "json"]
    with log.open("ab") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
    finally:
        usage.end(process)


def test_mentions_in_json_are_each_counted_once_through_a_kill(kafka: str, prefix: str, tmp_path: Path) -> None:
    name, log = f"{prefix}count", tmp_path / "log"
    out, random = f"{name}.out", Random(3)
    authors = [f"u{random.randrange(400)}" for _ in range(MENTIONS)]
    prepare(kafka, "json")
    outlets(kafka, name)
    broker.create(kafka, {out: PARTITIONS})
    broker.fill(kafka, FORMS["json"].input_topic, PARTITIONS, posts(authors))
    ends = broker.Ends(kafka)
    with worker(name, kafka, log) as first:
        until(lambda: ends.of(out, PARTITIONS) > MENTIONS // 20, 40, f"the first counts; {log.read_text()[-1000:]}")
        first.kill()
        first.wait()
    assert ends.of(out, PARTITIONS) < MENTIONS, "killed too late to be in the middle"
    with worker(name, kafka, log):
        # Offsets count the transactions' markers too: what is awaited is the records.
        written = until(lambda: _all(kafka, out, ends), 60, f"every count; {log.read_text()[-1000:]}")
    ends.close()
    assert verdict(written, in_json, Counter(authors), PARTITIONS, whole=True) == RIGHT


def _all(kafka: str, out: str, ends: broker.Ends) -> list[tuple[int, bytes | None, bytes | None, int]]:
    if ends.of(out, PARTITIONS) < MENTIONS:
        return []
    written = broker.read(kafka, out, PARTITIONS)
    return written if len(written) >= MENTIONS else []
