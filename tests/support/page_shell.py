"""Runs the shell blocks of a page verbatim, in order, in one bash; `netcenter` and `kubectl` are answered by this process."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from tests.support.command_line import command

_PATIENCE_S = 150.0
NOT_RUN = "# Not run by the test: "
"""Begins the first line of a block that the test leaves out; the reason follows."""
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_STUB = """#!{python} -SE
import json, os, socket, sys
given = sys.stdin.read() if "-" in sys.argv[1:] else ""
told = {{"words": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ), "given": given}}
with socket.socket(socket.AF_UNIX) as to:
    to.connect({address!r})
    to.sendall(json.dumps(told).encode())
    to.shutdown(socket.SHUT_WR)
    code, out, err = json.loads(b"".join(iter(lambda: to.recv(65536), b"")))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
Answer = tuple[int, str, str]
"""Exit code, standard output, standard error."""


def blocks(page: str) -> list[str]:
    """The blocks of a page that are marked `sh`."""
    return [dedent(block) for _, block in _BLOCK.findall(page)]


def to_run(page: str) -> list[str]:
    """The blocks that the test runs."""
    return [block for block in blocks(page) if not block.startswith(NOT_RUN)]


@dataclass
class PageShell:
    """One bash. kubectl: answers (words, folder, standard input)."""

    folder: Path
    kubectl: Callable[[list[str], Path, str], str]
    path: list[Path] = field(default_factory=list)
    """Folders of further programs."""
    said: list[tuple[str, Answer]] = field(default_factory=list)
    """Each command of netcenter, and how it ended."""

    def run(self, script: Iterable[str], environment: Mapping[str, str]) -> str:
        """Run blocks one after the other; the first command that fails ends them. Returns all that they print."""
        self.folder.mkdir(parents=True, exist_ok=True)
        programs = self.folder.parent / "programs"
        programs.mkdir(exist_ok=True)
        address = str(programs / "answers")
        for name in ("netcenter", "kubectl"):
            (programs / name).write_text(_STUB.format(python=sys.executable, address=address))
            (programs / name).chmod(0o755)
        told = "\n".join(["set -euo pipefail", *script])
        path = os.pathsep.join([str(programs), *map(str, self.path), os.environ["PATH"]])
        with socket.socket(socket.AF_UNIX) as server, (programs / "output").open("w+") as output:
            server.bind(address)
            server.listen()
            server.settimeout(0.1)
            bash = subprocess.Popen(
                ["bash", "-c", told],
                cwd=self.folder,
                env={**os.environ, **environment, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            try:
                deadline = time.monotonic() + _PATIENCE_S
                while bash.poll() is None and time.monotonic() < deadline:
                    self._answer_one(server)
            finally:
                bash.kill()
                bash.wait()
            output.seek(0)
            printed = output.read()
        assert bash.returncode == 0, printed
        return printed

    def _answer_one(self, server: socket.socket) -> None:
        """Answers the next command, if one comes soon."""
        try:
            asked, _ = server.accept()
        except TimeoutError:
            return
        with asked:
            asked.setblocking(True)
            told = json.loads(b"".join(iter(lambda: asked.recv(65536), b"")))
            asked.sendall(json.dumps(self._answer(**told)).encode())

    def _answer(self, words: list[str], folder: str, environment: dict[str, str], given: str) -> Answer:
        program, *words = words
        if Path(program).name == "kubectl":
            return 0, self.kubectl(words, Path(folder), given), ""
        answer = command(Path(folder), environment, *words)
        self.said.append((" ".join(words), answer))
        return answer
