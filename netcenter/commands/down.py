"""`netcenter down`: ends the embedded servers."""

from __future__ import annotations

import typer


def down() -> None:
    """End the servers that `netcenter up --detach` started here.

    Example: netcenter down
    """
    import netcenter.embedded as embedded
    from netcenter.settings import load

    directory = load().directory
    print("stopped" if embedded.down(directory) else f"nothing of ours runs in {directory}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(down)
