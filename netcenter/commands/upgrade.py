"""`netcenter upgrade`: what a rollout of this release means."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json
from netcenter.console import OutputConsole
from netcenter.errors import CommandError

upgrade = typer.Typer(help="Before a rollout.", cls=CommandGroup)


@upgrade.command("check")
def upgrade_check(as_json: Json = False) -> None:
    """Say what this release will do with each role's state, and what it cannot read. It changes nothing.

    Example: netcenter upgrade check
    """
    from netcenter.operate.upgrade_check import check
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    findings = check(settings, kafka_of(settings))
    if as_json:
        print(json.dumps([{**asdict(finding), "ok": finding.ok} for finding in findings]))
    else:
        console = OutputConsole()
        for finding in findings:
            mark = "[green]ok[/green]   " if finding.ok else "[red]wrong[/red]"
            console.print(f"{mark} {finding.subject}: {finding.message}", highlight=False, soft_wrap=True)
    if not all(finding.ok for finding in findings):
        wrong = sum(not finding.ok for finding in findings)
        raise CommandError(f"{wrong} of {len(findings)} must be mended before the rollout")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(upgrade, name="upgrade")
