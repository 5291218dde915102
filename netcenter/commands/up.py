"""`netcenter up`: the embedded Kafka and PostgreSQL."""

from __future__ import annotations

import json
import signal
import threading
from typing import Annotated

import typer
from rich.console import Console

from netcenter.commands.options import Json


def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once both answer; `netcenter down` ends them.")
    ] = False,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Delete the data when they end.")] = False,
    as_json: Json = False,
) -> None:
    """Run a real Kafka and a real PostgreSQL on this machine, with no Docker, root or Java.

    Example: netcenter up --detach --json
    """
    import netcenter.embedded as embedded
    from netcenter.settings import load

    settings = load()
    err = Console(stderr=True)

    def say(line: str) -> None:
        err.print(f"[dim]{line}[/dim]")

    def show(addresses: embedded.Addresses) -> None:
        if as_json:
            print(
                json.dumps(
                    {"kafka": addresses.kafka, "postgres": addresses.postgres, "directory": str(settings.directory)}
                ),
                flush=True,
            )
        else:
            print(
                f"export NETCENTER_KAFKA={addresses.kafka}\nexport NETCENTER_POSTGRES={addresses.postgres}", flush=True
            )

    if detach:
        show(embedded.detach(settings.directory, ephemeral=ephemeral, say=say))
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stack = embedded.Stack(settings.directory, ephemeral=ephemeral)
    try:
        show(stack.start(say))
        say("running; stop with Ctrl-C")
        stop.wait()
    finally:
        stack.stop()


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(up)
