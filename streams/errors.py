"""Errors, by what must happen next.

StreamError
├── Stop          the worker stops: going on would lose or repeat something (exit 1)
│   └── Fenced    another worker owns the partition now (exit 1)
├── Misconfigured wrong settings, or a log that does not fit the role's state; nothing was done (exit 2)
├── Ended         the worker was stopped while it waited; nothing is wrong (exit 0)
└── Unavailable   Kafka cannot be reached: drop the state in memory, wait for Kafka, start again (exit 3)
"""

from __future__ import annotations

from streams.exit_codes import ExitCode


class StreamError(Exception):
    """The base class; its message is one line that says what happened and where."""

    exit_code = ExitCode.FAILED


class Stop(StreamError):
    """Going on would lose or repeat something."""


class Fenced(Stop):
    """Another worker owns the partition now."""


class Misconfigured(StreamError):
    """Wrong settings, or a log that does not fit the role's state: a restart does not help."""

    exit_code = ExitCode.WRONG_USAGE


class Ended(StreamError):
    """The worker was stopped while it waited: nothing is wrong, and the next start waits again."""

    exit_code = ExitCode.DONE


class Unavailable(StreamError):
    """Kafka cannot be reached."""

    exit_code = ExitCode.UNREACHABLE
