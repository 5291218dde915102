"""CPU and memory of processes with their threads and children, and CPU time that the host took from the machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

_STOP_S = 20.0


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, its living children and its reaped children."""
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # the child has just ended; its CPU time counts for its parent
        total += times.user + times.system
        # Only the process itself counts reaped children: a child rarely has any, and a dying child would be counted twice.
        if process.pid == pid:
            total += times.children_user + times.children_system
    return total


def resident(pid: int) -> int:
    """Return the resident bytes of a process and its children."""
    total = 0
    for process in _tree(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _tree(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@dataclass(frozen=True)
class Machine:
    """CPU seconds of the whole machine since it started."""

    stolen: float
    """CPU seconds that the host gave to other guests."""
    busy: float

    @classmethod
    def now(cls) -> Machine:
        """Return the figures of this moment."""
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
        return cls(getattr(times, "steal", 0.0), busy)


def end(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to a process of the benchmark; kill it with its children if it does not end."""
    if process.poll() is not None:
        return
    children = _tree(process.pid)[1:]
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        if child.is_running():
            child.kill()
