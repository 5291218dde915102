"""The command line: every command and its exit codes. It shows a traceback only on request."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, TextIO

import typer

from netcenter.commands.command_group import RootGroup, is_closed
from netcenter.errors import CommandError, PipeClosed, Unreachable, UsageError
from streams.exit_codes import ExitCode

app = typer.Typer(
    cls=RootGroup,
    help="The call centre for social mentions, on Kafka. Start with: netcenter demo",
    epilog="Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in ExitCode) + ".",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DEBUG = "--debug"


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"netcenter {version('netcenter')}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show tracebacks and debug logs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Settings come from the environment: NETCENTER_KAFKA, NETCENTER_POSTGRES, …: see docs/settings.md."""
    ctx.obj = partial(_set_up, debug)


def _set_up(debug: bool) -> None:
    """Called before a command runs."""
    from netcenter.runtime import logs
    from netcenter.settings import load

    settings = load()
    logs.set_up("debug" if debug else settings.log_level)
    if settings.upgrade_from:
        from schemas.codec import write_versions
        from schemas.releases import released

        write_versions(released()[settings.upgrade_from].records)


def main() -> None:
    """Run the command line; the process ends with an `ExitCode`."""
    try:
        _end()
    except (BrokenPipeError, PipeClosed):
        for stream in filter(is_closed, (sys.stdout, sys.stderr)):
            _write_nowhere(stream)
        sys.exit(ExitCode.PIPE_CLOSED)


def _end() -> None:
    """Run the command line, and exit. Raises PipeClosed or BrokenPipeError where nobody reads what it prints."""
    debug = DEBUG in sys.argv
    try:
        _run()
    except CommandError as error:
        sys.exit(_say(error, error.exit_code, debug))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except (BrokenPipeError, PipeClosed):
        raise
    except ModuleNotFoundError as error:
        sys.exit(_say(_left_out(error), ExitCode.WRONG_USAGE, debug))
    except Exception as error:  # noqa: BLE001 - whatever it is, one clear line and an exit code
        found = _no_temporary_folder(error) or _without_room(error) or _of_kafka(error)
        sys.exit(_say(found, getattr(found, "exit_code", ExitCode.FAILED), debug))


def _run() -> None:
    try:
        app(prog_name="netcenter")
    finally:
        sys.stdout.flush()


def _of_kafka(error: Exception) -> Exception:
    """For an error of Kafka's client, which no command foresees at each of its calls, an error that says what to do. A
    refusal says so itself, see `in_words`.
    """
    from kafka.errors import KafkaError

    from streams.missing_rights import is_refusal

    if not isinstance(error, KafkaError) or is_refusal(error):
        return error
    return Unreachable(
        f"Kafka stopped answering, or refused a request, in the middle of the command ({' '.join(str(error).split())}): is it "
        "up? See `netcenter doctor`, then run the command again"
    )


def _no_temporary_folder(error: Exception) -> Exception | None:
    """The error where Python has looked for a folder for temporary files and can write to none; None for another error."""
    if not isinstance(error, FileNotFoundError) or "No usable temporary directory" not in str(error):
        return None
    return UsageError(
        "no folder for temporary files can be written (TMPDIR, /tmp, /var/tmp, /usr/tmp, the current folder): mount one at "
        "/tmp, or name one in TMPDIR"
    )


def _without_room(error: Exception) -> Exception | None:
    """The error where a disk is full that the command writes to; None for another error."""
    from netcenter.disk import not_written, without_room

    if not isinstance(error, OSError) or not without_room(error):
        return None
    if error.filename is not None:
        return not_written(Path(error.filename), "", error)
    _write_nowhere(sys.stdout)
    place = "the standard output, or a file that this command writes,"
    return CommandError(f"{place} cannot be written: {error.strerror}: make room there, or write to another disk")


def _write_nowhere(stream: TextIO) -> None:
    """What is still buffered for the stream goes nowhere: Python would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _left_out(error: ModuleNotFoundError) -> Exception:
    """The error of a command that this installation holds only in part, as the image does."""
    return UsageError(
        f"{error.name} is not installed here: the image holds what workers and their operators need. Run this command from a "
        "checkout (`make env`), or install netcenter with the extras `embedded` and `train`"
    )


def _say(error: Exception, code: int, debug: bool) -> int:
    if debug:
        raise error
    from netcenter.runtime.kafka_security import in_words
    from streams.missing_rights import is_refusal
    from streams.supervisor import last_words

    known = hasattr(error, "exit_code") or is_refusal(error)
    text = in_words(error)
    last_words(text if known else f"{type(error).__name__}: {text}")
    for line in text.splitlines() or [""]:
        print(f"netcenter: {line}" if known else f"netcenter: {type(error).__name__}: {line}", file=sys.stderr)
    if not known:
        print("netcenter: this is a fault of ours; run again with --debug for its place", file=sys.stderr)
    return code
