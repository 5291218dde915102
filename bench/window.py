"""Measures a program from outside while its output grows: rate, CPU and memory in a steady window."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import usage

WARM = 0.2
"""Share of the output at which the window begins."""
DONE = 0.97
"""Share of the output at which the window ends."""
_LOOK_S = 0.05
_START_S = 90.0
_WINDOW_S = 240.0
_DRAIN_S = 30.0
_QUIET_S = 1.5


class Ended(RuntimeError):
    """The program failed; the message holds the end of its log."""


class Seen(msgspec.Struct, frozen=True):
    """The figures of a window."""

    per_s: int
    """mentions/s"""
    cpu_us: float
    """CPU of the program with its threads and children, us a mention"""
    resident_mb: int
    """the highest resident memory, MiB"""
    broker_cpu_us: float
    """CPU of Kafka's process, us a mention"""
    others_cores: float
    """cores that all other processes used in the window, the measuring process included"""
    stolen_cores: float
    """cores that the host gave to other guests"""
    mentions: int
    """mentions in the window"""
    seconds: float


@dataclass(frozen=True)
class _Look:
    at: float
    out: int
    cpu: float
    broker: float
    machine: usage.Machine


class Watch:
    """Observes one program."""

    def __init__(self, program: subprocess.Popen[bytes], log: Path, broker: int, out: Callable[[], int]) -> None:
        """out: returns how many records the program has written so far."""
        self.program, self.log, self.broker, self.out = program, log, broker, out
        self._most = 0

    def window(self, target: int) -> Seen:
        """Measure from a fifth of the `target` output to nearly all of it. Raises Ended."""
        first = self._until(int(target * WARM), _START_S)
        last = self._until(int(target * DONE), _WINDOW_S)
        seconds, count = last.at - first.at, last.out - first.out
        ours, brokers = last.cpu - first.cpu, last.broker - first.broker
        busy = last.machine.busy - first.machine.busy
        return Seen(
            per_s=round(count / seconds),
            cpu_us=round(ours / count * 1e6, 2),
            resident_mb=round(self._most / 2**20),
            broker_cpu_us=round(brokers / count * 1e6, 2),
            others_cores=round(max(0.0, busy - ours - brokers) / seconds, 2),
            stolen_cores=round((last.machine.stolen - first.machine.stolen) / seconds, 2),
            mentions=count,
            seconds=round(seconds, 1),
        )

    def drained(self, total: int) -> None:
        """Wait until the whole output is written and does not grow for a while. Raises Ended."""
        deadline, still, before = time.monotonic() + _DRAIN_S, time.monotonic(), -1
        while True:
            look = self._look()
            if look.out != before:
                still, before = time.monotonic(), look.out
            if look.out >= total and time.monotonic() - still >= _QUIET_S:
                return
            if time.monotonic() > deadline:
                raise Ended(f"{look.out} of {total} came out: {self._end_of_log()}")
            time.sleep(_LOOK_S)

    def _until(self, out: int, seconds: float) -> _Look:
        deadline = time.monotonic() + seconds
        while True:
            look = self._look()
            if look.out >= out:
                return look
            if time.monotonic() > deadline:
                raise Ended(f"{look.out} of {out} mentions came out within {seconds:.0f} s: {self._end_of_log()}")
            time.sleep(_LOOK_S)

    def _look(self) -> _Look:
        if self.program.poll() is not None:
            raise Ended(f"ended with {self.program.returncode}: {self._end_of_log()}")
        out = self.out()
        self._most = max(self._most, usage.resident(self.program.pid))
        return _Look(
            time.perf_counter(),
            out,
            usage.cpu_s(self.program.pid),
            usage.cpu_s(self.broker),
            usage.Machine.now(),
        )

    def _end_of_log(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])
