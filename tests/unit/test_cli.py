"""The command line: each fault is one clear line on stderr that names what, and an exit code that says which kind."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import structlog

from netcenter import cli
from netcenter.operate.doctor import examine
from netcenter.runtime import logs
from netcenter.settings import Settings
from streams.faust_batch import make_app
from streams.kafka_connection import KafkaConnection

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Run the command line in an empty directory: (exit code, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, **environment: str) -> tuple[int, str]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["netcenter", *words])
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return int(ended.value.code or 0), capfd.readouterr().err

    yield call
    structlog.reset_defaults()  # a worker's log goes to the stderr that is captured here, and is closed then


def lines(err: str) -> list[str]:
    """The lines of ours; a progress bar is none."""
    return [line for line in err.splitlines() if line.startswith("netcenter: ")]


def test_a_wrong_setting_is_named(run: Run) -> None:
    """Exit 2, and the variable's name and value."""
    code, err = run("lag", NETCENTER_PARTITIONS="many")
    assert code == 2
    assert len(lines(err)) == 1 and "NETCENTER_PARTITIONS" in err and "'many'" in err


@pytest.mark.parametrize("name", ["SESSION_S", "SOURCE_IDLE_S", "OFFSET_COMMIT_S"])
def test_seconds_are_finite(run: Run, name: str) -> None:
    """No timeout of Kafka is endless."""
    code, err = run("lag", **{f"NETCENTER_{name}": "inf"})
    assert code == 2 and len(lines(err)) == 1 and f"NETCENTER_{name}" in err


def test_every_number_of_the_settings_has_a_largest_value() -> None:
    """Beyond it something else would refuse it, at a place where nobody knows the setting."""
    numbers = {name: field for name, field in Settings.model_fields.items() if field.annotation in (int, float)}
    assert len(numbers) > 10
    assert [n for n, f in numbers.items() if not any(getattr(m, "le", None) is not None for m in f.metadata)] == []


@pytest.mark.parametrize("session_s", [6.0, 60.0])
def test_faust_takes_the_shortest_and_the_longest_session(session_s: float) -> None:
    """It compares its timeouts with each other, and refuses some."""
    bounds = {
        name: getattr(m, name)
        for m in Settings.model_fields["session_s"].metadata
        for name in ("ge", "le")
        if hasattr(m, name)
    }
    assert bounds == {"ge": 6, "le": 60}
    worker = Settings(session_s=session_s).worker(KafkaConnection("127.0.0.1:9"))
    given = {"session_s": session_s, "heartbeat_s": worker.heartbeat_s, "stuck_s": worker.stuck_s}
    conf = make_app("group", worker.kafka, Mock(), client="c", **given).conf
    assert conf.broker_heartbeat_interval < conf.broker_session_timeout < conf.broker_request_timeout


def test_a_source_does_not_count_as_idle_between_two_ticks(run: Run) -> None:
    code, err = run("lag", NETCENTER_TICK_S="60")
    assert code == 2 and len(lines(err)) == 1
    assert "NETCENTER_SOURCE_IDLE_S: at least NETCENTER_TICK_S is meant, 60.0 s" in err
    code, err = run("lag", NETCENTER_SOURCE_IDLE_S="0.001")
    assert code == 2 and "NETCENTER_SOURCE_IDLE_S: at least NETCENTER_TICK_S is meant, 1.0 s" in err


@contextmanager
def nowhere_to_write() -> Iterator[None]:
    """No folder for temporary files, as in a container whose file system is read-only."""

    def none(*_: object, **__: object) -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", None)
        patch.setattr(tempfile, "_get_default_tempdir", none)
        yield


@pytest.mark.parametrize("words", ["worker classify cases", "replay posts.jsonl --out told"])
def test_without_a_folder_for_temporary_files_a_line_says_what_to_mount(run: Run, tmp_path: Path, words: str) -> None:
    """Exit 2: it is no fault of ours."""
    (tmp_path / "posts.jsonl").write_text("")
    with nowhere_to_write():
        code, err = run(*words.split(), NETCENTER_KAFKA="127.0.0.1:1")
    assert (code, len(lines(err))) == (2, 1), err
    assert "no folder for temporary files can be written" in err and "TMPDIR" in err


