"""`netcenter replay` of a classified day under one policy and under two: seconds and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import past, usage
from bench.run import Run
from netcenter.files.writer import dump

_LOOK_S = 0.1


def measure(run: Run) -> dict[str, Any]:
    """Replay as many records as `--mentions` says, two thirds of them posts; the time includes reading the file."""
    file, policy = run.folder / "past.jsonl", run.folder / "past.toml"
    run.say(f"writing {run.mentions:,} classified records")
    with file.open("w") as out:
        for line in past.lines(run.mentions):
            out.write(dump(line.record) + "\n")
    policy.write_text(past.policy_text(run.mentions))
    one = _replayed(run.folder, "one", [str(file), "--policy", str(policy)])
    two = _replayed(run.folder, "two", [str(file), "--policy", str(policy), "--against", str(policy)])
    file.unlink()
    return {"records": run.mentions, "per_s": round(run.mentions / one["seconds"]), **one, "against": two}


def _replayed(folder: Path, name: str, words: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "netcenter", "replay", *words, "--out", str(folder / name)]
    log, most, started = folder / f"{name}.log", 0, time.perf_counter()
    with log.open("wb") as said:
        program = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        while program.poll() is None:
            most = max(most, usage.resident(program.pid))
            time.sleep(_LOOK_S)
    finally:
        usage.end(program)
    if program.returncode != 0:
        raise RuntimeError(f"replay ended with {program.returncode}: {log.read_text(errors='replace')[-500:]}")
    return {"seconds": round(time.perf_counter() - started, 1), "resident_mb": round(most / 2**20)}
