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

_PANEL = "How the file is read"
Maps = Annotated[
    list[str] | None, typer.Option("--map", help="field=column: where a field's values are.", rich_help_panel=_PANEL)
]
TimeFormat = Annotated[
    str | None,
    typer.Option("--time-format", help="strptime format of the times; RFC 3339 without it.", rich_help_panel=_PANEL),
]
_Sets = Annotated[
    list[str] | None, typer.Option("--set", help="field=value: the same for every record.", rich_help_panel=_PANEL)
]
_Ignore = Annotated[
    bool,
    typer.Option("--ignore-unknown", help="Pass over fields that Netcenter does not know.", rich_help_panel=_PANEL),
]
_Format = Annotated[
    str | None,
    typer.Option("--format", help="Read it as if its name ended in this: csv, jsonl, xlsx.", rich_help_panel=_PANEL),
]
_Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Such as cp1252; else by its byte order mark, or UTF-8.", rich_help_panel=_PANEL),
]
_Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter", help="Between CSV cells: one character, or tab; told by itself.", rich_help_panel=_PANEL
    ),
]
_Quote = Annotated[
    str, typer.Option("--quote", help="Around CSV cells; '' where nothing is quoted.", rich_help_panel=_PANEL)
]
_Escape = Annotated[
    str | None,
    typer.Option(
        "--escape", help="Before a quote in a CSV cell, where it is not doubled: \\\\.", rich_help_panel=_PANEL
    ),
]
_SkipLines = Annotated[
    int, typer.Option("--skip-lines", min=0, help="How many lines stand before the header.", rich_help_panel=_PANEL)
]
_Sheet = Annotated[
    str | None,
    typer.Option("--sheet", help="Of an .xlsx with several sheets: its name.", rich_help_panel=_PANEL),
]
_Rejects = Annotated[
    Path | None,
    typer.Option("--rejects", help="A CSV file for the refused rows: line, reason, row.", rich_help_panel=_PANEL),
]
_MaxRejects = Annotated[
    str,
    typer.Option(
        "--max-rejects", metavar="PERCENT", help="Of rows refused: above it, exit 1. 0: none.", rich_help_panel=_PANEL
    ),
]


def _chosen(
    maps: Maps = None,
    sets: _Sets = None,
    ignore_unknown: _Ignore = False,
    time_format: TimeFormat = None,
    format: _Format = None,
    encoding: _Encoding = None,
    delimiter: _Delimiter = None,
    quote: _Quote = '"',
    escape: _Escape = None,
    skip_lines: _SkipLines = 0,
    sheet: _Sheet = None,
    rejects: _Rejects = None,
    max_rejects: _MaxRejects = "1%",
) -> FileOptions:
    """The options as a record. Raises UsageError."""
    return FileOptions(
        map=pairs(maps, "--map"),
        set=pairs(sets, "--set"),
        ignore_unknown=ignore_unknown,
        time_format=time_format,
        format=format,
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        escape=escape,
        skip_lines=skip_lines,
        sheet=sheet,
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
    usual = FileOptions()
    own = set(inspect.signature(_chosen).parameters) | {"map", "set"}
    given = [field for field in options.__struct_fields__ if getattr(options, field) != getattr(usual, field)]
    return [f"--{field.replace('_', '-')}" for field in given if field in own]
