"""`netcenter doctor`: what is wrong, and what to do."""

from __future__ import annotations

import json

import typer

from netcenter.commands.options import Json
from netcenter.console import OutputConsole
from netcenter.errors import CommandError


def doctor(as_json: Json = False) -> None:
    """Check everything that Netcenter needs, and say what is wrong and what to do.

    Example: netcenter doctor
    """
    from netcenter.operate.doctor import examine
    from netcenter.settings import load

    findings = examine(load())
    if as_json:
        print(json.dumps([{"subject": f.subject, "ok": f.ok, "message": f.message} for f in findings]))
    else:
        console = OutputConsole()
        for finding in findings:
            mark = "[green]ok[/green]   " if finding.ok else "[red]wrong[/red]"
            console.print(f"{mark} {finding.subject}: {finding.message}", highlight=False, soft_wrap=True)
    if not all(f.ok for f in findings):
        raise CommandError(f"{sum(not f.ok for f in findings)} of {len(findings)} are wrong")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)
