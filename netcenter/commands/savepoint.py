"""`netcenter savepoint`: the state of every role as a file, and a new log from such a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json
from netcenter.errors import CommandError
from schemas.times import rfc3339

savepoint = typer.Typer(help="The state of every role as a file: a backup of what Kafka holds.", cls=CommandGroup)
File = Annotated[Path, typer.Argument(help="The file of the savepoint.")]


@savepoint.command("take")
def take(path: File, as_json: Json = False) -> None:
    """Write the state of every role to a file, while the workers are stopped and have read everything. See docs/backup.md.

    Example: netcenter savepoint take 2026-11-20.savepoint
    """
    from netcenter.operate.savepoint.savepoint_file import save
    from netcenter.operate.savepoint.state_at_rest import StateAtRest
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    at_rest = StateAtRest(settings, kafka_of(settings))
    running = at_rest.running()
    if running:
        raise CommandError("; ".join(running))
    count = save(path, at_rest.records(), at_rest.head)
    head = at_rest.head()
    print(
        json.dumps({"records": count, "watermark": head.watermark})
        if as_json
        else f"{path}: {count:,} state records of {settings.prefix!r} at {rfc3339(head.watermark)}"
    )


@savepoint.command("restore")
def restore(path: File, as_json: Json = False) -> None:
    """Begin a new log, under NETCENTER_PREFIX and with NETCENTER_PARTITIONS, with the state in a file. See docs/backup.md.

    Example: NETCENTER_PREFIX=second. netcenter savepoint restore 2026-11-20.savepoint
    """
    from netcenter.operate.savepoint.continued_log import ContinuedLog
    from netcenter.operate.savepoint.savepoint_file import SavepointFile
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    file, new = SavepointFile(path), ContinuedLog(settings, kafka_of(settings))
    file.check()  # before it makes topics, which would be in the way of the next try
    new.prepare()
    new.write(file.records(), file.head)
    head = file.head()
    print(
        json.dumps({"records": sum(new.moved.values()), "watermark": head.watermark})
        if as_json
        else f"{settings.prefix!r} goes on from {rfc3339(head.watermark)} with {sum(new.moved.values()):,} state records: point "
        "what writes to its topics, then start its workers"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(savepoint, name="savepoint")
