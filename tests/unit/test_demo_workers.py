"""The demo's workers: waited for while anything moves, and told of by their own last lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netcenter.demo import run as demo
from netcenter.demo import worker_processes as demo_workers
from netcenter.demo.own_environment import environment, of_other_servers
from netcenter.demo.worker_processes import Workers
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings, variable
from tests.support.waiting import until

Begin = Callable[[list[dict[str, Any]], str], Workers]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Begin]:
    """A supervisor that logs these lines, and then lives or ends."""
    found: list[Workers] = []

    def start(said: list[dict[str, Any]], then: str) -> Workers:
        text = "".join(json.dumps(line) + "\n" for line in said)
        program = f"import sys, time; sys.stderr.write({text!r}); sys.stderr.flush(); {then}"
        monkeypatch.setattr(demo_workers, "command_of", lambda _: [sys.executable, "-c", program])
        found.append(Workers(tmp_path / "demo-workers.log", {}))
        until(lambda: found[-1].log.read_text() == text, 20, "it has said all")
        return found[-1]

    yield start
    for workers in found:
        workers.end()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Each look at it is 50 s later."""
    time = SimpleNamespace(now=0.0, load=0.5)

    def monotonic() -> float:
        time.now += 50
        return float(time.now)

    time.monotonic = monotonic
    monkeypatch.setattr(demo_workers, "time", time)
    monkeypatch.setattr("os.getloadavg", lambda: (time.load, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    return time


_LIVES = "time.sleep(600)"


def _wait_for_ever(workers: Workers, what: str, role: str) -> None:
    while True:
        workers.check_progress(39, what, [role])


def test_they_are_waited_for_while_anything_moves(begin: Begin, clock: SimpleNamespace) -> None:
    """Far longer than two minutes, and not a moment longer once nothing does."""
    workers = begin([{"event": "worker started", "role": "cases"}, {"event": "other", "role": "desk"}], _LIVES)
    for sign in range(40):
        workers.check_progress(sign, "these roles have no worker", ["cases"])
    assert clock.now > 2_000
    with pytest.raises(CommandError) as told:
        _wait_for_ever(workers, "these roles have no worker", "cases")
    assert clock.now < 2_400
    first, *rest = str(told.value).splitlines()
    assert first.startswith("these roles have no worker, and nothing has moved for 120 s: cases; the end of ")
    assert [json.loads(line)["role"] for line in rest] == ["cases"]


def test_a_machine_with_much_else_to_do_is_given_as_much_more_time(begin: Begin, clock: SimpleNamespace) -> None:
    """Two cores for which 20 processes wait: ten times as long."""
    clock.load = 20.0
    workers = begin([], _LIVES)
    with pytest.raises(CommandError, match="nothing has moved for 1200 s"):
        _wait_for_ever(workers, "these roles have no worker", "cases")
    assert clock.now > 1_200


def test_an_empty_log_is_not_pointed_to(begin: Begin, clock: SimpleNamespace) -> None:
    """It is said that it is empty."""
    workers = begin([], _LIVES)
    with pytest.raises(CommandError, match="they have said nothing: .*demo-workers.log is empty"):
        _wait_for_ever(workers, "not all was read", "surge")


def test_a_role_that_keeps_dying_is_told_at_once(begin: Begin) -> None:
    """With its reason, and its own lines only."""
    said = [
        {"event": "worker started", "role": "alerts"},
        {"event": "worker failed", "role": "webhook", "why": "no secret"},
        {"event": "a role keeps dying; the others go on, and it is started again", "role": "webhook", "why": "no secret"},
    ]  # fmt: skip
    workers = begin(said, _LIVES)
    with pytest.raises(CommandError) as told:
        workers.check()
    first, *rest = str(told.value).splitlines()
    assert first.startswith("webhook keeps dying: no secret")
    assert [json.loads(line)["role"] for line in rest] == ["webhook", "webhook"]


def test_workers_that_ended_are_told_with_their_last_lines(begin: Begin) -> None:
    workers = begin([{"event": f"line {n}"} for n in range(20)], "sys.exit(2)")

    def ended() -> str:
        try:
            workers.check()
        except CommandError as error:
            return str(error)
        return ""

    told = until(ended, 20, "the end is seen")
    assert "the workers ended (exit 2)" in told and "line 19" in told and "line 5" not in told


def test_workers_of_a_demo_that_was_killed_are_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would look for a Kafka that has gone, for ever; of a demo that ends by itself nothing is left to end."""
    monkeypatch.setenv("NETCENTER_DIRECTORY", str(tmp_path))
    servers = SimpleNamespace(start=lambda _: None, stop=lambda: None)
    monkeypatch.setattr(demo, "embedded", SimpleNamespace(running=lambda _: None, Stack=lambda *_, **__: servers))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "netcenter"]) as left:
        running = SimpleNamespace(pid=left.pid, log="log", end=lambda: None)
        monkeypatch.setattr(demo, "Workers", lambda *_: running)
        killed = ExitStack()
        demo.Demo(inputs=None, keep=True, as_json=True)._workers(killed, Settings())
        with ExitStack() as stack:
            again = demo.Demo(inputs=None, keep=False, as_json=True)
            again._servers(stack)
            assert left.wait(10) == -signal.SIGTERM
            again._workers(stack, Settings())
        assert not list(tmp_path.glob("demo-kept.json"))


def test_the_demo_leaves_out_every_setting_of_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file wins over a variable: with NETCENTER_POSTGRES_FILE of production, its rows went there."""
    for name in [name for name in os.environ if name.startswith("NETCENTER_")]:
        monkeypatch.delenv(name)
    settings = {name for role in PIPELINE.roles if role.settings for name in role.settings.model_fields}
    settings |= set(Settings.model_fields)
    for name in settings:
        monkeypatch.setenv(variable(name), "x")
    left = set(of_other_servers())
    kept = {name for name in settings if variable(name) not in left}
    assert all(name.partition("_")[0] not in ("kafka", "postgres", "webhook", "operators", "system") for name in kept)
    assert {"prefix", "directory", "models", "health_port"} <= kept
    with environment(**dict.fromkeys(left)):
        assert not left & set(os.environ)
    assert left <= set(os.environ)
