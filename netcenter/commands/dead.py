"""dead list, dead show, dead redrive, dead discard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Column, Table

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json
from netcenter.console import OutputConsole
from netcenter.errors import UsageError
from schemas.times import rfc3339

if TYPE_CHECKING:
    from netcenter.broker.stored_dead_letters import StoredDeadLetter

dead = typer.Typer(help="Records that could not be handled.", cls=CommandGroup)
_Topic = Annotated[str | None, typer.Option(help="Only those that came from this topic.")]


def _summary(letter: StoredDeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "error": letter.error,
        "message": letter.message,
        "at": rfc3339(letter.at),
        "state": letter.state,
        "failed_again_as": letter.failed_again_as,
        "obstacle": letter.obstacle(),
    }


@dead.command("list")
def dead_list(topic: _Topic = None, as_json: Json = False) -> None:
    """List the dead letters: where each record was, why it failed, and whether it was redriven or discarded.

    Example: netcenter dead list --topic mentions
    """
    from netcenter.broker.redrive import state_text
    from netcenter.broker.stored_dead_letters import read_dead_letters
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    found = [x for x in read_dead_letters(settings, kafka_of(settings)) if topic is None or x.topic == topic]
    if as_json:
        for letter in found:
            print(json.dumps(_summary(letter)))
        return
    waiting = sum(letter.state == "waiting" for letter in found)
    title = f"{len(found)} dead letters, {waiting} of them waiting"
    # Never shorten an id, in a pipe or a narrow terminal: other commands need the whole id.
    whole = [Column(name, no_wrap=True) for name in ("id", "stood at")]
    table = Table(*whole, "stage", "error", "why", "state", title=title)
    for letter in found:
        place = f"{letter.topic}/{letter.partition}/{letter.offset}"
        table.add_row(letter.id, place, letter.stage, letter.error, letter.message, state_text(letter))
    OutputConsole().print(table)


@dead.command("show")
def dead_show(id: Annotated[str, typer.Argument(help="As `dead list` gives it.")]) -> None:
    """Show one dead letter with its record, or with the record's bytes where they cannot be decoded.

    Example: netcenter dead show mentions.dead/3/17
    """
    from netcenter.broker.stored_dead_letters import read_dead_letters
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load
    from schemas.jsonform import event

    settings = load()
    letter = _one(list(read_dead_letters(settings, kafka_of(settings))), id)
    record = letter.record()
    shown = dict(_summary(letter))
    key = (letter.key or b"").decode("utf-8", "replace")
    shown["key"] = key
    shown["headers"] = {name: (value or b"").decode("utf-8", "replace") for name, value in letter.headers}
    if record is not None:
        shown["record"] = event(record, key)
    else:
        shown["value_hex"] = None if letter.value is None else letter.value[:512].hex()
    print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


_Ids = Annotated[list[str] | None, typer.Argument(help="As `dead list` gives them.")]
_All = Annotated[bool, typer.Option("--all", help="Every one that waits (of --topic).")]


@dead.command("redrive")
def dead_redrive(ids: _Ids = None, all_of_them: _All = False, topic: _Topic = None, as_json: Json = False) -> None:
    """After a fix, send records again to the topics to which their producers wrote them; each record once.

    Example: netcenter dead redrive --all --topic mentions
    """
    from netcenter.broker.redrive import redrive
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    result = redrive(settings, kafka_of(settings), _chosen(ids, all_of_them), topic)
    if as_json:
        left = [{"id": letter.id, "why": letter.obstacle()} for letter in result.left]
        print(json.dumps({"redriven": result.done, "left": left}))
        return
    print(f"{result.done} redriven")
    for letter in result.left:
        print(f"{letter.id} cannot be redriven: {letter.obstacle()}")


@dead.command("discard")
def dead_discard(ids: _Ids = None, all_of_them: _All = False, topic: _Topic = None, as_json: Json = False) -> None:
    """Mark dead letters that nobody needs: they no longer wait, and stay in the log until its retention ends.

    Example: netcenter dead discard mentions.dead/3/17
    """
    from netcenter.broker.redrive import discard
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    result = discard(settings, kafka_of(settings), _chosen(ids, all_of_them), topic)
    print(json.dumps({"discarded": result.done}) if as_json else f"{result.done} discarded")


def _chosen(ids: list[str] | None, all_of_them: bool) -> list[str] | None:
    if bool(ids) == all_of_them:
        raise UsageError("name the dead letters, or say --all")
    return None if all_of_them else ids


def _one(found: list[StoredDeadLetter], id: str) -> StoredDeadLetter:
    for letter in found:
        if letter.id == id:
            return letter
    raise UsageError(f"there is no dead letter {id}: see `netcenter dead list`")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dead, name="dead")
