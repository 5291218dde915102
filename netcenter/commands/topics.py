"""`netcenter topics`: creates the topics that the pipeline needs in Kafka, and prints the rights of its users."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from netcenter.commands.options import Json
from netcenter.errors import UsageError
from netcenter.policies import DEFAULT_POLICY
from netcenter.rights.user_names import DEFAULT, checked_pattern
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


@topics.command("acls")
def topics_acls(
    form: Annotated[
        Literal["table", "kafka-acls", "strimzi"],
        typer.Option("--format", help="A table, commands of kafka-acls.sh, or KafkaUser resources of Strimzi."),
    ] = "table",
    prefix: Annotated[str | None, typer.Option(help="Of topics and groups; NETCENTER_PREFIX without it.")] = None,
    user: Annotated[
        str, typer.Option(help="The pattern of user names, with {user} and, if you like, {prefix}.")
    ] = DEFAULT,
    cluster: Annotated[str, typer.Option("--strimzi-cluster", help="The name of Strimzi's Kafka resource.")] = "kafka",
    authentication: Annotated[
        Literal["scram-sha-512", "tls"], typer.Option(help="How a KafkaUser of Strimzi proves who it is.")
    ] = "scram-sha-512",
) -> None:
    """Print the least rights in Kafka of each role, of the commands, and of other programs. Nothing is changed.

    Example: netcenter topics acls --format strimzi --strimzi-cluster kafka
    """
    from netcenter.rights.kafka_acls import kafka_acls
    from netcenter.rights.kafka_users import kafka_users
    from netcenter.rights.rights_table import rights_table
    from netcenter.rights.strimzi_users import strimzi_users

    pattern = checked_pattern(user)
    chosen = load().prefix if prefix is None else prefix
    users = kafka_users(chosen)
    if form == "strimzi":
        print(strimzi_users(users, pattern, chosen, cluster, authentication), end="")
    elif form == "kafka-acls":
        print(kafka_acls(users, pattern, chosen))
    else:
        print(rights_table(users, pattern, chosen))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(topics, name="topics")
