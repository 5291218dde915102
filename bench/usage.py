"""What processes use: CPU and memory with all their threads and children, and what the machine was kept from."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

_STOP_S = 20.0


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, its living children and those that it has reaped."""
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile, and is its parent's to count
        total += times.user + times.system
        # Only the topmost counts what was reaped: a child's own are rare, and a dying one would be counted twice.
        if process.pid == pid:
            total += times.children_user + times.children_system
    return total


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold resident."""
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
    """That the host gave to others."""
    busy: float

    @classmethod
    def now(cls) -> Machine:
        """Read it."""
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
        return cls(getattr(times, "steal", 0.0), busy)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process of ours to end, and kill it with its children if it does not."""
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
