"""`netcenter alert`: what fires, whom it was told and what they answered, and a test of the receivers."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json, duration
from netcenter.errors import UsageError
from schemas.names import NAME, NAME_FORM
from schemas.records import AlertDelivery

alert = typer.Typer(help="Alerts: what fires, who was told of it, and a test.", cls=CommandGroup)

_Fingerprint = Annotated[str, typer.Argument(help="The alert's fingerprint, or a part of it that no other has.")]


@alert.command("list")
def alert_list(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    brand: Annotated[str | None, typer.Option(help="Only those of this brand.")] = None,
    as_json: Json = False,
) -> None:
    """List the alerts that fire: since when, what it is, whom it was told and what they answered.

    Example: netcenter alert list --brand andina
    """
    from netcenter.broker.alert_log import alert_histories
    from netcenter.operate.alert_report import list_text, show_json
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    found = [
        one
        for one in alert_histories(settings, kafka_of(settings)).values()
        if (every or one.fires) and brand in (None, one.last.brand)
    ]
    if as_json:
        for one in found:
            print(json.dumps(show_json(one)))
        return
    print(list_text(found))


@alert.command("show")
def alert_show(fingerprint: _Fingerprint, as_json: Json = False) -> None:
    """Show an alert with each of its versions that the log has, and what each receiver answered, and how fast.

    Example: netcenter alert show sla_breach:andina:care
    """
    from netcenter.broker.alert_log import alert_histories
    from netcenter.operate.alert_report import find_history, show_json, show_text
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    found = find_history(alert_histories(settings, kafka_of(settings)), fingerprint)
    print(json.dumps(show_json(found)) if as_json else show_text(found))


@alert.command("explain")
def alert_explain(fingerprint: _Fingerprint, as_json: Json = False) -> None:
    """Explain an alert: why it fires, whom it was told and why nobody else, and what ends it.

    Example: netcenter alert explain sla_breach:andina:care
    """
    from netcenter.broker.alert_log import alert_histories
    from netcenter.broker.policy_topic import policy_log
    from netcenter.operate.alert_explained import explain_json, explain_text
    from netcenter.operate.alert_report import find_history
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    kafka = kafka_of(settings)
    history, policies = find_history(alert_histories(settings, kafka), fingerprint), policy_log(settings, kafka)
    print(json.dumps(explain_json(history, policies)) if as_json else explain_text(history, policies))


@alert.command("test")
def alert_test(
    route: Annotated[str | None, typer.Argument(help="A route of the policy in force.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(help="In place of a route: a receiver, by the name of its role; may be repeated."),
    ] = None,
    brand: Annotated[str, typer.Option(help="The brand that the test alert names.")] = "test",
    severity: Annotated[
        Literal["info", "warning", "page"], typer.Option(help="A page may wake whoever is on call.")
    ] = "info",
    wait: Annotated[str, typer.Option(help="How long to wait for the answers.")] = "30s",
    as_json: Json = False,
) -> None:
    """Send a test alert and its resolution, and print what each receiver answers. It exits with 1 where one does not accept.

    Example: netcenter alert test pages --severity page
    """
    from netcenter.broker.policy_topic import policy_in_force
    from netcenter.operate.alert_trial import (
        AlertTrial,
        receivers_called,
        receivers_of_route,
        try_receivers,
    )
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    if NAME.fullmatch(brand) is None:
        raise UsageError(f"brand: {brand!r} is no name of a brand: use {NAME_FORM}")
    if (route is None) == (not to):
        raise UsageError("write a route of the policy, or --to and a receiver: see `netcenter alert test --help`")
    seconds = duration(wait, "--wait") / 1000
    settings = load()
    kafka = kafka_of(settings)
    policy = policy_in_force(settings, kafka)
    if route is None:
        chosen = receivers_called(to or [])
    else:
        chosen, others = receivers_of_route(settings, kafka, policy, route)
        for name in others:
            said = f"{name}: left out, because no worker of it was ever started here"
            print(said, file=sys.stderr if as_json else sys.stdout)
    trial = AlertTrial(route or "-".join(chosen), chosen, brand, severity, policy)
    try_receivers(settings, kafka, trial, seconds, _print_json if as_json else _print_answer)


def _print_answer(delivery: AlertDelivery) -> None:
    what = "test alert" if delivery.state == "firing" else "resolution"
    print(f"{delivery.receiver}: {what} {delivery.outcome.replace('_', ' ')}: {delivery.answer}", flush=True)


def _print_json(delivery: AlertDelivery) -> None:
    told = {name: getattr(delivery, name) for name in ("receiver", "state", "outcome", "answer")}
    print(json.dumps(told), flush=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(alert, name="alert")
