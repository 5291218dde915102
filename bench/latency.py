"""Latency from produce to a visible row, at a fixed rate in real time, for several checkpoint intervals."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from typing import Any

import msgspec

from bench import broker
from bench.flow import Flow, Progress, flow, posts
from bench.run import Run
from netcenter.broker.log_writer import LogWriter
from schemas import codec, ids
from schemas.codec import WireError
from schemas.records import ClassifiedMention

RATE = 1_000
"""mentions/s"""
INTERVALS_S = (0.1, 0.25, 0.5, 1.0)
WARM_S = 10
_STEP_S = 0.005
_LOOK_S = 0.01
_START_S = 60.0
_END_S = 30.0


class Producer(threading.Thread):
    """Sends each mention at its due time, even if earlier mentions took long."""

    def __init__(self, path: Flow, count: int) -> None:
        super().__init__(daemon=True)
        self._path, self._count = path, count
        self.began = 0.0
        self.latest = 0.0
        """The longest delay of a mention beyond its due time, in seconds."""
        self.sent = 0
        self.failure: Exception | None = None
        self._enough = threading.Event()

    def run(self) -> None:
        """Send all mentions."""
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - `result` raises the error in the thread that waits
            self.failure = error

    def _send(self) -> None:
        told = posts()
        with LogWriter(self._path.settings, self._path.run.kafka, "bench") as log:
            self.began = time.perf_counter()
            for number in range(self._count):
                due = self.began + number / RATE
                while (early := due - time.perf_counter()) > 0:
                    if self._enough.wait(max(early, _STEP_S)):
                        return
                if number >= WARM_S * RATE:
                    self.latest = max(self.latest, -early)
                post, native, now = told[number % len(told)], f"{number}", int(time.time() * 1000)
                mention = msgspec.structs.replace(
                    post,
                    id=ids.mention(post.brand, post.channel, native),
                    author_id=f"u{number % 20_011}",
                    native_id=native,
                    created_at=now,
                    received_at=now,
                    conversation_id=None,
                    in_reply_to=None,
                    share_of=None,
                    post_id=ids.post(post.channel, native),
                )
                log.send("mentions", mention)
                self.sent = number + 1

    def end(self) -> None:
        """Stop sending. Does nothing when all mentions are sent."""
        self._enough.set()
        self.join(10)

    def check(self) -> None:
        """Raise the error that ended the thread, if any."""
        if self.failure is not None:
            raise self.failure


def measure(run: Run) -> dict[str, dict[str, Any]]:
    """Return milliseconds and CPU by checkpoint interval (seconds, as text)."""
    found = {}
    for interval in INTERVALS_S:
        with flow(run, "wall") as path:
            path.start({"NETCENTER_CHECKPOINT_S": str(interval)})
            found[str(interval)] = _one(path, WARM_S + run.seconds)
        run.say(f"latency with a checkpoint each {interval} s: {found[str(interval)]}")
    return found


def _one(path: Flow, seconds: int) -> dict[str, Any]:
    count = RATE * seconds
    _until_open(path)
    producer, progress = Producer(path, count), Progress(path)
    looks: list[tuple[float, dict[int, int]]] = []
    cpu: list[tuple[float, dict[str, float]]] = []
    try:
        producer.start()
        deadline = time.monotonic() + seconds + _END_S
        while producer.is_alive() or progress.rows() < count:
            _look(path, producer, progress, looks, cpu)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{progress.rows()} of {count} rows: see {path.log}")
        producer.check()
        looks.append((time.perf_counter(), progress.offsets()))
    finally:
        producer.end()
        progress.close()
    waits = sorted(_waits(path, producer.began, looks))
    first, last = cpu[0], cpu[-1]
    figures = {f"{name}_ms": round(_share(waits, share) * 1000) for name, share in _SHARES.items()}
    used = {name: (last[1][name] - first[1][name]) / ((last[0] - first[0]) * RATE) * 1e6 for name in last[1]}
    return {
        **figures,
        "mentions": len(waits),
        "sent_late_ms": round(producer.latest * 1000),
        **{f"{name}_cpu_us": round(us) for name, us in used.items()},
    }


_SHARES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _look(
    path: Flow,
    producer: Producer,
    progress: Progress,
    looks: list[tuple[float, dict[int, int]]],
    cpu: list[tuple[float, dict[str, float]]],
) -> None:
    """Watch PostgreSQL for a second, then read the CPU time once."""
    path.check()
    until = time.perf_counter() + 1.0
    while time.perf_counter() < until:
        offsets = progress.offsets()
        looks.append((time.perf_counter(), offsets))
        time.sleep(_LOOK_S)
    if producer.is_alive() and time.perf_counter() - producer.began >= WARM_S:
        cpu.append((time.perf_counter(), path.cpu_s()))


def _until_open(path: Flow) -> None:
    """Wait until the first Ticks have reached the sink: after that both workers are working."""
    progress, deadline = Progress(path), time.monotonic() + _START_S
    try:
        while len(progress.offsets()) < path.settings.partitions:
            path.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing reached PostgreSQL within {_START_S:.0f} s: see {path.log}")
            time.sleep(0.1)
    finally:
        progress.close()


def _waits(path: Flow, began: float, looks: list[tuple[float, dict[int, int]]]) -> list[float]:
    """Return the seconds from each mention's due time to the read of PostgreSQL that first showed its row."""
    partitions = path.settings.partitions
    shown = [[offsets.get(n, 0) for _, offsets in looks] for n in range(partitions)]
    found = []
    for partition, _, value, offset in broker.read(path.run.kafka, path.topic("classified"), partitions):
        try:
            record = codec.decode(value)
        except WireError:
            continue
        if isinstance(record, ClassifiedMention):
            number = int(record.mention.native_id)
            if number >= WARM_S * RATE:
                look = bisect_right(shown[partition], offset)
                found.append(looks[look][0] - (began + number / RATE))
    return found
