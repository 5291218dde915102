"""The workers of the demo: one process each under a supervisor, and whether they still make progress."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import Any

from netcenter.errors import CommandError
from streams.supervisor import command_of

#: Seconds without any progress after which the demo fails, on a machine that has nothing else to do.
_PATIENCE_S = 120.0
_SHOWN = 8
"""The number of log lines that an error shows."""


class Workers:
    """The processes of the workers under one supervisor. They go on running after this process unless `end` is called."""

    def __init__(self, log: Path, environment: Mapping[str, str], role: str = "all") -> None:
        """log: the file that their output goes to. environment: variables in addition to those of this process.

        role: the argument of `netcenter worker`.
        """
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command_of(role),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._seen = 0
        self._moved_at = time.monotonic()
        self._sign: Hashable = None

    @property
    def pid(self) -> int:
        """The process id of the supervisor."""
        return self._process.pid

    def check(self) -> None:
        """Raises CommandError when the supervisor has ended, or a role keeps dying; with the last lines of the log."""
        if self._process.poll() is not None:
            raise CommandError(f"the workers ended (exit {self._process.returncode}){self._end_of_log(())}")
        size = self.log.stat().st_size
        if size > self._seen:
            with self.log.open("rb") as log:
                log.seek(self._seen)
                lines = log.read(size - self._seen).decode(errors="replace").splitlines()
            self._seen = size
            for line in map(_parsed, lines):
                if line.get("event", "").startswith("a role keeps dying"):
                    raise CommandError(f"{line['role']} keeps dying: {line['why']}{self._end_of_log((line['role'],))}")

    def check_progress(self, sign: Hashable, what: str, roles: Collection[str]) -> None:
        """Call it repeatedly while the demo waits. Raises CommandError after two minutes without progress.

        sign: any value that changes with progress; new lines in the log count as progress too.
        what, roles: for the message. On a machine with more work than cores the two minutes grow by the load per core.
        """
        self.check()
        now, signs = time.monotonic(), (self._seen, sign)
        patience = _PATIENCE_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        if signs != self._sign:
            self._moved_at, self._sign = now, signs
        elif now - self._moved_at > patience:
            raise CommandError(
                f"{what}, and nothing has moved for {patience:.0f} s: {', '.join(roles)}{self._end_of_log(roles)}"
            )

    def _end_of_log(self, roles: Collection[str]) -> str:
        """The last log lines of these roles; if there are none, the last lines of all roles."""
        lines = self.log.read_text(errors="replace").splitlines()
        theirs = [line for line in lines if _parsed(line).get("role") in roles] or lines
        if not theirs:
            return f"; they have said nothing: {self.log} is empty"
        return "\n".join([f"; the end of {self.log}:", *theirs[-_SHOWN:]])

    def end(self) -> None:
        """Ends the workers with SIGTERM, and after 20 s with SIGKILL."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _parsed(line: str) -> dict[str, Any]:
    """A line of the log as a mapping; empty where the line is not a JSON object."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
