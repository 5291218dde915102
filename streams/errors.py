"""Errors, by what must happen next.

StreamError
├── Stop          the worker stops: going on would lose or repeat something (exit 1)
│   └── Fenced    another worker owns the partition now (exit 1)
├── Misconfigured wrong settings, or a log that does not fit what is remembered; nothing was done (exit 2)
├── Ended         told to stop while it waited; nothing is wrong (exit 0)
└── Unavailable   Kafka cannot be reached; drop memory, wait for it, start over (exit 3)
"""

from __future__ import annotations

from streams.exit_codes import ExitCode


class StreamError(Exception):
    """Base; the message is one line that says what and where."""

    exit_code = ExitCode.FAILED


class Stop(StreamError):
    """Going on would lose or repeat something."""


class Fenced(Stop):
    """Another worker owns the partition now."""


class Misconfigured(StreamError):
    """Wrong settings, or a log that does not fit what is remembered: to start again does not help."""

    exit_code = ExitCode.WRONG_USAGE


class Ended(StreamError):
    """Told to stop while it waited for something else: nothing is wrong, and the next start does it again."""

    exit_code = ExitCode.DONE


class Unavailable(StreamError):
    """Kafka cannot be reached."""

    exit_code = ExitCode.UNREACHABLE
