"""A server's process: started in a session of its own, watched, stopped, and recognised by its arguments."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from netcenter.embedded.server_errors import missing_extra

_POLL_SECONDS = 0.02


def is_ours(pid: int, argument: str) -> bool:
    """Return whether `pid` is a live process with `argument` on its command line, not another that reuses the id."""
    psutil = _psutil()
    try:
        return argument in psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # psutil raises NoSuchProcess for a zombie too
        return False


def stop_process(pid: int, argument: str, number: signal.Signals, seconds: float) -> bool:
    """Send signal `number` to `pid` if the process is ours, and SIGKILL if it still lives after `seconds`.

    Returns whether there was a process to stop.
    """
    if not is_ours(pid, argument):
        return False
    _signal(pid, number)
    deadline = time.monotonic() + seconds
    while is_ours(pid, argument) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if is_ours(pid, argument):
        kill_tree(pid)
    return True


def kill_tree(pid: int) -> None:
    """SIGKILL `pid` and all its descendants."""
    psutil = _psutil()
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    _signal(pid, signal.SIGKILL)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue  # the child ended with its parent


def _psutil() -> Any:
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError as error:
        raise missing_extra("psutil") from error
    return psutil


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # the process has just ended by itself


class Watched:
    """A child process; unless it should outlive this process, it has a watcher that signals it when this process dies.
    The watcher is a shell that reads from a pipe. Only this process holds the other end, so the pipe closes whenever
    this process dies. The kernel's parent-death signal would not do: it fires when the spawning thread ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: IO[bytes],
        directory: Path,
        environment: Mapping[str, str],
        lock: int,
        stop_signal: signal.Signals,
        outlives_us: bool,
    ) -> None:
        _psutil()  # without the watcher, the process could not be ended: do not start it
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment,
            pass_fds=(lock,),
            start_new_session=True,
        )
        self._stop_signal = stop_signal
        self._watcher: subprocess.Popen[bytes] | None = None
        if not outlives_us:
            self._watcher = subprocess.Popen(
                [
                    "sh",
                    "-c",
                    'read -r _ || kill -s "$2" "$1"',
                    "watcher",
                    str(self._process.pid),
                    stop_signal.name[3:],
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """The process id while the process runs, else None."""
        return self._process.pid if self._process.poll() is None else None

    @property
    def returncode(self) -> int | None:
        """The exit code (the negative signal number if a signal ended the process), None while it runs."""
        return self._process.poll()

    def stop(self, seconds: float) -> None:
        """Ask the process to end, and kill it if it has not ended after `seconds`."""
        if self.pid is not None:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                kill_tree(self._process.pid)
        self._end()

    def kill(self) -> None:
        """SIGKILL the process and its children."""
        if self.pid is not None:
            kill_tree(self._process.pid)
        self._end()

    def _end(self) -> None:
        self._process.wait()
        if self._watcher is not None:
            # A line tells the watcher to end; the end of the pipe without a line means that this process died.
            self._watcher.communicate(b"\n")
            self._watcher = None
