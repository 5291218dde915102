"""A demo that was left running: its workers and its receiver, so that one command ends them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from netcenter import embedded
from netcenter.embedded import places
from netcenter.embedded.processes import stop_process

_END_S = 20.0


def servers_of(base: Path) -> Path:
    """The folder of the demo's own servers. base: NETCENTER_DIRECTORY."""
    return (base / "demo").absolute()


def remember(base: Path, processes: list[tuple[int, str]]) -> None:
    """Keep the pid of each process, with an argument that tells it from a later process of the same pid."""
    places.remember(_file(base), {"processes": processes})


def forget(base: Path) -> None:
    """Nothing of a demo is left."""
    _file(base).unlink(missing_ok=True)


def end(base: Path, say: Callable[[str], None]) -> bool:
    """End what an earlier demo has left running; returns whether there was anything. say: gets a line for each step."""
    left = places.recall(_file(base)).get("processes")
    if left:
        say("ending the workers of an earlier demo")
        for pid, argument in left:
            stop_process(pid, argument, signal.SIGTERM, _END_S)
        forget(base)
    servers = embedded.running(servers_of(base)) is not None
    if servers:
        say("ending the servers of an earlier demo")
        embedded.down(servers_of(base))
    return bool(left) or servers


def _file(base: Path) -> Path:
    return base / "demo-kept.json"
