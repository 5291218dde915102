"""`netcenter status`: whether the pipeline works and what it has found, on one screen."""

from __future__ import annotations

import typer

from netcenter.commands.options import Json
from netcenter.errors import CommandError


def status(as_json: Json = False) -> None:
    """Show on one screen whether all roles work and how far they are behind, what waits at the desks, which surges are open and
    which alerts fire. It exits with 1 where something is wrong, and says what; `netcenter doctor` looks deeper.

    Example: netcenter status
    """
    import msgspec

    from netcenter.operate.status import status_of, status_text
    from netcenter.settings import load

    found = status_of(load())
    if as_json:
        print(msgspec.json.encode({"well": found.well, **msgspec.to_builtins(found)}).decode())
    else:
        print(status_text(found))
    if not found.well:
        raise CommandError(f"{len(found.faults)} wrong: see `netcenter doctor`")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(status)
