"""The errors that a command ends with; each carries the exit code of its kind."""

from __future__ import annotations

from streams.exit_codes import ExitCode


class CommandError(Exception):
    """The work failed; the message is one line that says what is wrong and what to do."""

    exit_code = ExitCode.FAILED


class UsageError(CommandError):
    """An argument, a setting or a file is wrong; the message names it; for a file, with line and field."""

    exit_code = ExitCode.WRONG_USAGE


class PipeClosed(Exception):
    """Nobody reads the standard output any more, as after `netcenter classify posts.csv | head`. There is nothing to say."""


class Unreachable(CommandError):
    """Something that is needed cannot be reached; the message names it."""

    exit_code = ExitCode.UNREACHABLE
