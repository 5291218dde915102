"""`netcenter operators`: operators sign in, answer offers and sign out."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from netcenter.broker.log_writer import LogWriter
from netcenter.commands.options import duration
from netcenter.errors import UsageError
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import load
from schemas import ids
from schemas.records import OfferAnswered, OperatorChanged, Record

operators = typer.Typer(help="Operators and what they are offered.", no_args_is_help=True)


_Who = Annotated[str, typer.Argument(help="The operator.")]


_Desk = Annotated[str, typer.Option(help="Where.")]


def _send(record: Record) -> None:
    settings = load()
    with LogWriter(settings, kafka_of(settings), "operators") as log:
        log.send("desk", record)


def _now() -> int:
    return int(time.time() * 1000)


@operators.command("sign-in")
def sign_in(
    operator: _Who,
    desk: _Desk = "care",
    capacity: Annotated[int, typer.Option(min=1, help="Cases at a time.")] = 3,
    language: Annotated[list[str] | None, typer.Option(help="es, pt or en; none: any.")] = None,
    until: Annotated[
        str | None, typer.Option("--for", help="How long, such as 8h; the policy's lease without it.")
    ] = None,
) -> None:
    """An operator signs in at a desk, and may be offered work.

    Example: netcenter operators sign-in ana --desk care --language es --for 8h
    """
    now = _now()
    end = None if until is None else now + duration(until, "--for")
    _send(
        OperatorChanged(
            id=ids.make("operator", desk, operator, now, "signed_in"),
            desk=desk,
            operator=operator,
            change="signed_in",
            at=now,
            until=end,
            capacity=capacity,
            languages=language or [],
        )
    )
    print(f"{operator} has signed in at the desk {desk}")


@operators.command("sign-out")
def sign_out(operator: _Who, desk: _Desk = "care") -> None:
    """An operator signs out; the offered and accepted work goes back to the queue.

    Example: netcenter operators sign-out ana --desk care
    """
    now = _now()
    _send(
        OperatorChanged(
            id=ids.make("operator", desk, operator, now, "signed_out"),
            desk=desk,
            operator=operator,
            change="signed_out",
            at=now,
        )
    )
    print(f"{operator} has signed out of the desk {desk}")


def _answer(operator: str, offer: str, desk: str, answer: Literal["accepted", "declined"]) -> None:
    _send(
        OfferAnswered(
            id=ids.make("answer", offer, answer), desk=desk, operator=operator, offer_id=offer, answer=answer, at=_now()
        )
    )
    print(f"{operator} has {answer} {offer}")


_Offer = Annotated[str, typer.Argument(help="The Offered event's id.")]


@operators.command("accept")
def accept(operator: _Who, offer: _Offer, desk: _Desk = "care") -> None:
    """An operator takes an offer.

    Example: netcenter operators accept ana 4b1f… --desk care
    """
    _answer(operator, offer, desk, "accepted")


@operators.command("decline")
def decline(operator: _Who, offer: _Offer, desk: _Desk = "care") -> None:
    """An operator declines an offer; the work goes to the next operator.

    Example: netcenter operators decline ana 4b1f… --desk care
    """
    _answer(operator, offer, desk, "declined")


@operators.command("simulate")
def simulate(
    team: Annotated[Path, typer.Argument(help="A TOML file of operators: their shifts, habits and paces.")],
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 8h; until Ctrl-C without it.")
    ] = None,
) -> None:
    """Simulated operators sign in, answer offers and answer customers, to try a pipeline: never beside real customers.

    Example: netcenter operators simulate team.toml --for 8h
    """
    from netcenter.simulation.live import work
    from netcenter.simulation.team import TeamError, read_team

    try:
        found = read_team(team)
    except TeamError as error:
        raise UsageError(str(error)) from None
    end = None if lasts is None else time.monotonic() + duration(lasts, "--for") / 1000
    stop, settings = threading.Event(), load()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    wrote = work(
        settings,
        kafka_of(settings),
        found,
        lambda seconds: stop.wait(seconds) or (end is not None and time.monotonic() >= end),
    )
    print(
        f"{len(found.members):,} operators: {wrote['OfferAnswered']:,} offers answered, {wrote['Reply']:,} replies, "
        f"{wrote['OperatorChanged']:,} sign-ins and sign-outs"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(operators, name="operators")
