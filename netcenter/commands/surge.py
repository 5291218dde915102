"""`netcenter surge explain`: shows the evidence of a surge."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json

surge = typer.Typer(help="Surges: what is known of one.", cls=CommandGroup)


@surge.command("explain")
def explain(
    id: Annotated[str, typer.Argument(help="The surge's id, or its beginning; alerts and surge_history name it.")],
    as_json: Json = False,
) -> None:
    """Show the evidence of a surge from PostgreSQL: how much, since when, about what, and what to expect.

    Example: netcenter surge explain 4dfe4b8f
    """
    from netcenter.operate.surge_report import find_surge, report_text
    from netcenter.runtime.endpoints import postgres_of
    from netcenter.settings import load

    found = find_surge(postgres_of(load()), id)
    print(json.dumps(found, default=str) if as_json else report_text(found))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(surge, name="surge")
