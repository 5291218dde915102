"""`netcenter postgres`: the projection's tables, and who may read and write them."""

from __future__ import annotations

from typing import Annotated

import typer

from netcenter.commands.command_group import CommandGroup

postgres = typer.Typer(help="The projection's tables in PostgreSQL.", cls=CommandGroup)


@postgres.command("migrate")
def postgres_migrate() -> None:
    """Create the tables, or bring them to this release; the user of NETCENTER_POSTGRES becomes or is their owner.

    A postgres worker does the same at its start if its user has the rights. Example: netcenter postgres migrate
    """
    from netcenter.operate.postgres_roles import migrate
    from netcenter.runtime.endpoints import postgres_of
    from netcenter.settings import load

    migrate(postgres_of(load()))
    print("the tables are those of this release")


@postgres.command("roles")
def postgres_roles(
    apply: Annotated[bool, typer.Option("--apply", help="Run the SQL too, in one transaction.")] = False,
) -> None:
    """Print the SQL of the roles netcenter_reader and netcenter_writer, with the least rights that each needs.

    The tables must be there. Grant the roles to the users that dashboards and workers connect as.

    Example: netcenter postgres roles --apply
    """
    from netcenter.operate.postgres_roles import roles
    from netcenter.runtime.endpoints import postgres_of
    from netcenter.settings import load

    for statement in roles(postgres_of(load()), apply=apply):
        print(f"{statement};")


@postgres.command("continue")
def postgres_continue(
    old: Annotated[
        str | None,
        typer.Option(
            "--from", help="The prefix of the log whose records the tables hold; leave it out if that is gone."
        ),
    ] = None,
) -> None:
    """Make the tables go on with the log of NETCENTER_PREFIX, which continues another log. See docs/growth.md.

    Example: NETCENTER_PREFIX=second. netcenter postgres continue --from first.
    """
    from netcenter.operate.postgres_continue import go_on
    from netcenter.runtime.endpoints import kafka_of, postgres_of
    from netcenter.settings import load

    settings = load()
    changed = go_on(settings, kafka_of(settings), postgres_of(settings), old)
    if changed is None:
        print("the tables hold no position of a log: nothing to do")
    else:
        print(f"{changed:,} rows changed: start the worker of {settings.prefix}postgres")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(postgres, name="postgres")
