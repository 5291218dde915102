"""dead list, dead show, dead replay."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from netcenter.commands.options import Json
from netcenter.errors import UsageError
from netcenter.letters import Letter, letters, put_back
from netcenter.places import kafka_of
from netcenter.settings import load
from schemas.headers import rfc3339
from schemas.jsonform import event

dead = typer.Typer(help="Records that could not be handled.", no_args_is_help=True)
_Topic = Annotated[str | None, typer.Option(help="Only those that came from this topic.")]


def _summary(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "error": letter.error,
        "message": letter.message,
        "at": rfc3339(letter.at),
    }


@dead.command("list")
def dead_list(topic: _Topic = None, as_json: Json = False) -> None:
    """List the dead letters, with where they stood and why they were set aside.

    Example: netcenter dead list --topic mentions
    """
    settings = load()
    found = [x for x in letters(settings, kafka_of(settings)) if topic is None or x.topic == topic]
    if as_json:
        for letter in found:
            print(json.dumps(_summary(letter)))
        return
    table = Table("id", "stood at", "stage", "error", "why", title=f"{len(found)} dead letters")
    for letter in found:
        table.add_row(
            letter.id, f"{letter.topic}/{letter.partition}/{letter.offset}", letter.stage, letter.error, letter.message
        )
    Console().print(table)


@dead.command("show")
def dead_show(id: Annotated[str, typer.Argument(help="As `dead list` gives it.")]) -> None:
    """Show one dead letter with its record, or its bytes where they cannot be read.

    Example: netcenter dead show mentions.dead/3/17
    """
    settings = load()
    letter = _one(list(letters(settings, kafka_of(settings))), id)
    record = letter.record()
    shown = dict(_summary(letter))
    key = (letter.key or b"").decode("utf-8", "replace")
    shown["key"] = key
    shown["headers"] = {name: value.decode("utf-8", "replace") for name, value in letter.headers}
    if record is not None:
        shown["record"] = event(record, key)
    else:
        shown["value_hex"] = None if letter.value is None else letter.value[:512].hex()
    print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


@dead.command("replay")
def dead_replay(
    ids: Annotated[list[str] | None, typer.Argument(help="As `dead list` gives them.")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every one (of --topic).")] = False,
    topic: _Topic = None,
) -> None:
    """Put dead letters back where they came from, after a fix; what was handled meanwhile is dropped by its id.

    Example: netcenter dead replay --all --topic mentions
    """
    if bool(ids) == all_of_them:
        raise UsageError("name the letters to put back, or say --all")
    settings = load()
    kafka = kafka_of(settings)
    found = [x for x in letters(settings, kafka) if topic is None or x.topic == topic]
    chosen = found if all_of_them else [_one(found, id) for id in ids or []]
    print(f"{put_back(settings, kafka, chosen)} put back")


def _one(found: list[Letter], id: str) -> Letter:
    for letter in found:
        if letter.id == id:
            return letter
    raise UsageError(f"there is no dead letter {id}: see `netcenter dead list`")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dead, name="dead")
