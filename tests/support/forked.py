"""Processes that are forked from a server that has imported everything once: a worker costs a tenth of its processor time."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
"""The one context of all tests: there is one server in a process, which imports what was named before its first child."""
PROCESSES.set_forkserver_preload(
    [
        "netcenter.cli",
        "netcenter.commands.worker",
        "netcenter.workers",
        "netcenter.runtime.endpoints",
        "streams.deciding_worker",
        "streams.sink_worker",
        "sinks.postgres",
        "tests.support.world",
        "tests.support.policy_appliers",
    ]
)


def start(target: Callable[..., None], *arguments: Any) -> Any:
    """A started process, which ends with the test's own."""
    process = PROCESSES.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def speak_into(log: Path) -> None:
    """From now on, this process writes all it says to a file."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)


def command(log: Path, folder: Path, environment: Mapping[str, str], words: list[str]) -> None:
    """For a process: runs `netcenter` with these words, in a folder and with nothing but this environment. Where the
    environment names other code (PYTHONPATH), a new interpreter runs that.
    """
    from netcenter.cli import main

    speak_into(log)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if "PYTHONPATH" in environment:
        os.execv(sys.executable, [sys.executable, "-m", "netcenter", *words])
    sys.argv = ["netcenter", *words]
    main()
