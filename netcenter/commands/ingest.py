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
    from netcenter.ingest.player import Played
    from netcenter.ingest.player import ingest as play_into_log
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    lines = read_to_play(file, reading)
    alone = ahead == "none"
    with bar() as progress:
        task = progress.add_task("records", total=len(lines))

        def on_tick(played: Played, slowest: tuple[int, str]) -> None:
            progress.update(task, completed=played.records, description=f"{rfc3339(played.time)}")

        played = play_into_log(
            settings,
            kafka_of(settings),
            lines,
            interval=TICK,
            run_on=duration(run_on, "--run-on"),
            ahead=0 if alone else duration(ahead, "--ahead"),
            follow=() if alone else None,
            on_tick=on_tick,
            on_wait=_say_notice,
        )
        progress.update(task, completed=played.records)
    told = {"records": played.records, "ticks": played.ticks}
    print(json.dumps(told) if as_json else f"{played.records:,} records and {played.ticks:,} Ticks played")


def _say_notice(waiting: Waiting) -> None:
    if waiting.notice:
        print(f"netcenter: {waiting.notice}", file=sys.stderr, flush=True)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(ingest)
