"""Servers that outlive the command which started them, and those that must not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netcenter.embedded import Addresses, EmbeddedPostgres, Running, Stack, down, running
from netcenter.embedded.processes import is_ours, kill_tree
from netcenter.errors import Unreachable
from netcenter.runtime.endpoints import kafka_of, postgres_of
from netcenter.settings import Settings
from tests.support.embedded import create, eventually, read, write

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
        printed = _detach(directory)
        addresses = _addresses(directory)
        assert json.loads(printed.stdout) == {
            "kafka": addresses.kafka,
            "postgres": addresses.postgres,
            "directory": str(directory),
        }
        create(addresses)
        write(addresses, "a")
        assert read(addresses) == (["a"], ["a"])
    finally:
        stopped = down(directory)
    assert stopped
    assert not running(directory)
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
        assert not running(tmp_path)
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


def _detach(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netcenter", "up", "--detach", "--ephemeral", "--json"],
        check=False,
        env={**os.environ, "NETCENTER_DIRECTORY": str(directory)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )


def _detached(directory: Path) -> Addresses:
    _detach(directory)
    return _addresses(directory)


def _addresses(directory: Path) -> Addresses:
    found = running(directory)
    assert found.kafka is not None and found.postgres is not None
    return Addresses(found.kafka, found.postgres)


def _pid(directory: Path, server: str) -> int:
    return int(json.loads((directory / server / "server.json").read_text())["pid"])


def test_of_two_servers_the_one_that_died_is_missed_and_started_and_the_other_is_left_alone(tmp_path: Path) -> None:
    """Each is told of by itself, and why it does not run."""
    directory = tmp_path / "stack"
    try:
        first = _detached(directory)
        create(first)
        write(first, "a")
        kafka = _pid(directory, "kafka")
        kill_tree(_pid(directory, "postgres"))
        assert eventually(lambda: running(directory) == Running(first.kafka, None))
        settings = Settings(directory=directory)
        assert str(kafka_of(settings)) == first.kafka
        with pytest.raises(
            Unreachable, match="no PostgreSQL: .* ours in .* does not run: it has ended, and `netcenter up`"
        ):
            postgres_of(settings)
        assert _detached(directory) == first
        assert _pid(directory, "kafka") == kafka
        write(first, "b")
        assert read(first) == (["a", "b"], ["a", "b"])
    finally:
        down(directory)
    with pytest.raises(Unreachable, match="none of ours runs in"):
        kafka_of(settings)
