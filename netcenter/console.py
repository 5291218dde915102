"""What commands print their tables and findings on."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class OutputConsole(Console):
    """Standard output, or standard error. A closed pipe is an error, as it is where a command prints without it."""

    def __init__(self, *, stderr: bool = False, width_of_pipe: int | None = None) -> None:
        """width_of_pipe: the columns where no terminal tells its own."""
        super().__init__(stderr=stderr)
        if width_of_pipe is not None and not self.is_terminal:
            self.width = width_of_pipe

    def on_broken_pipe(self) -> NoReturn:
        """Raises BrokenPipeError."""
        raise BrokenPipeError
