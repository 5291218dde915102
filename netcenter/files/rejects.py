"""What becomes of the rows that files are refused: they are told, and written to a file of their own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from netcenter.disk import not_written, writing
from netcenter.files.line import Refused

TOLD = 10
"""The number of refused rows that are told."""


class Rejects:
    """Tells the first refused rows of a command's files, and writes all of them to a CSV file.

    A context manager that closes the file.
    """

    def __init__(self, path: Path | None = None, tell: Callable[[str], None] = lambda _: None) -> None:
        """path: the CSV file; None: there is none. tell: called with a line for each of the first ten. Raises CommandError."""
        self._path, self._tell, self._told = path, tell, 0
        self._exit = ExitStack()
        self._rows = None
        if path is not None:
            with writing(path, "--rejects"):
                file = self._exit.enter_context(path.open("w", encoding="utf-8", errors="replace", newline=""))
            self._rows = csv.writer(file)
            self._rows.writerow(("line", "reason", "row", "file"))

    def tell(self, refused: Refused, file: str) -> None:
        """Tell of a refused row, if it is one of the first."""
        if self._told < TOLD:
            self._tell(refused.in_words(file))
        elif self._told == TOLD:
            where = "--rejects FILE keeps all of them" if self._path is None else f"all of them are in {self._path}"
            self._tell(f"{file}: more rows are refused, which are counted and not told: {where}")
        self._told += 1

    def write(self, refused: Refused, file: str) -> None:
        """Write a refused row. Raises CommandError where the file cannot be written."""
        if self._rows is not None and self._path is not None:
            why = f"{refused.field}: {refused.why}" if refused.field else refused.why
            with writing(self._path, "--rejects"):
                self._rows.writerow((refused.number, why, refused.raw, file))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._exit.close()
        except OSError as not_flushed:
            if error is None and self._path is not None:
                raise not_written(self._path, "--rejects", not_flushed) from None
