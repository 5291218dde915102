"""The meaning of each exit code. Errors, the supervisor, `--help` and docs/exit_codes.md use this list."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of a process, each with its `meaning`."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> ExitCode:
        """A member with its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "the work is done, or the process was told to stop and stopped in order"
    FAILED = 1, "the work failed, or something that was checked is wrong"
    WRONG_USAGE = 2, "an argument, a setting or a file is wrong, and nothing was done: to start again does not help"
    UNREACHABLE = (
        3,
        "something that is needed, such as Kafka or PostgreSQL, cannot be reached or refuses the connection: to start again later "
        "may help",
    )
    INTERRUPTED = 130, "the command was interrupted from the keyboard (SIGINT)"
    PIPE_CLOSED = 141, "nobody read the output to its end: the pipe was closed, as `head -1` does"
    TERMINATED = 143, "a command that runs servers, or plays a file, was told to stop (SIGTERM), and has cleaned up"
