"""`netcenter rebuild`: fills PostgreSQL's tables, or the state of a deciding role, again from the log."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from netcenter.commands.options import Json
from netcenter.commands.progress_bar import bar
from netcenter.console import OutputConsole
from netcenter.errors import UsageError

if TYPE_CHECKING:
    from netcenter.operate.rebuild import Rebuilt
    from netcenter.operate.rebuild_state import RebuiltPartition
    from netcenter.settings import Settings


def rebuild(
    role: Annotated[str, typer.Argument(help="postgres, or a role that decides: classify, cases, …")] = "postgres",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave PostgreSQL's old tables in schema netcenter_replaced, until the next rebuild."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Build PostgreSQL's tables again from the log, beside the live tables, and swap them in; workers keep running.
    Rows that the log no longer has are copied; every forget is applied first. See docs/postgres.md.

    With a role that decides: make its state again from its input topic. Its workers stop meanwhile, the others keep
    running, and nothing is written twice. See docs/upgrade.md.

    Example: netcenter rebuild cases --yes
    """
    from netcenter.pipeline import PROJECTION
    from netcenter.settings import load

    settings = load()
    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody can be asked here: say --yes")
    if role == PROJECTION:
        _rebuild_tables(settings, yes, keep, as_json)
    elif keep:
        raise UsageError(f"--keep: of PostgreSQL's tables alone, not of {role}")
    else:
        _rebuild_state(settings, role, yes, as_json)


def _rebuild_state(settings: Settings, name: str, yes: bool, as_json: bool) -> None:
    from netcenter import workers
    from netcenter.operate.rebuild_state import StateRebuild
    from netcenter.runtime.endpoints import kafka_of

    role = workers.deciding_role(name)
    console = Console(stderr=True)
    shown = bar(console, disable=not console.is_terminal)
    task = shown.add_task(role.input_topic, total=0)
    work = StateRebuild(
        settings,
        kafka_of(settings),
        role,
        say=lambda line: console.print(line, highlight=False, soft_wrap=True),
        told=lambda what, read, total: shown.update(task, description=what, completed=read, total=total),
    )
    for loss in work.losses():
        console.print(loss, highlight=False, soft_wrap=True)
    asked = f"Workers of {name} stop until its state is made again from {role.input_topic}. Rebuild?"
    if not yes and not typer.confirm(asked, err=True):
        print("nothing was done")
        return
    shown.start()
    try:
        done = work.run()
    finally:
        shown.stop()
    _show_state(name, done, as_json)


def _show_state(name: str, done: list[RebuiltPartition], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(one) for one in done]))
        return
    for one in done:
        lost = f"; {one.lost:,} offsets before the log's beginning are lost" if one.lost else ""
        print(
            f"{one.partition}: {one.state:,} records of state from {one.read:,} records read; {name} goes on from offset "
            f"{one.position}{lost}"
        )
    print(f"start the workers of {name} again, where nothing restarts them")


def _rebuild_tables(settings: Settings, yes: bool, keep: bool, as_json: bool) -> None:
    """Rebuild the tables of PostgreSQL."""
    from netcenter.operate.rebuild import rebuild as build
    from netcenter.runtime.endpoints import kafka_of, postgres_of

    kafka, uri = kafka_of(settings), postgres_of(settings)
    console = Console(stderr=True)

    shown = bar(console, disable=not console.is_terminal)
    task = shown.add_task("forgets", total=0)

    def agreed(size: int) -> bool:
        asked = f"PostgreSQL's tables take {_bytes(size)}; the new ones take about as much beside them. Rebuild?"
        if not yes and not typer.confirm(asked, err=True):
            return False
        shown.start()  # start the bar only now, because drawing it would hide the question
        return True

    try:
        done = build(
            settings,
            kafka,
            uri,
            keep=keep,
            agreed=agreed,
            say=lambda line: console.print(line, highlight=False),
            progress=lambda what, read, total: shown.update(task, description=what, completed=read, total=total),
        )
    finally:
        shown.stop()
    if done is None:
        print("nothing was done")
        return
    _show(done, as_json)
    if keep and not as_json:
        print("the old tables are in schema netcenter_replaced: drop it when you no longer want them")


def _show(done: Rebuilt, as_json: bool) -> None:
    """Print the rows of each table before and after, and the number of copied rows."""
    if as_json:
        tables = {
            name: {"before": before, "after": after, "copied": done.copied[name]}
            for name, (before, after) in done.tables.items()
        }
        print(json.dumps({**asdict(done), "copied": sum(done.copied.values()), "tables": tables}))
        return
    table = Table("table", "rows before", "rows now", "copied: the log has them no more")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, (before, after) in done.tables.items():
        table.add_row(name, f"{before:,}", f"{after:,}", f"{done.copied[name]:,}" if done.copied[name] else "")
    OutputConsole().print(table)
    print(f"{done.records:,} records read, {done.per_s:,} a second; {done.forgets} forgets; {done.seconds} s in all")


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 10_240:
            return f"{size:,} {unit}"
        size //= 1024
    return f"{size:,} TB"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(rebuild)
