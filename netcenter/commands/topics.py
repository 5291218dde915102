"""`netcenter topics`: creates, seeds, compares and exports the topics of the pipeline, and prints the rights of its users."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json
from netcenter.errors import CommandError, UsageError
from netcenter.policies import DEFAULT_POLICY
from netcenter.rights.user_names import DEFAULT, checked_pattern
from schemas.records import Clock

topics = typer.Typer(help="Topics of the pipeline.", cls=CommandGroup)

_Clock = Annotated[
    str | None,
    typer.Option(
        help="Whose clock the log follows: wall (live) or event (files are played). Without it: its own; wall if new."
    ),
]
_Policy = Annotated[Path, typer.Option(help="The first policy of a new log.")]
_Source = Annotated[str | None, typer.Option(help="Where the policy comes from, such as git; see `policy apply`.")]
_Force = Annotated[bool, typer.Option("--force", help="Also where its classifier is not on this machine.")]


@topics.command("apply")
def topics_apply(
    clock: _Clock = None,
    policy: _Policy = DEFAULT_POLICY,
    source: _Source = None,
    force: _Force = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing: compare, and exit 1 on a difference.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Set the configs of topics that differ.")] = False,
    as_json: Json = False,
) -> None:
    """Create the topics that are missing, and seed the log where it has to be: declare its clock, and put the first policy
    in force. The command can be repeated.

    Example: netcenter topics apply --clock wall
    """
    from netcenter.broker.client import open_admin
    from netcenter.broker.provisioning import apply
    from netcenter.broker.topic_drift import drifts
    from netcenter.commands.policy_files import to_apply
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.runtime.signing import signatures_of
    from netcenter.settings import load

    settings, chosen = load(), _checked(clock)
    if check:
        _compare(as_json)
        return
    text, _ = to_apply(policy, force=force)
    signatures_of(settings)  # a wrong file of keys is said before a topic is made
    kafka = kafka_of(settings)
    done = apply(settings, kafka, chosen, text, source, repair=repair)
    with closing(open_admin(kafka)) as client:
        left = drifts(settings, client)
    if as_json:
        told = {"created": done.created, **done.seeded._asdict(), "repaired": done.repaired}
        print(json.dumps({**told, "drifts": [drift._asdict() for drift in left]}))
    else:
        print(f"{len(done.created)} topics created" if done.created else "all topics are there")
        print(done.seeded)
        if done.repaired:
            print(f"{done.repaired} configs set")
        for drift in left:
            print(drift)
    if repair and left:
        raise CommandError(f"{len(left)} differences are left, which this command cannot mend: see the lines above")


def _compare(as_json: bool) -> None:
    """Print every difference between the topics and what the pipeline needs. Raises CommandError where there are some."""
    from netcenter.broker.client import open_admin
    from netcenter.broker.seeding import told_unseeded, unseeded
    from netcenter.broker.topic_drift import drifts, missing
    from netcenter.broker.topics import settings_of_log
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    kafka = kafka_of(settings)
    with closing(open_admin(kafka)) as client:
        lacking = missing(settings, client)
        found = drifts(settings, client)
        bare = [] if lacking else unseeded(settings_of_log(settings, client), kafka, client)
    if as_json:
        print(json.dumps({"missing": lacking, "drifts": [d._asdict() for d in found], "unseeded": bare}))
    else:
        for line in (*([lacking] if lacking else []), *found, *([told_unseeded(settings, bare)] if bare else [])):
            print(line)
    faults = len(found) + bool(lacking) + bool(bare)
    if faults:
        raise CommandError(f"{faults} differences between the topics and what the pipeline needs")
    if not as_json:
        print("every topic is as the pipeline needs it")


@topics.command("seed")
def topics_seed(
    clock: _Clock = None,
    policy: _Policy = DEFAULT_POLICY,
    source: _Source = None,
    force: _Force = False,
    as_json: Json = False,
) -> None:
    """Write the first records of a log wherever they are missing, into topics that others have made: which clock the log
    follows, and the policy. The command can be repeated.

    Example: netcenter topics seed --clock wall
    """
    from netcenter.broker.seeding import seed
    from netcenter.commands.policy_files import to_apply
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.runtime.signing import signatures_of
    from netcenter.settings import load

    settings, chosen = load(), _checked(clock)
    text, _ = to_apply(policy, force=force)
    signatures_of(settings)
    done = seed(settings, kafka_of(settings), chosen, text, source)
    print(json.dumps(done._asdict()) if as_json else done)


@topics.command("export")
def topics_export(
    cluster: Annotated[str, typer.Option("--strimzi-cluster", help="The name of Strimzi's Kafka resource.")],
    namespace: Annotated[
        str | None, typer.Option(help="The namespace of the resources; else the one you apply to.")
    ] = None,
) -> None:
    """Print the topics as KafkaTopic resources, for a cluster in which Strimzi makes them. Then run `topics seed`.

    Example: netcenter topics export --strimzi-cluster kafka > topics.yaml
    """
    from netcenter.operate.topic_resources import strimzi_topics
    from netcenter.settings import load

    print(strimzi_topics(load(), cluster, namespace), end="")


def _checked(clock: str | None) -> Clock | None:
    if clock not in (None, "wall", "event"):
        raise UsageError(f"--clock: {clock!r} is neither wall nor event")
    return cast("Clock | None", clock)


@topics.command("acls")
def topics_acls(
    form: Annotated[
        Literal["table", "kafka-acls", "strimzi"],
        typer.Option("--format", help="A table, commands of kafka-acls.sh, or KafkaUser resources of Strimzi."),
    ] = "table",
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            help="Of topics and groups; NETCENTER_PREFIX without it. Several give each user its rights under all of them.",
        ),
    ] = None,
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
    from netcenter.settings import load

    prefixes = prefix or [load().prefix]
    pattern, chosen = checked_pattern(user, prefixes), prefixes[0]
    users = kafka_users(*prefixes)
    if form == "strimzi":
        print(strimzi_users(users, pattern, chosen, cluster, authentication), end="")
    elif form == "kafka-acls":
        print(kafka_acls(users, pattern, chosen))
    else:
        print(rights_table(users, pattern, chosen))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(topics, name="topics")
