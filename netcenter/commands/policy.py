"""policy check, policy apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.policy import Policy, PolicyError, parse
from netcenter.commands.options import text_of
from netcenter.errors import UsageError
from netcenter.parts import lacks_model
from netcenter.places import kafka_of
from netcenter.settings import load

policy = typer.Typer(help="What the operator of Netcenter decides: one TOML file.", no_args_is_help=True)
_File = Annotated[Path, typer.Argument(help="A policy file.")]


def _parsed(path: Path) -> tuple[str, Policy]:
    text = text_of(path)
    try:
        return text, parse(text, name=str(path))
    except PolicyError as error:
        raise UsageError(str(error)) from None


@policy.command("check")
def check(file: _File) -> None:
    """Read a policy and say what is wrong in it, with line and field.

    Example: netcenter policy check my-policy.toml
    """
    _, found = _parsed(file)
    missing = lacks_model(found)
    print(f"{file}: good: {len(found.brands)} brands, {len(found.rules)} rules, {len(found.desks)} desks")
    if missing:
        print(f"{file}: on this machine a classify worker would wait for {missing}")


@policy.command("apply")
def apply(file: _File) -> None:
    """Put a policy in force through the log, for everyone at the same record.

    Example: netcenter policy apply my-policy.toml
    """
    from netcenter import policies_in_force

    text, _ = _parsed(file)
    settings = load()
    print(f"policy {policies_in_force.apply(settings, kafka_of(settings), text)} is in the log")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(policy, name="policy")
