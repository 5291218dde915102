"""`netcenter ingest`: plays a file into Kafka."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netcenter.commands.file_options import reads_files
from netcenter.commands.options import Json, duration
from netcenter.errors import UsageError
from netcenter.files.options import FileOptions
from netcenter.ingest.schedule import TICK
from schemas.times import rfc3339
from streams.exit_codes import ExitCode

if TYPE_CHECKING:
    from netcenter.files.file_inputs import FileInputs
    from netcenter.files.file_progress import FileProgress
    from netcenter.files.line import Line
    from netcenter.ingest.pacing import Waiting
    from netcenter.ingest.player import Played
    from netcenter.settings import Settings
    from streams.kafka_connection import KafkaConnection

_LONG_S = 20
_FAST = 3_600_000
"""ms of the file's time a second: a day of the file takes less than half a minute."""
_WIDE = 6 * 3_600_000
"""ms; further ahead of the roles a file gains little."""

_File = Annotated[Path, typer.Argument(help="A file in a form of docs/files.md; - reads standard input.")]


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
    from netcenter.files.file_inputs import FileInputs, say
    from netcenter.files.file_progress import FileProgress
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    alone = ahead == "none"
    times = {"run_on": duration(run_on, "--run-on"), "ahead": 0 if alone else duration(ahead, "--ahead")}
    ticks = 0
    with FileInputs([file], reading) as inputs:
        if inputs.read_once or inputs.begins():
            with FileProgress(say) as progress:
                ticks = _play(settings, kafka_of(settings), inputs, progress, follow=() if alone else None, **times)
        counts = inputs.counts
        told = f"{counts.in_words()}; {ticks:,} Ticks played"
        print(json.dumps({**counts.told(), "ticks": ticks}) if as_json else told)
        inputs.check()


def _play(settings: Settings, kafka: KafkaConnection, inputs: FileInputs, progress: FileProgress, **given: Any) -> int:
    """Play the file of the inputs; the number of Ticks."""
    from netcenter.broker.log_clock import clock_of_log
    from netcenter.files.file_inputs import say
    from netcenter.ingest.player import Played
    from netcenter.ingest.player import ingest as play_into_log

    played, hint = Played(), _Hint(given["ahead"])

    def on_wait(waiting: Waiting) -> None:
        progress.look(played.time)
        if waiting.notice:
            say(waiting.notice)
        elif told := hint.when_slow(time.monotonic(), played.time, waiting.slowest[1]):
            say(told)

    # On a wall clock, what comes on a pipe is played as it comes, in whatever order.
    live = inputs.read_once and clock_of_log(settings, kafka) == "wall"
    lines = inputs.as_read() if live else inputs.to_play(progress)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED))
    lines = _new_enough(lines, settings, kafka)
    try:
        return play_into_log(settings, kafka, lines, interval=TICK, on_wait=on_wait, played=played, **given).ticks
    except BaseException:
        if played.records:
            say(_left_off(played))
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


class _Hint:
    """Says once what plays a file of few posts faster."""

    def __init__(self, ahead: int) -> None:
        """ahead: ms of event time that the file may be before the slowest role."""
        self._ahead = ahead
        self._began: tuple[float, int] | None = None
        self._said = ahead >= _WIDE

    def when_slow(self, now: float, at: int, slowest: str) -> str:
        """The hint, when the play has taken long for little time of the file; else empty. now: s. at: ms, the time played."""
        if self._said or not at:
            return ""
        self._began = self._began or (now, at)
        began, first = self._began
        if now - began < _LONG_S:
            return ""
        self._said = True
        if at - first >= (now - began) * _FAST:
            return ""
        return (
            f"the file is kept within {self._ahead // 60_000} minutes of its time of the slowest role, {slowest}: "
            "--ahead 12h plays a file of few posts faster"
        )


def _new_enough(lines: Iterable[Line], settings: Settings, kafka: KafkaConnection) -> Iterator[Line]:
    """The lines. Raises UsageError, before anything is played, where the first is older than what the log takes."""
    from netcenter.broker.log_time import oldest_taken

    for place, line in enumerate(lines):
        if place == 0:
            now, oldest = oldest_taken(settings, kafka)
            if line.at < oldest:
                raise UsageError(
                    f"the file begins at {rfc3339(line.at)}, and the log's time is {rfc3339(now)}: what is older than "
                    f"{rfc3339(oldest)} (deduplication.horizon of the policy) would become dead letters. Nothing was played. "
                    "Play the file into a log of its own, as `netcenter demo --input FILE` does, or give its part from that time on"
                )
        yield line


def _left_off(played: Played) -> str:
    """What has become of a file that was not played to its end."""
    until = f", played up to {rfc3339(played.time)}" if played.ticks and played.taken >= played.records else ""
    return (
        f"ended early: {played.taken:,} records are in Kafka{until}. Give the same command again to play the rest: what "
        "is there already is dropped as a duplicate"
    )


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(ingest)
