"""The base of both servers: lock the directory, start and wait until the server answers, stop, kill."""

import errno
import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from netcenter.embedded import places
from netcenter.embedded.processes import Watched, is_ours, stop_process
from netcenter.embedded.server_errors import EmbeddedError
from streams.exit_codes import ExitCode

_POLL_SECONDS = 0.03
#: The longest wait for a server that hangs or is slow on a busy machine; a server that ends is reported at once.
_START_SECONDS = 300.0
_STOP_SECONDS = 20.0
_LOCK_SECONDS = 10.0
_ENDING_SECONDS = 2.0
#: The text with which both servers report a full disk; the number of last log lines to search for it; and the bytes
#: that a server needs to start.
_NO_SPACE, _LOOKED_AT = os.strerror(errno.ENOSPC), 200
_LEAST_FREE = 16 << 20
_FAULTS = (" ERROR ", " FATAL ", "FATAL: ", "PANIC: ", "Exception", "OutOfMemory")


class Server(ABC):
    """One server with its own directory."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, directory: Path, *, outlives_us: bool = False) -> None:
        self.directory = Path(directory).absolute()
        self._outlives_us = outlives_us
        self._memory = self.directory / "server.json"
        self._lock_file = self.directory / "lock"
        self._process: Watched | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the server runs as our child, else None."""
        return None if self._process is None else self._process.pid

    def start(self) -> str:
        """Start the server, with the port and data of the last start if there was one, and return its address.

        Returns when the server answers a request. Raises EmbeddedError if it does not within five minutes, with the
        end of its log; if the directory cannot be written or is in use, or a port is taken (exit code 2).
        """
        places.prepare(self.directory)
        lock = self._lock()
        try:
            values = self._prepare(places.recall(self._memory), lock)
            process = self._process = self._spawn(self._command(values), lock)
        except OSError as error:
            raise EmbeddedError(f"{self.name} cannot be started in {self.directory}: {self._disk(error)}") from error
        finally:
            os.close(lock)
        try:
            places.remember(self._memory, {**values, "pid": process.pid, "outlives": self._outlives_us})
            self._wait_until_it_answers(process, values)
        except BaseException:
            self.kill()
            raise
        return self._address(values)

    def stop(self) -> None:
        """Shut the server down; kill it if it still runs after 20 seconds. Does nothing if it does not run."""
        if self._process is not None:
            self._process.stop(_STOP_SECONDS)
            self._wait_until_unlocked()

    def kill(self) -> None:
        """SIGKILL the server and its children. Does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._wait_until_unlocked()

    def stop_left_running(self) -> bool:
        """Stop the server which another process left running in this directory. Returns whether there was one."""
        pid = self._left_running()
        if pid is None or not stop_process(pid, self._own_argument(), self.stop_signal, _STOP_SECONDS):
            return False
        self._wait_until_unlocked()
        places.remember(self._memory, {**places.recall(self._memory), "outlives": False})
        return True

    def address_left_running(self) -> str | None:
        """Return the address of the server that another process left running in this directory, if it answers."""
        values = places.recall(self._memory)
        if self._left_running() is None or not self._answers(values):
            return None
        return self._address(values)

    def ended_because(self) -> str | None:
        """Return why a server that was left running here has ended; None if there was none or it was stopped."""
        if places.recall(self._memory).get("outlives") is not True or self._left_running() is not None:
            return None
        return self._full() or (
            f"it has ended, and `netcenter up` starts it again; the last fault in {self.directory}: {self._last_fault()}"
        )

    def process_left_running(self) -> int | None:
        """Return the process id of the server that another process left running here, whether it answers or not."""
        return self._left_running()

    def delete(self) -> None:
        """Delete the directory; does nothing if a server uses it or it does not exist."""
        if self.directory.is_dir() and (lock := places.lock(self._lock_file)) is not None:
            shutil.rmtree(self.directory)
            os.close(lock)

    def _left_running(self) -> int | None:
        values = places.recall(self._memory)
        pid = values.get("pid")
        if not isinstance(pid, int) or values.get("outlives") is not True:
            return None
        return pid if is_ours(pid, self._own_argument()) else None

    def _spawn(self, command: list[str], lock: int) -> Watched:
        try:
            with (self.directory / "console.log").open("wb") as output:
                return Watched(
                    command,
                    output=output,
                    directory=self.directory,
                    environment=self._environment(),
                    lock=lock,
                    stop_signal=self.stop_signal,
                    outlives_us=self._outlives_us,
                )
        except OSError as error:
            raise EmbeddedError(f"cannot run {command[0]} in {self.directory}: {error.strerror}") from error

    @abstractmethod
    def _prepare(self, remembered: dict[str, Any], lock: int) -> dict[str, Any]:
        """Create the data if it does not exist, check the ports, and return the values to remember. The caller holds
        the lock.
        """

    @abstractmethod
    def _command(self, values: dict[str, Any]) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def _environment(self) -> dict[str, str]:
        """Return the environment variables of the server's process."""

    @abstractmethod
    def _own_argument(self) -> str:
        """Return an argument of the command that no other process has: a path in this directory."""

    @abstractmethod
    def _answers(self, values: dict[str, Any]) -> bool:
        """Return whether the server answers a request now."""

    @abstractmethod
    def _address(self, values: dict[str, Any]) -> str:
        """Return the address that clients connect to."""

    def _logs(self) -> list[Path]:
        return [self.directory / "console.log"]

    def _lock(self) -> int:
        # A server whose program was killed a moment ago may still be ending.
        lock = places.lock_within(self._lock_file, _ENDING_SECONDS)
        if lock is None:
            pid = places.recall(self._memory).get("pid", "unknown")
            raise EmbeddedError(
                f"the directory {self.directory} is used by a {self.name} that runs (pid {pid}); stop that one"
                " (netcenter down, if it was started with --detach) or choose another directory",
                exit_code=ExitCode.WRONG_USAGE,
            )
        return lock

    def _wait_until_unlocked(self) -> None:
        """Wait until the lock is free: children of a killed server may live a moment longer, and block a new start."""
        lock = places.lock_within(self._lock_file, _LOCK_SECONDS)
        if lock is None:
            raise EmbeddedError(f"processes of the stopped {self.name} still use {self.directory}; end them")
        os.close(lock)

    def _wait_until_it_answers(self, process: Watched, values: dict[str, Any]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers(values):
            if process.pid is None:
                raise self._failed(f"ended at once with code {process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"does not answer after {_START_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _failed(self, how: str) -> EmbeddedError:
        full = self._full()
        return EmbeddedError(
            f"{self.name} {how}"
            + (f": {full}" if full else f"; see the logs in {self.directory}, which end with: {self._last_lines()}")
        )

    def _last_fault(self) -> str:
        lines = [line for log in self._logs() for line in places.tail(log, _LOOKED_AT)]
        return next(
            (line for line in reversed(lines) if any(word in line for word in _FAULTS)), "none, so it was killed"
        )

    def _last_lines(self) -> str:
        return " | ".join(line for log in self._logs() for line in places.tail(log, 5)) or "empty"

    def _full(self, *more: str) -> str | None:
        """Return a message if the disk is full, or was full when the server ended; else None. more: further lines that it said."""
        said = any(_NO_SPACE in line for log in self._logs() for line in (*places.tail(log, _LOOKED_AT), *more))
        free = places.free_bytes(self.directory)
        if not said and free >= _LEAST_FREE:
            return None
        return f"the disk of {self.directory} is full, or was ({free >> 20} MB are free now): make room, then `netcenter up`"

    def _disk(self, error: OSError) -> str:
        return self._full() or error.strerror or str(error)
