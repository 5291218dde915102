"""`netcenter lag`: how far each role is behind."""

from __future__ import annotations

import json
from contextlib import closing

import typer
from rich.table import Table

from netcenter.commands.options import Json
from netcenter.console import OutputConsole


def lag(as_json: Json = False) -> None:
    """Show how far every role is behind, in records and in event time, and what blocks it in the log.

    Example: netcenter lag
    """
    from netcenter.broker.client import open_admin
    from netcenter.broker.lag import LagMonitor
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    kafka = kafka_of(settings)
    with closing(open_admin(kafka)) as client:
        rows = LagMonitor(settings, kafka, client).report()
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("role", "worker", "behind", "held back", "event time", "")
    for row in rows:
        wrong = [f"beyond the end of {', '.join(row['beyond_the_end'])}"] if row["beyond_the_end"] else []
        wrong += [f"{row['lost']:,} deleted unread"] if row["lost"] else []
        table.add_row(
            str(row["role"]),
            "yes" if row["running"] else "no",
            f"{row['behind']:,}",
            f"{row['held_back']:,}",
            str(row["time"] or "-"),
            "; ".join(wrong),
        )
    OutputConsole().print(table)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(lag)
