"""The options of every command that reads files of records."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from netcenter.commands.options import pairs, share
from netcenter.errors import UsageError
from netcenter.files.conditions import values_of
from netcenter.files.line import FileError
from netcenter.files.options import DAY_FIRST, MONTH_FIRST, FileOptions
from netcenter.files.own_replies import account
from netcenter.files.profile import beside, load, names

#: Options that say how records are made of rows.
_OF_RECORDS = frozenset(
    ("sets", "values", "ignore_unknown", "make_ids", "reply_if", "own_accounts", "reply_to", "reply_map", "profile")
)
_PANEL = "How the file is read"


def _option(*names: str, help: str, metavar: str | None = None, least: int | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, min=least, rich_help_panel=_PANEL)


_Profile = Annotated[
    str | None,
    _option(
        "--profile",
        help=f"{', '.join(names())}, or a FILE.toml of yours: a kind of file; what you give beside it wins.",
    ),
]
_Show = Annotated[
    int | None, _option("--show", metavar="N", least=1, help="Only print the records of the first rows; write nothing.")
]
Maps = Annotated[
    list[str] | None, _option("--map", metavar="FIELD=COLUMN", help="Where a field's values are; FIELD= for nowhere.")
]
TimeFormat = Annotated[
    str | None,
    _option("--time-format", help="twitter, or a strptime format; without it, every form that is without doubt."),
]
_Sets = Annotated[list[str] | None, _option("--set", metavar="FIELD=VALUE", help="The same for every record.")]
_Values = Annotated[
    list[str] | None, _option("--value", metavar="FIELD:OLD=NEW", help="A value of a field that stands for another.")
]
_Ignore = Annotated[bool, _option("--ignore-unknown", help="Pass over fields that Netcenter does not know.")]
_MakeIds = Annotated[
    bool, _option("--make-ids", help="A post without a sound id gets one, made of its author, time and words.")
]
_Zone = Annotated[str | None, _option("--zone", help="The zone of times without an offset: America/Bogota.")]
_Dates = Annotated[str | None, _option("--dates", help=f"{DAY_FIRST} or {MONTH_FIRST}, for 03/04/2015.")]
_Each = Annotated[
    str | None,
    _option("--each", metavar="COLUMN", help="Each element of this list is a record: --map text=COLUMN.text."),
]
_SkipIf = Annotated[list[str] | None, _option("--skip-if", metavar="COLUMN=VALUE", help="Which rows are left out.")]
_ReplyIf = Annotated[
    list[str] | None, _option("--reply-if", metavar="COLUMN=VALUE", help="Which rows are the brand's own answers.")
]
_Own = Annotated[
    str | None, _option("--own-accounts", metavar="A,B", help="Authors whose posts are the brand's own answers.")
]
_ReplyTo = Annotated[
    str | None, _option("--reply-to", metavar="COLUMN", help="The customer whom a row is about; others are the brand.")
]
_ReplyMap = Annotated[
    list[str] | None, _option("--reply-map", metavar="FIELD=COLUMN", help="The brand's answer in the row of the post.")
]
_Format = Annotated[
    str | None,
    _option("--format", help="Read it as if its name ended in this: csv, jsonl, xlsx."),
]
_Encoding = Annotated[
    str | None,
    _option("--encoding", help="Such as cp1252; else by its byte order mark, or UTF-8."),
]
_Delimiter = Annotated[
    str | None,
    _option("--delimiter", help="Between CSV cells: one character, or tab; told by itself."),
]
_Quote = Annotated[str, _option("--quote", help="Around CSV cells; '' where nothing is quoted.")]
_Escape = Annotated[
    str | None,
    _option("--escape", help="Before a quote in a CSV cell, where none is doubled: a backslash."),
]
_SkipLines = Annotated[int, _option("--skip-lines", least=0, help="How many lines stand before the header.")]
_Sheet = Annotated[
    str | None,
    _option("--sheet", help="Of an .xlsx with several sheets: its name."),
]
_Rejects = Annotated[
    Path | None, _option("--rejects", metavar="FILE", help="A CSV file for the refused rows: line, reason, row.")
]
_MaxRejects = Annotated[
    str, _option("--max-rejects", metavar="PERCENT", help="Of rows refused: above it, exit 1. 0: none may be.")
]


# long: a line for each option, twice
def _chosen(
    profile: _Profile = None,
    maps: Maps = None,
    sets: _Sets = None,
    values: _Values = None,
    ignore_unknown: _Ignore = False,
    make_ids: _MakeIds = False,
    time_format: TimeFormat = None,
    zone: _Zone = None,
    dates: _Dates = None,
    each: _Each = None,
    skip_if: _SkipIf = None,
    reply_if: _ReplyIf = None,
    own_accounts: _Own = None,
    reply_to: _ReplyTo = None,
    reply_map: _ReplyMap = None,
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
    given = FileOptions(
        map=pairs(maps, "--map"),
        set=pairs(sets, "--set"),
        value=_values_of(values),
        ignore_unknown=ignore_unknown,
        make_ids=make_ids,
        time_format=time_format,
        zone=zone,
        dates=_order(dates),
        each=each,
        skip_if=_conditions(skip_if, "--skip-if"),
        reply_if=_conditions(reply_if, "--reply-if"),
        own_accounts=_accounts(own_accounts),
        reply_to=reply_to,
        reply_map=pairs(reply_map, "--reply-map"),
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
    return given if profile is None else _beside(profile, given)


def _beside(profile: str, given: FileOptions) -> FileOptions:
    """The options of a profile with those that were given beside it. Raises UsageError."""
    try:
        return beside(load(profile), given)
    except FileError as error:
        raise UsageError(str(error)) from None


def _order(dates: str | None) -> str | None:
    """The value of --dates. Raises UsageError."""
    if dates not in (None, DAY_FIRST, MONTH_FIRST):
        raise UsageError(f"--dates: {dates!r} is not known: use {DAY_FIRST} or {MONTH_FIRST}")
    return dates


def _accounts(given: str | None) -> frozenset[str]:
    """The accounts of --own-accounts."""
    return frozenset(map(account, (given or "").split(","))) - {""}


def _conditions(given: list[str] | None, option: str) -> dict[str, frozenset[str]]:
    """column=value words as the values of each column. Raises UsageError."""
    found: dict[str, list[str]] = {}
    for word in given or []:
        for column, value in pairs([word], option).items():
            found.setdefault(column, []).append(value)
    return {column: values_of(values) for column, values in found.items()}


def _values_of(given: list[str] | None) -> dict[str, dict[str, str]]:
    """field:old=new words as a dict by field. Raises UsageError."""
    found: dict[str, dict[str, str]] = {}
    for word in given or []:
        field, colon, pair = word.partition(":")
        old, equals, new = pair.rpartition("=")
        if not (field and colon and equals):
            raise UsageError(f"--value {word!r}: write field:old=new, such as brand:AT&T=att")
        found.setdefault(field, {})[old] = new
    return found


_PARAMETERS = tuple(inspect.signature(_chosen, eval_str=True).parameters.values())
_SHOWN = inspect.Parameter("show", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Show)


def reads_files(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; its keyword argument `reading` is the FileOptions that they make.

    The options stand in its help where `reading` stands among its parameters. With --show the command itself does not run:
    the first records of its argument `file` or `files` are printed.
    """
    return _with_options(command, (*_PARAMETERS, _SHOWN))


