"""The bar that commands show while they go through many records."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def bar(console: Console | None = None, *, transient: bool = False, disable: bool = False) -> Progress:
    """A bar on standard error: what is done, how much of the total, and the time so far."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
        console=console or Console(stderr=True),
        transient=transient,
        disable=disable,
    )
