"""`netcenter ingest`: plays a file into Kafka."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netcenter.commands.file_options import reads_files
from netcenter.commands.options import Json, duration, read_to_play
from netcenter.commands.progress_bar import bar
from netcenter.files.options import FileOptions
from netcenter.ingest.schedule import TICK
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import load
from schemas.times import rfc3339

if TYPE_CHECKING:
    from netcenter.ingest.pacing import Waiting

_File = Annotated[Path, typer.Argument(help="A .jsonl or .csv file; - reads JSON lines from standard input.")]


@reads_files
def ingest(
    file: _File,
    reading: FileOptions,
    run_on: Annotated[
        str, typer.Option(metavar="DURATION", help="How long time runs on after the last record.")
    ] = "6h",
    ahead: Annotated[
        str,
        typer.Option(
            help="On the event clock: how far the file may be before the slowest role, whether it has a worker or not; "
            "none: nobody is waited for."
        ),
    ] = "30m",
    as_json: Json = False,
) -> None:
    """Play a file into Kafka: mentions, replies, actions, operators' shifts.

    Example: netcenter ingest posts.csv --map native_id=tweet_id --set channel=twitter
    """
    from netcenter.broker.log_clock import clock_of_log
    from netcenter.ingest.player import ingest as play_into_log

    settings = load()
    kafka = kafka_of(settings)
    alone = ahead == "none"
    of_time = {"run_on": duration(run_on, "--run-on"), "ahead": 0 if alone else duration(ahead, "--ahead")}
    with FileInputs([file], reading) as inputs, FileProgress(say) as progress:
        told = {"ticks": 0}
        if str(file) == "-" or inputs.begins():
            # A wall clock plays what comes on the standard input as it comes.
            as_it_comes = str(file) == "-" and clock_of_log(settings, kafka) == "wall"
            played = play_into_log(
                settings,
                kafka,
                inputs.as_read() if as_it_comes else inputs.to_play(progress),
                interval=TICK,
                **of_time,
                follow=() if alone else None,
                on_wait=partial(_on_wait, progress),
            )
            told = {"ticks": played.ticks}
        print(json.dumps({"records": inputs.counts.taken, **told, **inputs.told()}) if as_json else ...)
        inputs.check()


def _on_wait(progress: FileProgress, waiting: Waiting) -> None:
    progress.look()
    if waiting.notice:
        say(waiting.notice)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(ingest)
