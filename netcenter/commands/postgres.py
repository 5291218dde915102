"""`netcenter postgres`: the projection's tables, and who may read and write them."""

from __future__ import annotations

from typing import Annotated

import typer

from netcenter.runtime.endpoints import postgres_of
from netcenter.settings import load

postgres = typer.Typer(help="The projection's tables in PostgreSQL.", no_args_is_help=True)


@postgres.command("migrate")
def postgres_migrate() -> None:
    """Create the tables, or bring them to this release; the user of NETCENTER_POSTGRES becomes or is their owner.

    A postgres worker does the same at its start if its user has the rights. Example: netcenter postgres migrate
    """
    from netcenter.operate.postgres_roles import migrate

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

    for statement in roles(postgres_of(load()), apply=apply):
        print(f"{statement};")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(postgres, name="postgres")
