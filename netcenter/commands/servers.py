"""up, down, topics apply, lag, doctor."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from netcenter.commands.options import Json
from netcenter.errors import CommandError, UsageError
from netcenter.policies import DEFAULT_POLICY
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import load


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
    from netcenter import embedded

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


def down() -> None:
    """End the servers that `netcenter up --detach` started here.

    Example: netcenter down
    """
    from netcenter import embedded

    directory = load().directory
    print("stopped" if embedded.down(directory) else f"nothing of ours runs in {directory}")


topics = typer.Typer(help="Topics of the pipeline.", no_args_is_help=True)


@topics.command("apply")
def topics_apply(
    clock: Annotated[
        str, typer.Option(help="Whose clock the log follows: wall (live) or event (files are played).")
    ] = "wall",
    policy: Annotated[Path, typer.Option(help="Seeds a new log's policy.")] = DEFAULT_POLICY,
    force: Annotated[bool, typer.Option("--force", help="Also where its classifier is not on this machine.")] = False,
    as_json: Json = False,
) -> None:
    """Create the topics that are missing; on a new log declare the clock and put the first policy in force.

    Example: netcenter topics apply --clock wall
    """
    from netcenter.broker.topics import apply
    from netcenter.commands.policy import to_apply

    if clock not in ("wall", "event"):
        raise UsageError(f"--clock: {clock!r} is neither wall nor event")
    settings = load()
    text, _ = to_apply(policy, force=force)
    created = apply(settings, kafka_of(settings), clock, text)  # type: ignore[arg-type]
    print(
        json.dumps({"created": created})
        if as_json
        else f"{len(created)} topics created"
        if created
        else "all topics are there"
    )


def lag(as_json: Json = False) -> None:
    """How far every role is behind, in records and in event time, and what holds it up in the log.

    Example: netcenter lag
    """
    from netcenter.broker.lag import Watch
    from netcenter.broker.topics import admin

    settings = load()
    kafka = kafka_of(settings)
    with closing(admin(kafka)) as client:
        rows = Watch(settings, kafka, client).lag()
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("role", "worker", "behind", "held back", "event time", "")
    for row in rows:
        wrong = [f"beyond the end of {', '.join(row['beyond_the_end'])}"] if row["beyond_the_end"] else []
        wrong += [f"{row['lost']:,} deleted unread"] if row["lost"] else []
        table.add_row(
            str(row["role"]),
            "yes" if row["running"] else "no",
            f"{row['behind']:,}",
            f"{row['held_back']:,}",
            str(row["time"] or "-"),
            "; ".join(wrong),
        )
    Console().print(table)


def doctor(as_json: Json = False) -> None:
    """Look at everything Netcenter needs and say what is wrong and what to do.

    Example: netcenter doctor
    """
    from netcenter.operate.doctor import examine

    findings = examine(load())
    if as_json:
        print(json.dumps([{"what": f.what, "ok": f.ok, "says": f.says} for f in findings]))
    else:
        console = Console()
        for finding in findings:
            mark = "[green]ok[/green]   " if finding.ok else "[red]wrong[/red]"
            console.print(f"{mark} {finding.what}: {finding.says}", highlight=False, soft_wrap=True)
    if not all(f.ok for f in findings):
        raise CommandError(f"{sum(not f.ok for f in findings)} of {len(findings)} are wrong")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.add_typer(topics, name="topics")
    app.command()(lag)
    app.command()(doctor)
