"""The options of every command that reads files of records."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from netcenter.commands.options import pairs, share
from netcenter.files.options import FileOptions

Maps = Annotated[list[str] | None, typer.Option("--map", help="field=column: where a field's values are.")]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="strptime format of the times; RFC 3339 without it.")
]
_Sets = Annotated[list[str] | None, typer.Option("--set", help="field=value: the same for every record.")]
_Ignore = Annotated[bool, typer.Option("--ignore-unknown", help="Pass over fields that Netcenter does not know.")]
_Rejects = Annotated[Path | None, typer.Option("--rejects", help="A CSV file for the refused rows: line, reason, row.")]
_MaxRejects = Annotated[
    str, typer.Option("--max-rejects", metavar="PERCENT", help="Of rows refused: above it, exit 1. 0: none may be.")
]


def _chosen(
    maps: Maps = None,
    sets: _Sets = None,
    ignore_unknown: _Ignore = False,
    time_format: TimeFormat = None,
    rejects: _Rejects = None,
    max_rejects: _MaxRejects = "1%",
) -> FileOptions:
    """The options as a record. Raises UsageError."""
    return FileOptions(
        map=pairs(maps, "--map"),
        set=pairs(sets, "--set"),
        ignore_unknown=ignore_unknown,
        time_format=time_format,
        rejects=rejects,
        max_rejects=share(max_rejects, "--max-rejects"),
    )


_PARAMETERS = tuple(inspect.signature(_chosen, eval_str=True).parameters.values())


def reads_files(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; its keyword argument `reading` is the FileOptions that they make.

    The options stand in its help where `reading` stands among its parameters.
    """

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        own = {one.name: given.pop(one.name) for one in _PARAMETERS}
        command(**given, reading=_chosen(**own))

    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        parameters += _PARAMETERS if one.name == "reading" else (one,)
    by_name = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    vars(with_options)["__signature__"] = signature.replace(parameters=by_name)
    return with_options


def given_options(options: FileOptions) -> list[str]:
    """The names of the options that were given, as on the command line."""
    names = {
        "map": "--map",
        "set": "--set",
        "ignore_unknown": "--ignore-unknown",
        "time_format": "--time-format",
        "rejects": "--rejects",
        "max_rejects": "--max-rejects",
    }
    plain = FileOptions()
    return [name for field, name in names.items() if getattr(options, field) != getattr(plain, field)]
