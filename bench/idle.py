"""An idle system: records and bytes a second in each topic, on the wall clock, with every role and nothing to do."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.ready import await_ready
from netcenter.embedded import EmbeddedKafka, places

#: The most seconds until the log is at rest, and the seconds between two looks.
_SETTLES_S = 240.0
_LOOK_S = 10.0
#: The most bytes of a Tick.
_TICK = 100
_YEAR_S = 365 * 24 * 3600
ROLES = ("classify", "cases", "surge", "desk", "alerts")


def measure(partitions: int, seconds: float) -> dict[str, Any]:
    """Start the deciding roles on an empty log, wait until they have settled, and compare what the broker stores at the
    beginning and at the end of a stretch of time.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = EmbeddedKafka(folder / "kafka")
        address = server.start()
        stack.callback(server.stop)
        given = {"NETCENTER_KAFKA": address, "NETCENTER_PARTITIONS": str(partitions)}
        environment = {**os.environ, **given}
        netcenter = [sys.executable, "-m", "netcenter"]
        subprocess.run(
            [*netcenter, "topics", "apply", "--clock", "wall"], env=environment, check=True, stdout=sys.stderr
        )
        workers, ports = [], [places.free_port() for _ in ROLES]
        with (folder / "log").open("wb") as log:
            for role, port in zip(ROLES, ports, strict=True):
                own = environment | {"NETCENTER_HEALTH_PORT": str(port)}
                workers.append(subprocess.Popen([*netcenter, "worker", role], env=own, stdout=log, stderr=log))
            try:
                data = folder / "kafka" / "data"
                await_ready(ports)
                rests = _settled(data, partitions)
                before, spent, began = _sizes(data), _cpu(workers), time.monotonic()
                time.sleep(seconds)
                after, spent_after, lasted = _sizes(data), _cpu(workers), time.monotonic() - began
                # A worker that has stalled writes little too.
                await_ready(ports)
                if any(worker.poll() is not None for worker in workers):
                    raise RuntimeError((folder / "log").read_text()[-4_000:])
            finally:
                for worker in workers:
                    worker.terminate()
                for worker in workers:
                    worker.wait()
    rates = {name: (after[name] - before.get(name, 0)) / lasted for name in after}
    topics = {name: round(rate) for name, rate in sorted(rates.items()) if rate >= 1}
    return {
        "partitions": partitions,
        "at rest": rests,
        "bytes a second": round(sum(rates.values())),
        "GB a year if all were kept": round(sum(rates.values()) * _YEAR_S / 1e9, 1),
        "CPU of the workers": round((spent_after - spent) / lasted, 3),
        "bytes a second by topic": topics,
    }


def _settled(data: Path, partitions: int) -> bool:
    """Whether the log is at rest: waits until there are so few Ticks, for a time at most."""
    deadline, few = time.monotonic() + _SETTLES_S, 0
    while few < 3 and time.monotonic() < deadline:
        before = _sizes(data)["mentions"]
        time.sleep(_LOOK_S)
        few = few + 1 if _sizes(data)["mentions"] - before <= 3 * _TICK * partitions else 0
    return few >= 3


def _sizes(data: Path) -> dict[str, int]:
    """Bytes of each topic's segments."""
    sizes: dict[str, int] = {}
    for file in data.glob("*/*.log"):
        topic = file.parent.name.rpartition("-")[0]
        sizes[topic] = sizes.get(topic, 0) + file.stat().st_size
    return sizes


def _cpu(workers: list[subprocess.Popen[bytes]]) -> float:
    """Seconds of CPU that the workers have used."""
    ticks = 0
    for worker in workers:
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, nargs="+", default=[4, 8, 64])
    parser.add_argument("--seconds", type=float, default=60.0)
    found = parser.parse_args()
    for count in found.partitions:
        print(json.dumps(measure(count, found.seconds)), flush=True)
