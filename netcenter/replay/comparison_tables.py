"""Tables of a comparison on the terminal."""

from __future__ import annotations

from rich.table import Table


def table(title: str, *columns: str) -> Table:
    """An empty table with a title and columns."""
    made = Table(title=f"{title}\n", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, header_style="bold", no_wrap=True)
    return made


def either(ours: str, theirs: str) -> str:
    """Two figures in one cell; one figure where they are the same."""
    return ours if ours == theirs else f"{ours} → {theirs}"
