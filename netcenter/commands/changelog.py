"""`netcenter changelog`: mends the changelog of a role."""

from __future__ import annotations

from typing import Annotated

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.errors import UsageError

changelog = typer.Typer(help="The topics that keep the roles' states.", cls=CommandGroup)


@changelog.command("remove")
def changelog_remove(
    role: Annotated[str, typer.Argument(help="The role whose changelog it is.")],
    partition: Annotated[int, typer.Argument(min=0, help="The partition of the changelog.")],
    key: Annotated[str | None, typer.Argument(help="The record's key; or give --offset.")] = None,
    offset: Annotated[int | None, typer.Option(help="The record's offset, where its key is no text.")] = None,
) -> None:
    """Take a record that another program wrote out of a role's changelog. A record of the role itself is left there.

    Example: netcenter changelog remove cases 3 some-key
    """
    from netcenter import workers
    from netcenter.operate.changelog_remove import remove
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    if (key is None) == (offset is None):
        raise UsageError("changelog remove: name the record by its key or by --offset")
    settings = load()
    print(remove(settings, kafka_of(settings), workers.deciding_role(role), partition, key=key, offset=offset))


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(changelog, name="changelog")
