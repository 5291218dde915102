"""Options that several commands share, and the functions that read them."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from netcenter.errors import UsageError

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON on stdout.")]


def duration(text: str, option: str) -> int:
    """ms of "90s", "30m", "6h", "1d". Raises UsageError."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise UsageError(f"{option}: {text!r} is no duration: write 90s, 30m, 6h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def share(text: str, option: str) -> float:
    """The share of "1%", "0.5%" or "0". Raises UsageError."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?) ?%?", text)
    if match is None or float(match[1]) > 100:
        raise UsageError(f"{option}: {text!r} is no percentage: write 1%, 0.5% or 0")
    return float(match[1]) / 100


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


def text_of(path: Path) -> str:
    """A text file. Raises UsageError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text") from None
