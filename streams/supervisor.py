"""A small supervisor: one child process per role, restarted with backoff, all ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

#: A child that dies more often than this within a minute takes all down: something is wrong that a restart won't mend.
MOST_RESTARTS = 5
_WINDOW_S = 60.0
_GRACE_S = 12.0
#: Exit code of a worker that lost Kafka: it waits for it at its next start, so such restarts are not counted.
_LOST_KAFKA = 3
_WRONG_SETTINGS = 2


class _Child:
    def __init__(self, role: str, command: Sequence[str], env: dict[str, str]) -> None:
        self.role, self.command, self.env = role, command, env
        self.deaths: deque[float] = deque()
        self.again_at: float | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.again_at = None
        self.process = subprocess.Popen(self.command, env=self.env)


def supervise(commands: Mapping[str, tuple[Sequence[str], dict[str, str]]]) -> int:
    """Run a child per role until told to stop (SIGTERM, SIGINT) or one cannot be kept alive; the exit code.

    commands: role to (argv, extra environment).
    """
    log = structlog.get_logger("netcenter")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    children = [_Child(role, argv, {**os.environ, **extra}) for role, (argv, extra) in commands.items()]
    for child in children:
        child.start()
    code = 0
    while not stop.is_set() and code == 0:
        for child in children:
            code = code or _look_after(child, log)
        stop.wait(0.2)
    _end(children, log)
    return code


def _look_after(child: _Child, log: structlog.typing.FilteringBoundLogger) -> int:
    now = time.monotonic()
    if child.again_at is not None:
        if now >= child.again_at:
            child.start()
        return 0
    ended = child.process.poll() if child.process else None
    if ended is None:
        return 0
    if ended == _WRONG_SETTINGS:
        log.error("a worker's settings are wrong; all stop", role=child.role, exit_code=ended)
        return ended
    if ended != _LOST_KAFKA:
        child.deaths.append(now)
    while child.deaths and child.deaths[0] < now - _WINDOW_S:
        child.deaths.popleft()
    if len(child.deaths) > MOST_RESTARTS:
        log.error("a worker died too often; all stop", role=child.role, deaths=len(child.deaths), exit_code=ended)
        return 1
    delay = min(0.2 * 2 ** len(child.deaths), 5.0)
    log.warning("a worker died; starting it again", role=child.role, exit_code=ended, after_s=round(delay, 1))
    child.again_at = now + delay
    return 0


def _end(children: list[_Child], log: structlog.typing.FilteringBoundLogger) -> None:
    alive = [c.process for c in children if c.process is not None and c.process.poll() is None]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + _GRACE_S
    for process in alive:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("a worker did not stop in time and was killed", pid=process.pid)
            process.kill()
            process.wait()


def command_of(role: str) -> list[str]:
    """argv that runs one role in a process of its own."""
    return [sys.executable, "-m", "netcenter", "worker", role]
