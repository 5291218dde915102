"""Servers that outlive the command which started them, and those that must not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from netcenter.embedded import EmbeddedPostgres, Stack, down, running
from netcenter.embedded.processes import is_ours
from tests.embedded.helpers import create, eventually, read, write

_DETACH = "import sys; from pathlib import Path; from netcenter.embedded import detach; print(detach(Path(sys.argv[1]), ephemeral=True))"

_DIE = """
import os, signal, sys
from pathlib import Path
from netcenter.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _python(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-c", code, str(directory)],
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )


def test_detached_servers_outlive_their_command_and_down_stops_and_deletes_them(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    try:
        printed = _python(_DETACH, directory)
        addresses = running(directory)
        assert printed.stdout.strip() == repr(addresses)
        assert addresses is not None
        create(addresses)
        write(addresses, "a")
        assert read(addresses) == (["a"], ["a"])
    finally:
        stopped = down(directory)
    assert stopped
    assert running(directory) is None
    assert not directory.exists()
    assert not down(directory)


def test_a_stale_record_is_no_server_and_the_stranger_with_its_pid_lives(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        stack = Stack(tmp_path)
        for server in (stack.kafka, stack.postgres):
            server.directory.mkdir()
            record = {"port": 1, "controller_port": 2, "pid": stranger.pid, "outlives": True}
            (server.directory / "server.json").write_text(json.dumps(record))
        assert running(tmp_path) is None
        assert not down(tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_ends_when_the_program_that_started_it_is_killed(tmp_path: Path) -> None:
    died = _python(_DIE, tmp_path)
    assert died.returncode == -signal.SIGKILL
    pid = int(died.stdout)
    assert eventually(lambda: not is_ours(pid, str(tmp_path / "data")))
    again = EmbeddedPostgres(tmp_path)
    again.start()
    again.stop()
