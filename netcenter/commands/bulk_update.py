"""`netcenter bulk-update`: one action for many cases or posts."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

import typer

from netcenter.commands.options import Json, duration
from netcenter.commands.progress_bar import bar
from netcenter.errors import CommandError, UsageError
from schemas.records import Label

_PLACE = "Selection"
_DOING = "Doing it"


# long: its options are most of its lines
def bulk_update(
    action: Annotated[
        Literal["dismiss", "relabel", "resolve", "transfer", "escalate", "mute"],
        typer.Argument(help="dismiss and relabel: each post; the others: each case."),
    ],
    surge: Annotated[
        str | None,
        typer.Option(help="Posts of a surge, in its time: the beginning of its id.", rich_help_panel=_PLACE),
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(help="Posts about a root post: its native_id.", rich_help_panel=_PLACE)
    ] = None,
    author: Annotated[str | None, typer.Option(help="Of one customer: author_id.", rich_help_panel=_PLACE)] = None,
    like: Annotated[
        str | None, typer.Option(help="Posts that nearly repeat this one: its native_id.", rich_help_panel=_PLACE)
    ] = None,
    channel: Annotated[str | None, typer.Option(help="On one network.", rich_help_panel=_PLACE)] = None,
    desk: Annotated[str | None, typer.Option(help="Cases of one desk.", rich_help_panel=_PLACE)] = None,
    label: Annotated[Label | None, typer.Option(help="Of one label.", rich_help_panel=_PLACE)] = None,
    brand: Annotated[str | None, typer.Option(help="Of one brand.", rich_help_panel=_PLACE)] = None,
    reason: Annotated[
        Literal["spam", "troll", "duplicate", "not_ours"] | None, typer.Option(help="dismiss: why.")
    ] = None,
    to_label: Annotated[Label | None, typer.Option(help="relabel: the right label.")] = None,
    to_desk: Annotated[str | None, typer.Option(help="transfer: the desk to which the cases go.")] = None,
    until: Annotated[str | None, typer.Option("--for", help="mute: for how long, such as 24h.")] = None,
    note: Annotated[str | None, typer.Option(help="Your words, which stay with each action.")] = None,
    texts: Annotated[bool, typer.Option(help="Show what customers wrote in the examples.")] = False,
    most: Annotated[int, typer.Option(min=1, help="Refuse to do it to more than these.")] = 5_000,
    by: Annotated[str | None, typer.Option(help="Who wants it; --yes needs it.", rich_help_panel=_DOING)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only print.", rich_help_panel=_DOING)] = False,
    order: Annotated[
        str | None,
        typer.Option(help="An order's id, to go on with it: nothing is done twice.", rich_help_panel=_DOING),
    ] = None,
    wait: Annotated[
        str, typer.Option(help="How long to wait for progress in PostgreSQL.", rich_help_panel=_DOING)
    ] = "60s",
    as_json: Json = False,
) -> None:
    """Bulk update: do one action to all open cases or posts of a surge, a conversation, an author, a text, a desk or a label.

    Without --yes it prints what it would do, and does nothing. It answers nobody: a reply to many goes out by the tool that
    posts your replies, and `resolve` then ends their cases.

    Example: netcenter bulk-update dismiss --surge 4dfe4b8f --like 17351 --reason spam --by ana --yes
    """
    from netcenter.broker.log_time import now_of_log
    from netcenter.broker.log_writer import LogWriter
    from netcenter.broker.policy_topic import policy_in_force
    from netcenter.operate import bulk_order as work
    from netcenter.operate.bulk_selection import BulkSelection, bulk_change, find_targets
    from netcenter.operate.operator_records import checked_desks
    from netcenter.runtime.endpoints import kafka_of, postgres_of
    from netcenter.settings import load

    change = bulk_change(action, reason, to_label, to_desk, None if until is None else duration(until, "--for"))
    patience = duration(wait, "--wait") / 1000
    if yes and not by:
        raise UsageError("--by: say who wants it: each action names them")
    settings = load()
    uri, kafka = postgres_of(settings), kafka_of(settings)
    if to_desk:
        checked_desks([to_desk], policy_in_force(settings, kafka), "--to-desk")
    found = find_targets(uri, change, BulkSelection(brand, surge, conversation, author, like, channel, desk, label))
    wanted = work.BulkOrder(change, by or "", note, order or work.new_order_id())
    targets = work.still_to_do(uri, wanted, found.targets)
    told: dict[str, Any] = {"order": wanted.id, "targets": len(targets), "taken": 0, "over": 0, "pending": 0}
    if not as_json:
        print(work.preview(wanted, targets, found, texts))
    work.refuse_above(most, targets)
    if not (targets and yes):
        words = "nothing is to be done" if not targets else "nothing is done: --yes --by NAME does it"
        print(json.dumps(told) if as_json else words)
        return
    print(f"order {wanted.id}", flush=True, file=sys.stderr if as_json else sys.stdout)
    with LogWriter(settings, kafka, "bulk-update") as log, bar() as progress:
        task = progress.add_task(action, total=len(targets))
        run = work.BulkRun(log, uri, patience, lambda now: progress.update(task, completed=now.taken + now.over))
        result = run.carry_out(wanted, targets, now_of_log(settings, kafka))
    told |= {"taken": result.taken, "over": result.over, "pending": result.pending}
    print(json.dumps(told) if as_json else f"{result.taken:,} taken, {result.over:,} no longer open")
    if result.pending:
        raise CommandError(
            f"of {result.pending:,} nothing is to be seen: they changed nothing, or cases is behind (`netcenter lag`); "
            f"--order {wanted.id} goes on with the order"
        )


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("bulk-update")(bulk_update)
