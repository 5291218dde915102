"""`make bench`: measure all parts, or the named ones, print the figures and write bench/results.json."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from bench import classifier, latency, report, same_job, stages, whole_path
from bench.run import Run
from bench.usage import Machine
from netcenter.embedded import Stack
from netcenter.embedded.java import KAFKA_VERSION
from streams.exit_codes import ExitCode
from streams.kafka_connection import KafkaConnection

RESULTS = Path(__file__).parent / "results.json"
KEYS = 1_000_000
"""Number of keys in the state that the parts `recovery` and `state` use."""


def _module(name: str) -> Any:
    """Import a part only when it is measured, because each part has dependencies of its own."""
    return importlib.import_module(f"bench.{name}")


PARTS: dict[str, tuple[str, Callable[[Run], dict[str, Any]]]] = {
    "same_job": ("the peers' job: Netcenter, Faust, quixstreams, Kafka Streams", same_job.measure),
    "avro": ("the same job on Netcenter's own records", same_job.measure_avro),
    "whole_path": ("mentions to rows in PostgreSQL", whole_path.measure),
    "tls": (
        "the peers' job and the whole path, over plaintext and over SASL_SSL",
        lambda run: _module("tls").measure(run),
    ),
    "latency": ("from produce to row, by checkpoint interval", latency.measure),
    "stages": ("each stage in process", lambda run: stages.measure()),
    "classifier": ("the classifier beside its peers, in process", lambda run: classifier.measure(classifier.story())),
    "recovery": ("state read back from its changelog", lambda run: _module("recovery").measure(run.kafka, KEYS)),
    "state": ("memory of a key's state", lambda run: _module("state").measure(KEYS)),
    "cases": (
        "the decider alone, its role over Kafka, a million open cases, breaches",
        lambda run: _module("cases").measure(run),
    ),
    "surge": ("each series, and ten thousand brands", lambda run: _module("surge").measure()),
    "rollout": ("takeover by a standby, and a rolling update", lambda run: _module("rollout").measure(run)),
    "replay": ("a day that was classified before, without Kafka", lambda run: _module("replay").measure(run)),
}


def main() -> int:
    """Run the parts and return the exit code: 1 if a part failed or counted wrongly."""
    told = "\n".join(f"  {name:<12} {what}" for name, (what, _) in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=f"parts:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="by default all, in this order")
    parser.add_argument("--mentions", type=int, default=1_000_000, help="in each flow (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="of latency at each interval (default: %(default)s)")
    given = parser.parse_args()
    unknown = sorted(set(given.parts) - PARTS.keys())
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    # SIGTERM raises SystemExit, so that this program stops the servers and workers that it has started, as after an
    # error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED))
    chosen = [name for name in PARTS if not given.parts or name in given.parts]
    results = _measured(chosen, given.mentions, given.seconds)
    report.show(results)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if _wrong(results) else 0


def _measured(chosen: list[str], mentions: int, seconds: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    before = Machine.now()
    with tempfile.TemporaryDirectory(prefix="netcenter-bench-") as folder:
        stack = Stack(Path(folder) / "servers", ephemeral=True)
        addresses = stack.start(_say)
        try:
            run = Run(
                stack, KafkaConnection(addresses.kafka), addresses.postgres, Path(folder), mentions, seconds, _say
            )
            for name in chosen:
                _say(f"{name}: {PARTS[name][0]}")
                results[name] = _part(name, run)
        finally:
            stack.stop()
    results["machine"] = _machine(before)
    return results


def _part(name: str, run: Run) -> dict[str, Any]:
    try:
        return PARTS[name][1](run)
    except Exception as error:  # noqa: BLE001 - an error in one part does not lose the figures of the others
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}


def _machine(before: Machine) -> dict[str, Any]:
    now = Machine.now()
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "stolen_s": round(now.stolen - before.stolen, 1),
        "busy_s": round(now.busy - before.busy, 1),
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _wrong(results: dict[str, Any]) -> bool:
    if any("failed" in figures for figures in results.values()):
        return True
    jobs = [*results.get("same_job", {}).values(), *results.get("avro", {}).values()]
    return any("failed" in job or job.get("counts", "right") != "right" for job in jobs)


if __name__ == "__main__":
    sys.exit(main())
