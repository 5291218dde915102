"""`netcenter desk`: the queue of a desk, and one case's way through the desks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json
from netcenter.errors import Unreachable

if TYPE_CHECKING:
    from netcenter.settings import Settings

desk = typer.Typer(help="The desks: who works on what, and why.", cls=CommandGroup)


@desk.command("show")
def show(
    name: Annotated[str | None, typer.Argument(metavar="DESK", help="Without it: a line for each desk.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Show so many cases of the queue.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the queue of a desk in its own order, with the reason of each place, who holds what, who is free, and to whom the next
    case goes and why.

    Example: netcenter desk show care
    """
    from netcenter.broker.desk_state import desk_standing
    from netcenter.operate.desk_report import desk_json, desk_text, summary_line
    from netcenter.operate.operator_records import checked_desks, desks_of
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    standing = desk_standing(settings, kafka_of(settings))
    names = sorted({*desks_of(standing.policy), *standing.desks()})
    if name is not None and name not in names:
        checked_desks([name], standing.policy, "DESK")
    seen = [standing.outlook(one, most) for one in ([name] if name else names)]
    for one in seen:
        if as_json:
            print(json.dumps(desk_json(standing.state, one, standing.now)))
        else:
            print(desk_text(standing.state, one, standing.now) if name else summary_line(standing.state, one))


@desk.command("explain")
def explain(
    case: Annotated[str, typer.Argument(help="The case's id, or its beginning; desk show and cases name it.")],
    as_json: Json = False,
) -> None:
    """Explain a case's way through the desks: each offer and why, returns, escalations, holding replies, and what it waits for.

    Example: netcenter desk explain 4dfe4b8f
    """
    from netcenter.broker.desk_state import desk_standing
    from netcenter.operate.desk_explained import history_json, history_text
    from netcenter.operate.work_history import find_history
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    kafka = kafka_of(settings)
    standing = desk_standing(settings, kafka)
    history = find_history(settings, kafka, _postgres(settings), case, standing.cases())
    item = standing.work_of(history.case_id)
    print(
        json.dumps(history_json(history, item, standing.now)) if as_json else history_text(history, item, standing.now)
    )


def _postgres(settings: Settings) -> str | None:
    """The URI of PostgreSQL; None where there is none."""
    from netcenter.runtime.endpoints import postgres_of

    try:
        return postgres_of(settings)
    except Unreachable:
        return None


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(desk, name="desk")
