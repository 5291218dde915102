"""`netcenter replay` of a day of classified records, under one policy and under two: seconds and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import past
from bench.run import Run
from schemas import files
from schemas.records import ClassifiedMention

GATES = {"seconds": 60}


def measure(run: Run) -> dict[str, Any]:
    """Of so many records from the command's start to its end; the second policy halves the targets of an hour."""
    past_file, now, other = (run.folder / name for name in ("past.jsonl", "now.toml", "next.toml"))
    run.say(f"writing {run.mentions:,} classified records")
    kept = write(past_file, now, run.mentions)
    other.write_text(now.read_text().replace('target = "60m"', 'target = "30m"'))
    alone = _replayed(run, past_file, "--policy", str(now))
    run.say(f"one policy: {alone}")
    both = _replayed(run, past_file, "--policy", str(now), "--against", str(other))
    summary = json.loads((run.folder / "replayed" / "now" / "summary.json").read_text())
    if summary["mentions"] != kept:
        raise RuntimeError(f"{summary['mentions']} posts of {kept} were replayed")
    return {
        "records": run.mentions,
        "posts": kept,
        "file_mb": round(past_file.stat().st_size / 2**20),
        **alone,
        **{f"two_policies_{name}": value for name, value in both.items()},
        "cases": summary["cases"],
        "breaches": summary["breaches"],
        "asked": GATES,
    }


def write(file: Path, policy: Path, count: int) -> int:
    """A day of so many records and the policy for it; how many of them are posts that differ."""
    policy.write_text(past.policy_text(count))
    posts = set()
    with file.open("w") as out:
        for line in past.lines(count):
            out.write(files.dump(line.record) + "\n")
            if isinstance(line.record, ClassifiedMention):
                posts.add(line.record.mention.id)
    return len(posts)


def _replayed(run: Run, file: Path, *policies: str) -> dict[str, float]:
    """Seconds from start to end, CPU seconds, and the most MiB resident."""
    command = [sys.executable, "-m", "netcenter", "replay", str(file), *policies, "--out", str(run.folder / "replayed")]
    log = run.folder / "replay.log"
    began = time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"replay ended with {process.returncode}: {log.read_text()[-2000:]}")
    return {
        "seconds": round(seconds, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "resident_mb": round(used.ru_maxrss / 1024),
    }
