"""`netcenter operators`: operators sign in, take breaks, answer offers and sign out."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json, duration, moment
from netcenter.errors import UsageError
from schemas.records import OfferAnswered, OperatorChanged
from schemas.times import rfc3339

if TYPE_CHECKING:
    from netcenter.operate.operator_records import Answer
    from netcenter.settings import Settings
    from streams.kafka_connection import KafkaConnection

operators = typer.Typer(help="Operators and what they are offered.", cls=CommandGroup)

_Who = Annotated[str, typer.Argument(help="The operator.")]
_Desks = Annotated[list[str] | None, typer.Option("--desk", help="Where; may be repeated. Without it: care.")]
_TheirDesks = Annotated[
    list[str] | None, typer.Option("--desk", help="Where; may be repeated. Without it: wherever they are signed in.")
]
_Desk = Annotated[str, typer.Option(help="Where.")]


def _log() -> tuple[Settings, KafkaConnection]:
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    return settings, kafka_of(settings)


def _send(settings: Settings, kafka: KafkaConnection, records: Iterable[OperatorChanged | OfferAnswered]) -> None:
    from netcenter.broker.log_writer import LogWriter

    with LogWriter(settings, kafka, "operators") as log:
        for record in records:
            log.send("desk", record)


@operators.command("sign-in")
def sign_in(
    operator: _Who,
    desk: _Desks = None,
    capacity: Annotated[int, typer.Option(min=1, help="Units of work at a time, at all desks together.")] = 3,
    language: Annotated[
        list[str] | None, typer.Option(help="es, pt or en; may be repeated. Without it: every language.")
    ] = None,
    skill: Annotated[
        list[str] | None, typer.Option(help="As the rules of the policy name it; may be repeated.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--for", help="How long, such as 8h; the policy's lease without it.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="When a shift begins that is planned ahead: RFC 3339. Without it: now.")
    ] = None,
) -> None:
    """An operator signs in at desks, now or later, and may be offered work from then on.

    Example: netcenter operators sign-in ana --desk care --language es --for 8h
    """
    from netcenter.broker.log_time import now_of_log
    from netcenter.broker.policy_topic import policy_in_force
    from netcenter.operate import operator_records
    from netcenter.operate.operator_records import Shift

    planned, lasts = moment(start, "--from"), None if until is None else duration(until, "--for")
    settings, kafka = _log()
    policy = policy_in_force(settings, kafka)
    desks = operator_records.checked_desks(desk or ["care"], policy)
    for name in operator_records.unasked_skills(skill or (), policy):
        print(f"no rule of the policy asks for the skill {name}: is it spelt as there?", file=sys.stderr)
    at = operator_records.shift_begins(planned, now_of_log(settings, kafka))
    shift = Shift(capacity, language or (), skill or ())
    _send(
        settings,
        kafka,
        operator_records.signed_in(operator, desks, at, None if lasts is None else at + lasts, shift),
    )
    begins = "has signed in" if planned is None else f"will sign in at {rfc3339(at)}"
    lease = "for as long as the policy's lease" if lasts is None else f"until {rfc3339(at + lasts)}"
    print(f"{operator} {begins} at {_named(desks)}, {lease}")


@operators.command("renew")
def renew(
    operator: _Who,
    desk: _TheirDesks = None,
    until: Annotated[
        str | None, typer.Option("--for", help="How long from now, such as 8h; the policy's lease without it.")
    ] = None,
) -> None:
    """An operator stays signed in for longer. Nothing else changes: neither capacity nor languages.

    Example: netcenter operators renew ana --desk care --for 2h
    """
    from netcenter.broker.log_time import now_of_log
    from netcenter.operate import operator_records

    lasts = None if until is None else duration(until, "--for")
    settings, kafka, desks = _present(operator, desk, planned=False)
    now = now_of_log(settings, kafka)
    end = None if lasts is None else now + lasts
    _send(settings, kafka, operator_records.present(operator, desks, "renewed", now, end))
    lease = "for as long as the policy's lease" if end is None else f"until {rfc3339(end)}"
    print(f"{operator} stays at {_named(desks)} {lease}")


@operators.command("pause")
def pause(
    operator: _Who,
    until: Annotated[
        str | None, typer.Option("--for", help="How long, such as 30m; until `operators resume` without it.")
    ] = None,
) -> None:
    """An operator takes a break from all desks: they keep what they have accepted, and are offered nothing.

    Example: netcenter operators pause ana --for 30m
    """
    from netcenter.broker.log_time import now_of_log
    from netcenter.operate import operator_records

    lasts = None if until is None else duration(until, "--for")
    settings, kafka, desks = _present(operator, None, planned=False)
    now = now_of_log(settings, kafka)
    end = None if lasts is None else now + lasts
    _send(settings, kafka, operator_records.present(operator, desks[:1], "paused", now, end))
    back = "until they resume" if end is None else f"until {rfc3339(end)}"
    print(f"{operator} pauses at {_named(desks)} {back}")


@operators.command("resume")
def resume(operator: _Who) -> None:
    """An operator is back from a break, and may be offered work again.

    Example: netcenter operators resume ana
    """
    from netcenter.broker.log_time import now_of_log
    from netcenter.operate import operator_records

    settings, kafka, desks = _present(operator, None, planned=False)
    _send(settings, kafka, operator_records.present(operator, desks[:1], "resumed", now_of_log(settings, kafka)))
    print(f"{operator} is back at {_named(desks)}")


@operators.command("sign-out")
def sign_out(operator: _Who, desk: _TheirDesks = None) -> None:
    """An operator signs out; the offered and accepted work goes back to the queue. A shift that is planned ahead is cancelled.

    Example: netcenter operators sign-out ana --desk care
    """
    from netcenter.broker.log_time import now_of_log
    from netcenter.operate import operator_records

    settings, kafka, desks = _present(operator, desk, planned=True)
    _send(settings, kafka, operator_records.present(operator, desks, "signed_out", now_of_log(settings, kafka)))
    print(f"{operator} has signed out of {_named(desks)}")


@operators.command("list")
def operators_list(as_json: Json = False) -> None:
    """List who is signed in where and until when, their load and capacity, what they hold, and the shifts ahead.

    Example: netcenter operators list
    """
    from netcenter.broker.desk_state import desk_standing
    from netcenter.operate.desk_people import people_json, people_text

    standing = desk_standing(*_log())
    print(
        json.dumps(people_json(standing.state, standing.now)) if as_json else people_text(standing.state, standing.now)
    )


def _present(operator: str, desks: list[str] | None, *, planned: bool) -> tuple[Settings, KafkaConnection, list[str]]:
    """The log, and the desks at which an operator is: those that are given, else all. planned: also those of shifts ahead.

    Raises UsageError where the operator is at none of them, as far as the state of the role desk can tell.
    """
    from netcenter.broker.desk_state import desk_standing
    from netcenter.operate.desk_people import checked_presence, desks_where

    settings, kafka = _log()
    standing = desk_standing(settings, kafka)
    unread = standing.unread(operator)
    if not desks:
        return settings, kafka, desks_where(standing.state, operator, unread, planned=planned)
    checked_presence(standing.state, operator, desks, unread, planned=planned)
    return settings, kafka, list(dict.fromkeys(desks))


def _at(desk: str) -> tuple[Settings, KafkaConnection]:
    """The log. Raises UsageError for a desk that the policy does not have."""
    from netcenter.broker.policy_topic import policy_in_force
    from netcenter.operate import operator_records

    settings, kafka = _log()
    operator_records.checked_desks([desk], policy_in_force(settings, kafka))
    return settings, kafka


def _named(desks: list[str]) -> str:
    return f"the desk {desks[0]}" if len(desks) == 1 else f"the desks {', '.join(desks)}"


_Offer = Annotated[str | None, typer.Argument(help="The offer: the id of its Offered event. Or use --customer.")]
_Customer = Annotated[
    str | None,
    typer.Option(help="In place of the offer's id: brand|channel|author of the customer whose case is offered."),
]


@operators.command("accept")
def accept(operator: _Who, offer: _Offer = None, customer: _Customer = None, desk: _Desk = "care") -> None:
    """An operator takes an offer.

    Example: netcenter operators accept ana --customer "andina|twitter|4711" --desk care
    """
    _answer(operator, offer, customer, desk, "accepted")


@operators.command("decline")
def decline(operator: _Who, offer: _Offer = None, customer: _Customer = None, desk: _Desk = "care") -> None:
    """An operator declines an offer; the work goes to the next operator.

    Example: netcenter operators decline ana 4b1f… --desk care
    """
    _answer(operator, offer, customer, desk, "declined")


def _answer(operator: str, offer: str | None, customer: str | None, desk: str, answer: Answer) -> None:
    from netcenter.broker.desk_state import desk_standing
    from netcenter.broker.log_time import now_of_log
    from netcenter.operate import operator_records
    from netcenter.operate.desk_people import not_open

    which = operator_records.named_offer(offer, customer)
    settings, kafka = _at(desk)
    if why := not_open(desk_standing(settings, kafka).state, operator, which):
        print(f"netcenter: {why}", file=sys.stderr)
    said = operator_records.answered(operator, desk, answer, now_of_log(settings, kafka), which)
    _send(settings, kafka, [said])
    print(f"{operator} has {answer} {offer or f'the offer of the case of {customer}'}")


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
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load
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