def test_a_worker_of_one_role_needs_no_folder_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that of the system nor the current one."""
    monkeypatch.chdir(tmp_path)
    given = {"session_s": 10.0, "heartbeat_s": 0.5, "stuck_s": 30.0}
    with nowhere_to_write():
        app = make_app("group", KafkaConnection("127.0.0.1:9"), Mock(), client="c", **given)
        app._create_directories()
    assert list(tmp_path.iterdir()) == []


def test_no_broker_is_told_with_its_address(tmp_path: Path) -> None:
    """Exit 3, one line, and nothing of the client's own talk."""
    # In a process of its own: kafka-python leaves the sockets of refused connections to the garbage collector.
    ended = subprocess.run(
        [sys.executable, "-m", "netcenter", "lag"],
        env={**os.environ, "NETCENTER_KAFKA": "127.0.0.1:1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1 and "127.0.0.1:1" in ended.stderr


def test_without_a_broker_or_an_embedded_one_the_way_on_is_told(run: Run) -> None:
    """Exit 3, and the command that starts one."""
    code, err = run("topics", "apply")
    assert code == 3 and "netcenter up" in err and len(lines(err)) == 1


def test_without_a_database_the_postgres_worker_says_so(run: Run) -> None:
    """Exit 3: it names PostgreSQL, not Kafka."""
    code, err = run("worker", "postgres", NETCENTER_KAFKA="127.0.0.1:1")
    assert code == 3 and "PostgreSQL" in err and len(lines(err)) == 1


def test_an_unreadable_secret_file_is_named(run: Run) -> None:
    """Exit 2, and the variable and the file."""
    code, err = run("worker", "postgres", NETCENTER_KAFKA="127.0.0.1:1", NETCENTER_POSTGRES_FILE="/nowhere/uri")
    assert code == 2 and "NETCENTER_POSTGRES_FILE" in err and "/nowhere/uri" in err


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("lag", {"NETCENTER_KAFKA": "kafka-1"}),
        ("lag", {"NETCENTER_KAFKA": "kafka-1:9092,,kafka-2:9092"}),
        ("worker classify", {"NETCENTER_KAFKA": "kafka-1:1x"}),
        ("worker postgres", {"NETCENTER_POSTGRES": "postgres//writer:hunter2@db/netcenter"}),
        ("rebuild --yes", {"NETCENTER_POSTGRES": "postgresql://writer:hunter2%zz@db/netcenter"}),
        ("worker postgres", {"NETCENTER_POSTGRES_FILE": "empty"}),
        ("worker postgres", {"NETCENTER_POSTGRES_FILE": "binary"}),
        ("worker webhook", {"NETCENTER_WEBHOOK_URL": "hooks.example/x", "NETCENTER_WEBHOOK_SECRET": "whsec_aGk="}),
        ("worker webhook", {"NETCENTER_WEBHOOK_SECRET": "hunter2", "NETCENTER_WEBHOOK_URL": "https://hooks.example/x"}),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_and_no_secret_is_shown(
    run: Run, tmp_path: Path, command: str, given: dict[str, str]
) -> None:
    """Exit 2 and one line: it is no fault of ours, and to start again does not help."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    given = {n: str(tmp_path / v) if n.endswith("_FILE") else v for n, v in given.items()}
    code, err = run(*command.split(), **{"NETCENTER_KAFKA": "127.0.0.1:1", **given})
    assert code == 2 and len(lines(err)) == 1
    assert next(iter(given)) in err and "hunter2" not in err


def test_doctor_looks_on_where_a_setting_of_postgresql_cannot_be_read(tmp_path: Path) -> None:
    """That is one finding among others, and holds nothing of what was given."""
    wrong = {"postgres": "postgres//writer:hunter2@db/netcenter"}, {"postgres_file": tmp_path / "none"}
    for given in wrong:
        found = examine(Settings(directory=tmp_path, **given))
        [says] = [finding.message for finding in found if finding.subject == "PostgreSQL"]
        assert f"NETCENTER_{next(iter(given)).upper()}: " in says and "hunter2" not in says
        assert {finding.subject for finding in found if not finding.ok} == {"Kafka", "PostgreSQL"}


def test_a_busy_health_port_is_named(run: Run) -> None:
    """Exit 2, before any work is begun."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        code, err = run("worker", "cases", NETCENTER_KAFKA="127.0.0.1:1", NETCENTER_HEALTH_PORT=port)
    assert code == 2 and port in err and "NETCENTER_HEALTH_PORT" in err


def test_a_directory_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    """Exit 2, for `up` and for the demo."""
    (tmp_path / "file").write_text("not a directory")
    for command in ("up", "demo"):
        code, err = run(command, NETCENTER_DIRECTORY=str(tmp_path / "file"))
        assert code == 2 and str(tmp_path / "file") in err and len(lines(err)) == 1


def test_a_missing_file_is_named(run: Run) -> None:
    """Exit 2, for every command that reads one."""
    for words in (
        ["ingest", "no.jsonl"],
        ["replay", "no.csv", "--out", "o"],
        ["demo", "--input", "no.csv"],
        ["policy", "check", "no.toml"],
    ):
        code, err = run(*words)
        assert code == 2 and "no." in err and len(lines(err)) == 1, words


def test_a_wrong_line_of_a_file_is_named_with_its_field(run: Run, tmp_path: Path) -> None:
    """Exit 2: file, line, field."""
    (tmp_path / "bad.jsonl").write_text('{"type":"mention","brand":"a"}\n')
    code, err = run("replay", "bad.jsonl", "--out", "o")
    assert code == 2 and "bad.jsonl:1: channel:" in err


def test_a_wrong_policy_is_named_with_line_and_field(run: Run, tmp_path: Path) -> None:
    """Exit 2, a line for each fault."""
    (tmp_path / "p.toml").write_text('[classifier]\nmodel = "short"\n\n[surge]\nminimum = 0\n')
    code, err = run("policy", "check", "p.toml")
    assert code == 2 and "p.toml:2: classifier.model" in err and "p.toml:5: surge.minimum" in err


def test_a_wrong_map_or_duration_is_named(run: Run, tmp_path: Path) -> None:
    """Exit 2, and the option."""
    (tmp_path / "a.jsonl").write_text("")
    code, err = run("ingest", "a.jsonl", "--map", "brand")
    assert code == 2 and "--map" in err
    code, err = run("replay", "a.jsonl", "--out", "o", "--run-on", "3x")
    assert code == 2 and "--run-on" in err


def test_an_output_folder_that_cannot_be_made_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    """Exit 2: to run it again does not help, and the line says where."""
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "taken").write_text("")
    code, err = run("replay", "a.jsonl", "--out", "taken")
    assert code == 2 and "taken" in err and "--out" in err


def test_unknown_commands_options_and_roles_are_wrong_usage(run: Run) -> None:
    """Exit 2."""
    assert run("nosuch")[0] == 2
    assert run("lag", "--nosuch")[0] == 2
    code, err = run("worker", "nosuch")
    assert code == 2 and "classify" in err


def test_the_webhook_role_wants_its_address_and_secret(run: Run) -> None:
    """Exit 2, and both variables."""
    code, err = run("worker", "webhook", NETCENTER_KAFKA="127.0.0.1:1")
    assert code == 2 and "NETCENTER_WEBHOOK_URL" in err and "NETCENTER_WEBHOOK_SECRET" in err


def test_a_worker_names_the_variables_that_are_no_settings(run: Run) -> None:
    """One of an older release or a misspelt one: without a word the default would hold instead."""
    given = {"NETCENTER_SILENCE_S": "30", "NETCENTER_PARTITONS": "4", "NETCENTER_IDLE_S": "1"}
    _, err = run("worker", "webhook", NETCENTER_KAFKA="127.0.0.1:1", **given)
    assert all(err.count(name) == 1 for name in ("NETCENTER_SILENCE_S", "NETCENTER_PARTITONS"))
    assert "NETCENTER_IDLE_S" not in err and "docs/settings.md" in err


def test_what_is_wrong_is_told_to_a_supervisor_too(run: Run, tmp_path: Path) -> None:
    """By the command line and by an error in the log; the last one counts."""
    with (tmp_path / "words").open("w+b") as words:
        given = str(words.fileno())
        run("lag", NETCENTER_PARTITIONS="many", NETCENTER_SUPERVISED=given)
        assert b"NETCENTER_PARTITIONS" in (tmp_path / "words").read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NETCENTER_SUPERVISED", given)
            logs.set_up("info")
            log = structlog.get_logger("netcenter")
            log.error("worker failed", why="the disk is full")
            log.warning("stopping")
    assert (tmp_path / "words").read_bytes() == b"worker failed: the disk is full"
