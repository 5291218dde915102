"""How far a command is with its files: a bar on a terminal, otherwise a line every 30 seconds, both on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schemas.times import rfc3339

EVERY_S = 30.0
#: A look at the clock every so many rows costs nothing.
_ROWS = 256
_One = TypeVar("_One")


class FileProgress:
    """Shows how far a command is with its rows. A context manager."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """say: prints a line where standard error is no terminal."""
        self._say, self._clock = say, clock
        self._bar: Progress | None = None
        self._task = TaskID(0)
        console = console or Console(stderr=True)
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"))
            self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._rows, self._stage, self._total, self._at = 0, "", 0, 0
        self._began = self._told = clock()

    def stage(self, name: str, total: int = 0) -> None:
        """Begin a new stage. name: "sorting". total: the number of its rows; 0 where it is not known."""
        self._stage, self._total = name, total
        self._rows, self._began = 0, self._clock()
        self.look()

    def over(self, rows: Iterable[_One], at: Callable[[_One], int]) -> Iterator[_One]:
        """The rows of this stage, which are counted as they go by. at: returns the event time of a row (ms)."""
        for row in rows:
            self._rows += 1
            if self._rows % _ROWS == 0:
                self._at = at(row)
                self.look()
            yield row

    def passed(self, rows: int, at: int) -> None:
        """Count so many rows more of this stage. at: the event time that was reached (ms)."""
        self._rows, self._at = self._rows + rows, at
        self.look()

    def look(self, at: int = 0) -> None:
        """Show where the command is, if it is time to. at: the event time that was reached (ms), where it is known."""
        self._at = at or self._at
        if self._bar is not None:
            self._bar.update(self._task, description=self._stage, completed=self._share() or 0, rows=self.in_words())
        elif (now := self._clock()) - self._told >= EVERY_S:
            self._told = now
            self._say(f"{self._stage}: {self.in_words()}")

    def in_words(self) -> str:
        """`1,200,000 rows, 41%, 60,000 rows/s, at 2026-01-07T10:00:00Z`."""
        passed, share = self._clock() - self._began, self._share()
        parts = [f"{self._rows:,} rows"]
        if share is not None:
            parts.append(f"{share:.0%}")
        if passed > 0:
            parts.append(f"{self._rows / passed:,.0f} rows/s")
        if self._at:
            parts.append(f"at {rfc3339(self._at)}")
        return ", ".join(parts)

    def _share(self) -> float | None:
        return min(1.0, self._rows / self._total) if self._total else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.__enter__()
            self._task = self._bar.add_task("starting", total=1.0, rows="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
