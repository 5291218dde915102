"""`netcenter rescale`: moves an installation to another number of partitions."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from netcenter.commands.options import Json
from netcenter.errors import CommandError
from schemas.times import rfc3339


def rescale(
    old: Annotated[str, typer.Option("--from", help="The prefix of the log that is to be continued.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what stands in the way; changes nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Continue a log under another prefix, with another number of partitions and the same state. NETCENTER_PREFIX and
    NETCENTER_PARTITIONS are those of the new log. The workers of both are stopped meanwhile. See docs/growth.md.

    Example: NETCENTER_PREFIX=second. NETCENTER_PARTITIONS=16 netcenter rescale --from first. --check
    """
    from netcenter.operate.savepoint import rescale as rescaling
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    kafka = kafka_of(settings)
    if check:
        found = list(rescaling.obstacles(settings, kafka, old))
        print(json.dumps({"obstacles": found}) if as_json else "\n".join(found) or "nothing stands in the way")
        if found:
            raise CommandError(f"{len(found)} obstacles: nothing was changed")
        return
    done = rescaling.rescale(settings, kafka, old)
    if done is None:
        print(
            json.dumps({"moved": {}}) if as_json else f"{old!r} was moved to {settings.prefix!r} before: nothing to do"
        )
        return
    if as_json:
        print(json.dumps({"partitions": done.partitions, "watermark": done.head.watermark, "moved": done.moved}))
        return
    for role, count in done.moved.items():
        print(f"{role}: {count:,} state records")
    print(
        f"{settings.prefix!r} with {done.partitions} partitions continues {old!r} ({done.head.partitions} partitions) from "
        f"{rfc3339(done.head.watermark)}: point what writes to the new topics, then start the workers of the new prefix"
    )


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(rescale)
