"""The demo's workers: all of them under a supervisor, their log, and whether they go on."""

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

#: Seconds for which nothing may happen on a machine that has nothing else to do.
_PATIENCE_S = 120.0
_SHOWN = 8
"""Lines of the log that are shown of what went wrong."""


class Workers:
    """A process each, under one supervisor; they outlive us unless they are ended."""

    def __init__(self, log: Path, given: Mapping[str, str]) -> None:
        """given: environment beside our own."""
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command_of("all"),
                env={**os.environ, **given},
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
        """Of the supervisor."""
        return self._process.pid

    def check(self) -> None:
        """Raises CommandError when they have ended, or a role keeps dying."""
        if self._process.poll() is not None:
            raise CommandError(f"the workers ended (exit {self._process.returncode}){self._told(())}")
        size = self.log.stat().st_size
        if size > self._seen:
            with self.log.open("rb") as log:
                log.seek(self._seen)
                lines = log.read(size - self._seen).decode(errors="replace").splitlines()
            self._seen = size
            for line in map(_parsed, lines):
                if line.get("event", "").startswith("a role keeps dying"):
                    raise CommandError(f"{line['role']} keeps dying: {line['why']}{self._told((line['role'],))}")

    def await_sign(self, sign: Hashable, what: str, roles: Collection[str]) -> None:
        """Called again and again while something is awaited, with a sign that changes while it comes nearer.

        what: said of roles when nothing has moved for two minutes, which raises CommandError; on a machine whose cores
        are asked for many times over it may take so many times as long.
        """
        self.check()
        now, signs = time.monotonic(), (self._seen, sign)
        patience = _PATIENCE_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        if signs != self._sign:
            self._moved_at, self._sign = now, signs
        elif now - self._moved_at > patience:
            raise CommandError(
                f"{what}, and nothing has moved for {patience:.0f} s: {', '.join(roles)}{self._told(roles)}"
            )

    def _told(self, roles: Collection[str]) -> str:
        """The last lines of these roles, or of all."""
        lines = self.log.read_text(errors="replace").splitlines()
        theirs = [line for line in lines if _parsed(line).get("role") in roles] or lines
        if not theirs:
            return f"; they have said nothing: {self.log} is empty"
        return "\n".join([f"; the end of {self.log}:", *theirs[-_SHOWN:]])

    def end(self) -> None:
        """Stop them in good order."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _parsed(line: str) -> dict[str, Any]:
    """A line of the log; what is none of ours says nothing."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
