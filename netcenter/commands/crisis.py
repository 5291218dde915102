"""`netcenter crisis`: a person opens or closes a crisis."""

from __future__ import annotations

import json
import time
from typing import Annotated, Literal

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json
from netcenter.errors import UsageError
from schemas import ids
from schemas.names import NAME, NAME_FORM
from schemas.records import CrisisDeclared
from schemas.times import rfc3339

crisis = typer.Typer(help="A person declares a crisis of a brand, or that it is over.", cls=CommandGroup)


_Brand = Annotated[str, typer.Argument(help="As mentions have it.")]


_By = Annotated[str, typer.Option(help="Who says so.")]


_Reason = Annotated[str, typer.Option(help="Why, in one line.")]


@crisis.command("open")
def open_(brand: _Brand, by: _By, reason: _Reason, as_json: Json = False) -> None:
    """Declare a crisis: it lasts until a person closes it. If a crisis is open already, nothing changes.

    Example: netcenter crisis open andina --by ana --reason "a fire at the airport"
    """
    _declare(brand, "open", by, reason, as_json)


@crisis.command("close")
def close(brand: _Brand, by: _By, reason: _Reason, as_json: Json = False) -> None:
    """Close a crisis, also one that the rule opened. The rule does not open it again in the same surge.

    Example: netcenter crisis close andina --by ana --reason "all passengers are rebooked"
    """
    _declare(brand, "close", by, reason, as_json)


def _declare(brand: str, change: Literal["open", "close"], by: str, reason: str, as_json: bool) -> None:
    from netcenter.broker.log_writer import LogWriter
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    if NAME.fullmatch(brand) is None:
        raise UsageError(f"brand: {brand!r} is no name of a brand: use {NAME_FORM}")
    settings = load()
    now = int(time.time() * 1000)
    declared = CrisisDeclared(
        id=ids.make("crisis", brand, now, change), brand=brand, change=change, by=by, reason=reason, at=now
    )
    with LogWriter(settings, kafka_of(settings), "crisis") as log:
        log.send("volumes", declared)
    if as_json:
        print(json.dumps({"id": declared.id, "brand": brand, "change": change, "at": rfc3339(now)}))
        return
    print(f"said: the crisis of {brand} {'opens' if change == 'open' else 'closes'}; the role surge decides it")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(crisis, name="crisis")
