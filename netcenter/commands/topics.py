"""`netcenter topics apply`: creates the topics that the pipeline needs in Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.options import Json
from netcenter.errors import UsageError
from netcenter.policies import DEFAULT_POLICY
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import load

topics = typer.Typer(help="Topics of the pipeline.", no_args_is_help=True)


@topics.command("apply")
def topics_apply(
    clock: Annotated[
        str, typer.Option(help="Whose clock the log follows: wall (live) or event (files are played).")
    ] = "wall",
    policy: Annotated[Path, typer.Option(help="Seeds a new log's policy.")] = DEFAULT_POLICY,
    force: Annotated[bool, typer.Option("--force", help="Also where its classifier is not on this machine.")] = False,
    as_json: Json = False,
) -> None:
    """Create the topics that are missing; on a new log declare the clock and put the first policy in force.

    Example: netcenter topics apply --clock wall
    """
    from netcenter.broker.provisioning import apply
    from netcenter.commands.policy_files import to_apply

    if clock not in ("wall", "event"):
        raise UsageError(f"--clock: {clock!r} is neither wall nor event")
    settings = load()
    text, _ = to_apply(policy, force=force)
    created = apply(settings, kafka_of(settings), clock, text)  # type: ignore[arg-type]
    print(
        json.dumps({"created": created})
        if as_json
        else f"{len(created)} topics created"
        if created
        else "all topics are there"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(topics, name="topics")
