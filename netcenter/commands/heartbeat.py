"""`netcenter heartbeat`: somebody outside hears of it when the pipeline does not work."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from streams.exit_codes import ExitCode


def heartbeat(once: Annotated[bool, typer.Option("--once", help="Check and call once, then end.")] = False) -> None:
    """Call a URL every minute while every role works, so that a dead man's switch reports a pipeline that stands still.

    Example: netcenter heartbeat --once
    """
    from netcenter.operate.heartbeat_loop import run_heartbeat
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import HeartbeatSettings, load, read

    settings = load()
    # A process without a handler that is the first of its container would not end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.DONE))
    run_heartbeat(settings, read(HeartbeatSettings), kafka_of(settings), once=once)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(heartbeat)
