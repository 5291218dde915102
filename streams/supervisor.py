"""A small supervisor: one child process per role, each started again when it dies, all ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

import structlog

from streams.exit_codes import ExitCode

#: After this many deaths within a minute a role is started only once a minute, until it has lived for a minute.
MOST_DEATHS = 5
_WINDOW_S = 60.0
_GRACE_S = 12.0
_LONGEST_S = 5.0
#: The variable, in a child's environment, with the number of the file descriptor that takes its last words.
SUPERVISED = "NETCENTER_SUPERVISED"
_LONGEST_WORDS = 2_000


class _Child:
    """A role's process, and the history of its earlier processes."""

    def __init__(self, role: str, command: Sequence[str], env: dict[str, str]) -> None:
        self.role, self.command, self.env = role, command, env
        self.deaths: deque[float] = deque()
        self.losses = 0
        """How many times in a row the role's process ended because Kafka could not be reached."""
        self.again_at: float | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.code = 0
        """The last exit code."""
        self.often = False
        """Whether the role has died too often, so that it is started only once a minute."""
        self.worked = False
        """Whether one of the role's processes lived for a minute."""
        self._started = 0.0
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the supervisor

    def start(self) -> None:
        self.release()
        self.again_at, self._started = None, time.monotonic()
        self._words.truncate(0)
        number = self._words.fileno()
        self.process = subprocess.Popen(
            self.command, env={**self.env, SUPERVISED: str(number)}, stdin=subprocess.PIPE, pass_fds=(number,)
        )

    def release(self) -> None:
        """Closes the pipe to an ended process."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()

    def close(self) -> None:
        """Closes the pipe and the file of last words."""
        self.release()
        self._words.close()

    def lived(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self._started

    def wrong(self) -> bool:
        """Whether the role's settings are wrong and none of its processes has ever worked."""
        return self.again_at is not None and self.code == ExitCode.WRONG_USAGE and not self.worked

    def why(self) -> str:
        """Why the last process ended, in its own words where it left any."""
        words = os.pread(self._words.fileno(), _LONGEST_WORDS, 0).decode(errors="replace").strip()
        if words:
            return words
        return f"signal {-self.code}" if self.code < 0 else f"it ended with {self.code} and without a word"


def supervise(commands: Mapping[str, tuple[Sequence[str], dict[str, str]]]) -> int:
    """Runs a child per role until SIGTERM or SIGINT. Returns the exit code.

    A role that dies is started again, at longer intervals, and reported; the others go on. Exit codes: 0, all roles
    were working when the signal came; 1, a role kept dying; 2, the settings of every role were wrong from the start.

    commands: role to (argv, extra environment).
    """
    log = structlog.get_logger("netcenter")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    children = [_Child(role, argv, {**os.environ, **extra}) for role, (argv, extra) in commands.items()]
    for child in children:
        child.start()
    wrong = False
    while not (wrong or stop.wait(0.2)):
        for child in children:
            _look_after(child, log)
        wrong = all(child.wrong() for child in children)
    failing = [child.role for child in children if child.again_at is not None and child.often]
    if wrong:
        log.error("the settings of every role are wrong: mend them, and start again")
    elif failing:
        log.error("stopped while roles kept dying", roles=failing)
    _end(children, log)
    return ExitCode.WRONG_USAGE if wrong else ExitCode.FAILED if failing else ExitCode.DONE


def _look_after(child: _Child, log: structlog.typing.FilteringBoundLogger) -> None:
    now = time.monotonic()
    if child.again_at is not None:
        if now >= child.again_at:
            child.start()
        return
    ended = child.process.poll() if child.process else None
    if ended is None:
        if child.lived() >= _WINDOW_S:
            child.worked, child.often, child.losses = True, False, 0
        return
    child.code = ended
    delay = _delay(child, now)
    child.again_at = now + delay
    told = log.error if child.often else log.warning
    told(
        "a role keeps dying; the others go on, and it is started again" if child.often else "a worker died; starting it again",
        role=child.role,
        exit_code=ended,
        why=child.why(),
        after_s=round(delay, 1),
    )  # fmt: skip


def _delay(child: _Child, now: float) -> float:
    """Seconds until the role is started again."""
    if child.code == ExitCode.UNREACHABLE:  # Kafka is away: this is no death
        child.losses += 1
        return min(0.2 * 2.0 ** min(child.losses, 10), _LONGEST_S)
    child.deaths.append(now)
    while child.deaths[0] < now - _WINDOW_S:
        child.deaths.popleft()
    # Starting again quickly does not help against wrong settings.
    child.often = child.often or len(child.deaths) >= MOST_DEATHS or child.code == ExitCode.WRONG_USAGE
    return _WINDOW_S if child.often else min(0.2 * 2.0 ** len(child.deaths), _LONGEST_S)


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
    for child in children:
        child.close()


def command_of(role: str) -> list[str]:
    """The argv that runs one role in a process of its own."""
    return [sys.executable, "-m", "netcenter", "worker", role]


# --- in a child -------------------------------------------------------------------------------------------------


def last_words(text: str) -> None:
    """Gives the supervisor, if there is one, a text to log when this process ends."""
    number = os.environ.get(SUPERVISED)
    if number is None:
        return
    words = text.encode()[:_LONGEST_WORDS]
    os.pwrite(int(number), words, 0)
    os.ftruncate(int(number), len(words))


def supervised() -> bool:
    """Whether this process is a supervisor's child."""
    return SUPERVISED in os.environ


def end_with_supervisor() -> None:
    """Makes this process stop when its supervisor has ended for any reason; does nothing without a supervisor."""
    if supervised():
        threading.Thread(target=_await_its_end, name="supervisor", daemon=True).start()


def _await_its_end() -> None:
    while os.read(0, 1):
        """The supervisor never writes: the read ends when its end of the pipe is closed."""
    os.kill(os.getpid(), signal.SIGTERM)
