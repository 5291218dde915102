"""surge explain, crisis open, crisis close."""

from __future__ import annotations

import json
import time
from typing import Annotated, Literal

import typer

from netcenter.commands.options import Json
from netcenter.errors import UsageError
from netcenter.ingest.into_kafka import Log
from netcenter.runtime.endpoints import kafka_of, postgres_of
from netcenter.settings import load
from schemas import ids
from schemas.records import CrisisDeclared
from schemas.requirements import NAME

surge = typer.Typer(help="Surges: what is known of one.", no_args_is_help=True)
crisis = typer.Typer(help="A person declares a crisis of a brand, or that it is over.", no_args_is_help=True)
_Brand = Annotated[str, typer.Argument(help="As mentions have it.")]
_By = Annotated[str, typer.Option(help="Who says so.")]
_Reason = Annotated[str, typer.Option(help="Why, in one line.")]


@surge.command("explain")
def explain(
    id: Annotated[str, typer.Argument(help="The surge's id, or its beginning; alerts and surge_history name it.")],
    as_json: Json = False,
) -> None:
    """What a surge is judged by, as PostgreSQL holds it: how much, since when, about what, and what to expect.

    Example: netcenter surge explain 4dfe4b8f
    """
    from netcenter.operate import surge_report as surge_explained

    found = surge_explained.find(postgres_of(load()), id)
    print(json.dumps(found, default=str) if as_json else surge_explained.told(found))


@crisis.command("open")
def open_(brand: _Brand, by: _By, reason: _Reason) -> None:
    """All hands: it lasts until a person closes it. One that is open already stays as it is.

    Example: netcenter crisis open andina --by ana --reason "a fire at the airport"
    """
    _declare(brand, "open", by, reason)


@crisis.command("close")
def close(brand: _Brand, by: _By, reason: _Reason) -> None:
    """Back to normal, whoever opened it; the rule does not open it again in the same surge.

    Example: netcenter crisis close andina --by ana --reason "all passengers are rebooked"
    """
    _declare(brand, "close", by, reason)


def _declare(brand: str, change: Literal["open", "close"], by: str, reason: str) -> None:
    if NAME.fullmatch(brand) is None:
        raise UsageError(f"brand: {brand!r} is no name of a brand: it is made of a-z, 0-9, - and _")
    settings = load()
    now = int(time.time() * 1000)
    with Log(settings, kafka_of(settings)) as log:
        log.send(
            "volumes",
            CrisisDeclared(
                id=ids.make("crisis", brand, now, change), brand=brand, change=change, by=by, reason=reason, at=now
            ),
        )
    print(f"said: the crisis of {brand} {'opens' if change == 'open' else 'closes'}; the role surge decides it")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(surge, name="surge")
    app.add_typer(crisis, name="crisis")
