"""`netcenter demo`: the whole pipeline on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.file_options import reads_files
from netcenter.commands.options import Json, read_to_play
from netcenter.files.options import FileOptions


@reads_files
def demo(
    reading: FileOptions,
    file: Annotated[
        Path | None, typer.Option("--input", help="Play this file (.jsonl or .csv) instead of the story.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, to look around.")] = False,
    as_json: Json = False,
) -> None:
    """Run the whole pipeline on a real Kafka and PostgreSQL, play a day of an airline, and show what happened.

    Example: netcenter demo
    """
    from netcenter.demo.own_environment import environment, of_other_servers
    from netcenter.demo.run import Demo

    lines = None if file is None else read_to_play(file, reading)
    left_out = of_other_servers()
    with environment(**dict.fromkeys(left_out)):
        played = "a day of an airline" if file is None else file.name
        Demo(lines=lines, keep=keep, as_json=as_json, left_out=left_out, played=played).run()


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)