def reads_labelled_files(command: Callable[..., None]) -> Callable[..., None]:
    """As `reads_files`, for a command that takes the labels of posts from a file which has some."""
    return _with_options(command, (*_PARAMETERS, _SHOWN), classified=True)


def reads_rows(command: Callable[..., None]) -> Callable[..., None]:
    """As `reads_files`, for a command that takes times and values from rows and makes no records of them."""
    return _with_options(command, tuple(one for one in _PARAMETERS if one.name not in _OF_RECORDS))


def _with_options(
    command: Callable[..., None], added: Sequence[inspect.Parameter], *, classified: bool = False
) -> Callable[..., None]:
    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        own = {one.name: given.pop(one.name) for one in added}
        show = own.pop(_SHOWN.name, None)
        options = msgspec.structs.replace(_chosen(**own), classified=classified)
        if show is None:
            command(**given, reading=options)
            return
        named = given.get("files") or [path for path in (given.get("file"),) if path is not None]
        if not named:
            raise UsageError("--show: name a file")
        from netcenter.commands.shown_records import show_records

        show_records(named, options, show)

    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        parameters += added if one.name == "reading" else (one,)
    by_name = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    vars(with_options)["__signature__"] = signature.replace(parameters=by_name)
    return with_options


def given_options(options: FileOptions) -> list[str]:
    """The names of the options that were given, as on the command line."""
    usual = FileOptions()
    own = set(inspect.signature(_chosen).parameters) | {"map", "set", "value"}
    given = [field for field in options.__struct_fields__ if getattr(options, field) != getattr(usual, field)]
    return [f"--{field.replace('_', '-')}" for field in given if field in own]
