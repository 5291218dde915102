"""`netcenter demo`: the whole pipeline on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.file_options import reads_files
from netcenter.commands.options import Json
from netcenter.files.options import FileOptions


@reads_files
def demo(
    reading: FileOptions,
    file: Annotated[
        Path | None, typer.Option("--input", help="Play this file instead of the story: docs/files.md.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, to look around.")] = False,
    as_json: Json = False,
) -> None:
    """Run the whole pipeline on a real Kafka and PostgreSQL, play a day of an airline, and show what happened.

    Example: netcenter demo; of your own posts: netcenter demo --input posts.csv --map native_id=tweet_id --set channel=twitter
    """
    from netcenter.demo.own_environment import environment, of_other_servers
    from netcenter.demo.run import Demo
    from netcenter.files.file_inputs import FileInputs

    with FileInputs([] if file is None else [file], reading) as inputs:
        if file is not None and not inputs.read_once and not inputs.begins():
            counts = inputs.counts
            print(json.dumps({"file": counts.told()}) if as_json else f"{file}: {counts.in_words()}")
            return
        left_out = of_other_servers()
        with environment(**dict.fromkeys(left_out)):
            played = "a day of an airline" if file is None else file.name
            given = inputs if file else None
            Demo(inputs=given, keep=keep, as_json=as_json, left_out=left_out, played=played).run()
        inputs.check()


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(demo)
