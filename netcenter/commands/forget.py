"""`netcenter forget`: erases a customer."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from netcenter.commands.options import Json


def forget(
    brand: Annotated[str, typer.Argument(help="Whose customer.")],
    channel: Annotated[str, typer.Argument(help="On which network.")],
    author_id: Annotated[str, typer.Argument(help="The network's id of the customer.")],
    id: Annotated[
        str | None,
        typer.Option("--id", help="Your id of the request: asked again with it within a day, nothing changes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Forget a customer: the case ends, PostgreSQL deletes the customer's data, and the log keeps it until retention
    ends.

    Example: netcenter forget andina twitter 4711 --id request-2026-17
    """
    from netcenter.operate.forget import forget as append
    from netcenter.operate.forget import retention_of_customers
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    action_id = append(settings, kafka_of(settings), brand, channel, author_id, id)
    if as_json:
        print(json.dumps({"action_id": action_id, "retention": retention_of_customers()}))
        return
    print(f"appended to {settings.prefix}mentions as action {action_id}")
    print("cases ends the customer's case, and PostgreSQL erases what was posted up to here, when they have read it")
    print(f"the logs go on holding what was written until their retention: {retention_of_customers()}")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(forget)
