"""Takeover by a standby after a SIGKILL, and a rolling update of a role's two workers, each at 1,000 mentions/s."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from kafka import TopicPartition

from bench import usage
from bench.flow import Flow, flow
from bench.latency import Producer
from bench.run import Run
from netcenter.broker.client import open_consumer
from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.records import ClassifiedMention
from streams.supervisor import command_of

ROUNDS = 5
_ROLE = "classify"
_LOOK_S = 0.02
_WAIT_S = 60.0
_UNDER_LOAD_S = 4.0
"""Seconds of load before a worker is killed or replaced, and after the last worker was replaced."""
_MOST_MENTIONS = 10_000_000


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ready(self) -> str | None:
        """Return what `/ready` says; None where it is not ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of its log about an event."""
        lines = (line for line in self.log.read_text(errors="replace").splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line["event"] == event]


class _Output(threading.Thread):
    """Notes when the broker took each mention into the output topic; it is visible a checkpoint later."""

    def __init__(self, path: Flow) -> None:
        super().__init__(daemon=True)
        self._path, self._enough = path, threading.Event()
        self.seen: list[tuple[float, int, int]] = []
        """(Unix time of the broker, partition, number of the mention) in the order of reading."""

    def run(self) -> None:
        """Read until told to end."""
        topic = self._path.topic(PIPELINE.role(_ROLE).writes[0])
        with closing(open_consumer(self._path.run.kafka)) as consumer:
            consumer.assign([TopicPartition(topic, n) for n in range(self._path.settings.partitions)])
            consumer.seek_to_beginning()
            while not self._enough.is_set():
                for tp, records in consumer.poll(timeout_ms=50).items():
                    for raw in records:
                        record = codec.decode(raw.value)
                        if isinstance(record, ClassifiedMention):
                            self.seen.append((raw.timestamp / 1000, tp.partition, int(record.mention.native_id)))

    def end(self) -> None:
        """Stop reading."""
        self._enough.set()
        self.join(10)


def measure(run: Run) -> dict[str, Any]:
    """Return the seconds of takeovers and of a rolling update."""
    return {"takeover": _takeovers(run), "rolling update": _rolling(run)}


def _takeovers(run: Run) -> dict[str, Any]:
    """Kill the owner of the only partition, several times; each time a standby is ready."""
    rounds: list[dict[str, float]] = []
    with _loaded(run, partitions=1) as (path, output, start):
        owner = start()
        _until(lambda: owner.ready() == "ok\n", "an owner")
        for number in range(ROUNDS):
            standby = start()
            _until(lambda worker=standby: worker.ready() is not None, "a standby")  # type: ignore[misc]
            # Heartbeats come at intervals, so that the moment of the kill between two of them differs.
            time.sleep(_UNDER_LOAD_S + 0.37 * number)
            owner.process.send_signal(signal.SIGKILL)
            owner.process.wait()
            killed = time.time()
            _until(lambda since=killed: output.seen[-1][0] > since, "the first record decided")  # type: ignore[misc]
            decided = next(at for at, *_ in output.seen if at > killed)
            owned = datetime.fromisoformat(standby.said("partitions owned")[-1]["timestamp"]).timestamp()
            recovery = standby.said("partition recovered")[-1]["seconds"]
            rounds.append({"owned_s": owned - killed, "recovery_s": recovery, "decided_s": decided - killed})
            run.say(f"takeover: {rounds[-1]}")
            owner = standby
        path.check()
    found = {name: [round(figures[name], 2) for figures in rounds] for name in rounds[0]}
    return {f"{name}, median": round(median(values), 2) for name, values in found.items()} | found


def _rolling(run: Run) -> dict[str, Any]:
    """Replace two workers one by one, each by one that is ready before the other is told to stop."""
    with _loaded(run, partitions=8) as (path, output, start):
        old = [start(), start()]
        for worker in old:
            _until(lambda worker=worker: worker.ready() == "ok\n", "the old workers")  # type: ignore[misc]
        time.sleep(_UNDER_LOAD_S)
        began = time.time()
        for worker in old:
            new = start()
            _until(lambda worker=new: worker.ready() is not None, "a new worker")  # type: ignore[misc]
            worker.process.terminate()
            _until(lambda worker=worker: worker.process.poll() is not None, "an old worker that stops")  # type: ignore[misc]
        ended = time.time()
        time.sleep(_UNDER_LOAD_S)
        path.check()
        seen = list(output.seen)
    gaps = [_longest(seen, lambda p, n=n: p == n, began) for n in range(8)]  # type: ignore[misc]
    return {
        "seconds": round(ended - began, 1),
        "a partition without records, longest s": round(max(gaps), 2),
        "a partition without records, median s": round(median(gaps), 2),
        "all partitions without records, longest s": round(_longest(seen, lambda _: True, began), 2),
        "all partitions without records, together s": round(_still(seen, began), 2),
    }


def _gaps(seen: list[tuple[float, int, int]], wanted: Callable[[int], bool], since: float) -> list[float]:
    times = [at for at, partition, _ in seen if wanted(partition) and at >= since]
    return [after - before for before, after in pairwise(times)]


def _longest(seen: list[tuple[float, int, int]], wanted: Callable[[int], bool], since: float) -> float:
    return max(_gaps(seen, wanted, since))


def _still(seen: list[tuple[float, int, int]], since: float) -> float:
    """Seconds in which nothing came of any partition, in gaps that are longer than a checkpoint takes."""
    return sum(gap for gap in _gaps(seen, lambda _: True, since) if gap > 0.6)


@contextmanager
def _loaded(run: Run, partitions: int) -> Iterator[tuple[Flow, _Output, Callable[[], _Worker]]]:
    """A log with load, a reader of the output, and a function that starts a worker. At the end, checks that each mention
    came out once.
    """
    with flow(run, "wall", partitions) as path:
        workers: list[_Worker] = []

        def start() -> _Worker:
            workers.append(_start(path, len(workers)))
            return workers[-1]

        producer, output = Producer(path, _MOST_MENTIONS), _Output(path)
        output.start()
        producer.start()
        try:
            yield path, output, start
            producer.end()
            producer.check()
            _until(lambda: len(output.seen) >= producer.sent, "every mention")
            twice = [n for n, times in Counter(number for *_, number in output.seen).items() if times > 1]
            if twice or len(output.seen) != producer.sent:
                raise RuntimeError(f"{producer.sent} mentions sent, {len(output.seen)} came out, twice: {twice[:5]}")
        finally:
            producer.end()
            output.end()
            for worker in workers:
                usage.end(worker.process)


def _start(path: Flow, number: int) -> _Worker:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    env = {
        **os.environ,
        "NETCENTER_KAFKA": str(path.run.kafka),
        "NETCENTER_PREFIX": path.settings.prefix,
        "NETCENTER_PARTITIONS": str(path.settings.partitions),
        "NETCENTER_HEALTH_PORT": str(port),
    }
    log = path.log.with_name(f"{path.log.name}.{number}")
    with log.open("wb") as said:
        return _Worker(subprocess.Popen(command_of(_ROLE), env=env, stdout=said, stderr=said), port, log)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {_WAIT_S:.0f} s: {what}")
        time.sleep(_LOOK_S)
