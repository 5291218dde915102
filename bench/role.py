"""One role's worker under a prefix of its own: started, seen through its metrics and its log, ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from bench import broker, usage
from bench.run import Run
from netcenter import topics
from netcenter.settings import Settings, load
from streams.supervisor import command_of

_LOOK_S = 0.2
_ASK_S = 0.5
_ANSWER_S = 10.0


@contextmanager
def log_of(run: Run, what: str, policy_text: str) -> Iterator[Settings]:
    """The settings of a log of its own on the event clock, with this policy; gone afterwards."""
    settings = load().model_copy(update={"kafka": run.kafka, "prefix": run.name(what) + "."})
    topics.apply(settings, run.kafka, "event", policy_text)
    try:
        yield settings
    finally:
        broker.delete(run.kafka, broker.names(run.kafka, settings.prefix))


class Worker:
    """`netcenter worker ROLE` in a process of its own. A context manager."""

    def __init__(self, run: Run, settings: Settings, role: str) -> None:
        self.role, self.broker = role, run.broker
        self._asked, self._facts = 0.0, 0
        self.log = run.folder / f"{run.name(role)}.log"
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        env = {
            **os.environ,
            "NETCENTER_KAFKA": run.kafka,
            "NETCENTER_PREFIX": settings.prefix,
            "NETCENTER_PARTITIONS": str(settings.partitions),
            "NETCENTER_HEALTH_PORT": str(port),
        }
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(command_of(role), env=env, stdout=said, stderr=said)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        usage.end(self.process)

    def check(self) -> None:
        """Raise RuntimeError if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the {self.role} worker ended with {self.process.returncode}: {self.end_of_log()}")

    def end_of_log(self) -> str:
        """What it said last."""
        return self.log.read_text(errors="replace")[-2000:]

    def facts(self) -> int:
        """Records handled so far, Ticks among them; 0 while it starts. Asked for seldom: each answer costs the worker."""
        if time.monotonic() - self._asked >= _ASK_S:
            self._asked = time.monotonic()
            self._facts = round(self.metrics().get(("netcenter_facts_total", ""), 0))
        return self._facts

    def metrics(self) -> dict[tuple[str, str], float]:
        """Counters by (name, topic); those of one name without a topic are summed up."""
        self.check()
        try:
            with urlopen(f"{self._url}/metrics", timeout=_ANSWER_S) as answer:
                return counters(answer.read().decode())
        except (URLError, ConnectionError):
            return {}

    def until(self, facts: int, seconds: float) -> None:
        """Return once so many records are handled. Raises RuntimeError."""
        deadline = time.monotonic() + seconds
        while (done := self.facts()) < facts:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{done} of {facts} records after {seconds:.0f} s: {self.end_of_log()}")
            time.sleep(_LOOK_S)

    def recovered(self, partitions: int, seconds: float) -> tuple[int, float]:
        """Records read back and the seconds of the slowest partition, once all are. Raises RuntimeError."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            found = recoveries(self.log)
            if len(found) == partitions:
                return sum(records for records, _ in found), max(took for _, took in found)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(found)} of {partitions} partitions recovered: {self.end_of_log()}")
            time.sleep(_LOOK_S)

    def resident_mb(self) -> int:
        """MiB now."""
        return round(usage.resident(self.process.pid) / 2**20)

    def peak_mb(self) -> int:
        """MiB, the most so far."""
        return round(usage.peak(self.process.pid) / 2**20)


def counters(text: str) -> dict[tuple[str, str], float]:
    """Counters of a metrics page by (name, topic), summed over other labels."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.type == "counter" else ():
            place = (sample.name, sample.labels.get("topic", ""))
            found[place] = found.get(place, 0.0) + sample.value
    return found


def recoveries(log: Path) -> list[tuple[int, float]]:
    """(records, seconds) of each partition that a log tells was recovered."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if '"partition recovered"' in line:
            said = json.loads(line)
            found.append((said["records"], said["seconds"]))
    return found


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
