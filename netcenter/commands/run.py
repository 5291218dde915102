"""worker, demo."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.options import Ignore, Json, Maps, Sets, TimeFormat, read_file
from netcenter.errors import UsageError
from netcenter.places import kafka_of, postgres_of
from netcenter.settings import Settings, load

_LOST_KAFKA = 3


def worker(
    roles: Annotated[
        list[str], typer.Argument(help="classify, cases, surge, desk, alerts, postgres, webhook, or all.")
    ],
) -> None:
    """Run one role, or several as a process each under a small supervisor.

    Example: netcenter worker all
    """
    from netcenter.roles import role_names

    settings = load()
    names = role_names()
    if roles == ["all"]:
        roles = [name for name in names if name != "webhook" or settings.webhook_url is not None]
    unknown = [role for role in roles if role not in names]
    if unknown:
        raise UsageError(f"no role is called {unknown[0]!r}; there are: {', '.join(names)}, all")
    sys.exit(_one(roles[0], settings) if len(roles) == 1 else _several(roles, settings))


def _one(role: str, settings: Settings) -> int:
    from netcenter.roles import make_worker
    from streams.supervisor import end_with_supervisor
    from streams.worker import run_worker

    end_with_supervisor()
    worker = make_worker(role, settings, kafka_of(settings))
    code = run_worker(worker)
    if code == _LOST_KAFKA and not worker.told_to_stop:
        # Everything in memory may be behind the log now: start over in place, and wait for Kafka there.
        os.execv(sys.executable, [sys.executable, "-m", "netcenter", *sys.argv[1:]])
    return code


def _several(roles: list[str], settings: Settings) -> int:
    from streams.supervisor import command_of, supervise

    given = {"NETCENTER_KAFKA": kafka_of(settings)}
    if "postgres" in roles:
        given["NETCENTER_POSTGRES"] = postgres_of(settings)
    commands: dict[str, tuple[list[str], dict[str, str]]] = {}
    for place, role in enumerate(roles):
        port = {} if settings.health_port == 0 else {"NETCENTER_HEALTH_PORT": str(settings.health_port + place)}
        commands[role] = (command_of(role), {**given, **port})
    return supervise(commands)


def demo(
    file: Annotated[
        Path | None, typer.Option("--input", help="Play this file (.jsonl or .csv) instead of the story.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, to look around.")] = False,
    maps: Maps = None,
    sets: Sets = None,
    ignore_unknown: Ignore = False,
    time_format: TimeFormat = None,
    as_json: Json = False,
) -> None:
    """Run the whole pipeline on a real Kafka and PostgreSQL, play a day of an airline, and show what happened.

    Example: netcenter demo
    """
    from netcenter.demo import Demo

    lines = None if file is None else read_file(file, maps, sets, ignore_unknown, time_format)
    Demo(lines=lines, keep=keep, as_json=as_json).run()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)
    app.command()(demo)
