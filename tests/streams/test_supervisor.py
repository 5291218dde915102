"""The supervisor: one role's fault never ends the others, and none outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until

_CHILD = """
import os, signal, sys, threading
sys.path.insert(0, {root!r})
from streams.supervisor import end_with_supervisor, last_words
end_with_supervisor()
with open(sys.argv[1], "a") as log:
    print(os.getpid(), file=log)
if sys.argv[2] == "lives":
    threading.Event().wait()
last_words("the reason of " + sys.argv[1].rpartition("/")[2])
sys.exit(int(sys.argv[2]))
"""
_SUPERVISOR = """
import json, sys
sys.path.insert(0, {root!r})
from netcenter.runtime.logs import set_up
from streams import supervisor
set_up("info")
supervisor._WINDOW_S, supervisor._LONGEST_S = {window}, 0.1
sys.exit(supervisor.supervise({{role: (argv, {{}}) for role, argv in json.loads(sys.argv[1]).items()}}))
"""
_ROOT = str(Path(__file__).parents[2])


class Supervised:
    """A supervisor in a process of its own, over children that live or end with a code."""

    def __init__(self, folder: Path, ends: dict[str, str], window: float) -> None:
        self.folder = folder
        commands = {
            role: [sys.executable, "-c", _CHILD.format(root=_ROOT), str(folder / role), how]
            for role, how in ends.items()
        }
        self.log = folder / "log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SUPERVISOR.format(root=_ROOT, window=window), json.dumps(commands)],
                stdout=out,
                stderr=out,
            )

    def started(self, role: str) -> list[int]:
        """The ids of its processes up to now."""
        path = self.folder / role
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def told(self, event: str, role: str) -> list[dict[str, Any]]:
        """What was logged of a role."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if event in line["event"] and line.get("role") == role]

    def stop(self) -> int:
        """Tell it to stop; the exit code."""
        self.process.terminate()
        return self.process.wait(20)


Begin = Callable[..., Supervised]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start a supervisor: role to `lives` or the code with which it ends."""
    found: list[Supervised] = []

    def start(window: float = 60.0, **ends: str) -> Supervised:
        found.append(Supervised(tmp_path, ends, window))
        return found[-1]

    yield start
    for one in found:
        if one.process.poll() is None:
            one.stop()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_role_that_keeps_dying_ends_no_other_and_is_told_with_its_reason(begin: Begin) -> None:
    """After five deaths it rests, with wrong settings after one; the exit code says that not all was well."""
    run = begin(cases="1", webhook="2", alerts="lives")
    for role, code, times in (("cases", 1, 5), ("webhook", 2, 1)):
        [told] = until(lambda role=role: run.told("a role keeps dying", role), 30, "it is told")  # type: ignore[misc]
        assert (told["level"], told["why"], told["exit_code"]) == ("error", f"the reason of {role}", code)
        assert (told["after_s"], len(run.started(role))) == (60, times)
    assert len(run.started("alerts")) == 1 and _alive(run.started("alerts")[0])
    assert run.stop() == 1


def test_a_role_that_rested_is_started_again(begin: Begin) -> None:
    """What ails it may have been mended meanwhile."""
    run = begin(window=0.5, cases="2", alerts="lives")
    until(lambda: len(run.started("cases")) >= 3, 20, "started again")
    assert _alive(run.started("alerts")[0])


def test_where_every_role_has_wrong_settings_there_is_nothing_to_run(begin: Begin) -> None:
    """Exit 2, as a single role has it."""
    run = begin(webhook="2", cases="2")
    assert run.process.wait(20) == 2


def test_when_all_is_well_a_stop_is_no_fault(begin: Begin) -> None:
    """Exit 0, and every child has gone."""
    run = begin(cases="lives", alerts="lives")
    until(lambda: len(run.started("cases") + run.started("alerts")) == 2, 20, "both started")
    children = run.started("cases") + run.started("alerts")
    assert run.stop() == 0
    assert not any(_alive(pid) for pid in children)


def test_no_role_outlives_a_supervisor_that_was_killed(begin: Begin) -> None:
    """Else they would go on beside those of the next one."""
    run = begin(cases="lives", alerts="lives")
    until(lambda: len(run.started("cases") + run.started("alerts")) == 2, 20, "both started")
    children = run.started("cases") + run.started("alerts")
    run.process.send_signal(signal.SIGKILL)
    run.process.wait(10)
    until(lambda: not any(_alive(pid) for pid in children), 20, "they have ended too")
