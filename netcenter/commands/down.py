"""`netcenter down`: ends the embedded servers, and a demo that was left running."""

from __future__ import annotations

import typer


def down() -> None:
    """End the servers that `netcenter up --detach` started here, and all that `netcenter demo --keep` left running.

    Example: netcenter down
    """
    import netcenter.embedded as embedded
    from netcenter.demo import kept
    from netcenter.settings import load

    directory = load().directory
    found = [kept.end(directory, print), embedded.down(directory)]
    print("stopped" if any(found) else f"nothing of ours runs in {directory}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(down)
