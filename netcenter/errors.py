"""What a command can fail with; the exit code says which kind."""

from __future__ import annotations


class CommandError(Exception):
    """The work failed; the message is one line that says what and what to do."""

    exit_code = 1


class UsageError(CommandError):
    """Wrong usage or settings; names the file, line and field."""

    exit_code = 2


class Unreachable(CommandError):
    """A dependency cannot be reached; names it."""

    exit_code = 3
