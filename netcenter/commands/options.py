"""Options that several commands share, and the functions that read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from netcenter.errors import UsageError
from netcenter.files.file_reader import read
from netcenter.files.line import FileError, Line, PolicyText

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

Maps = Annotated[list[str] | None, typer.Option("--map", help="field=column: where a field's values are.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="field=value: the same for every record.")]
Ignore = Annotated[bool, typer.Option("--ignore-unknown", help="Pass over fields that Netcenter does not know.")]
TimeFormat = Annotated[
    str | None, typer.Option("--time-format", help="strptime format of the times; RFC 3339 without it.")
]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]


def duration(text: str, option: str) -> int:
    """ms of "90s", "30m", "6h", "1d". Raises UsageError."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise UsageError(f"{option}: {text!r} is no duration: write 90s, 30m, 6h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """field=value words as a dict. Raises UsageError."""
    found = {}
    for word in given or []:
        field, equals, value = word.partition("=")
        if not equals or not field:
            raise UsageError(f"{option} {word!r}: write field=value")
        found[field] = value
    return found


def moment(text: str | None, option: str) -> int | None:
    """ms of an RFC 3339 time; None stays None. Raises UsageError."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is no time: write 2026-11-20T14:03:00Z") from None
    if found.tzinfo is None:
        raise UsageError(f"{option}: {text!r} has no offset: add Z for UTC, or one such as -05:00")
    return round(found.timestamp() * 1000)


def read_lines(
    path: Path,
    maps: list[str] | None,
    sets: list[str] | None,
    ignore: bool,
    time_format: str | None,
    *,
    classified: bool = False,
) -> Iterator[Line]:
    """The lines of a file, one by one. For `classified` see `netcenter.files.file_reader.read`.

    Raises UsageError, which names file, line and field.
    """
    try:
        yield from read(
            path,
            map=pairs(maps, "--map"),
            set=pairs(sets, "--set"),
            ignore_unknown=ignore,
            time_format=time_format,
            classified=classified,
        )
    except FileError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def read_file(
    path: Path, maps: list[str] | None, sets: list[str] | None, ignore: bool, time_format: str | None
) -> list[Line]:
    """The lines of a file. Raises UsageError naming file, line and field."""
    return list(read_lines(path, maps, sets, ignore, time_format))


def read_to_play(
    path: Path, maps: list[str] | None, sets: list[str] | None, ignore: bool, time_format: str | None
) -> list[Line]:
    """The lines of a file that is played into a log, where a policy comes into force for everyone at once. Raises
    UsageError naming file, line and field, also for a line that holds a policy.
    """
    lines = read_file(path, maps, sets, ignore, time_format)
    policy = next((line for line in lines if isinstance(line.record, PolicyText)), None)
    if policy is not None:
        raise UsageError(
            f"{path}:{policy.number}: type: a policy in a file counts in `netcenter replay` only: take the line out, and "
            "run `netcenter policy apply` with the policy's file when it is to hold"
        )
    return lines


def text_of(path: Path) -> str:
    """A text file. Raises UsageError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
