"""What a group is told beside each offset: the event time there, what is due next, and where the worker can be asked."""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"(\d+)(?: (\S*:\d+))?(?: due=(\d+|never))?")
NEVER = 1 << 62
"""ms; due of a partition in which nothing waits for time."""


class Hint(NamedTuple):
    """Where a worker stands in a partition."""

    offset: int
    """Next to read."""
    time: int
    """ms of event time."""
    due: int = 0
    """ms; up to then the next Ticks change nothing but the time; 0: not known."""


def address(host: str, port: int) -> str:
    """host:port, an IPv6 host in brackets as in a URL; empty for an empty host."""
    if not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def metadata(hint: Hint, asked_at: str) -> str:
    """Of a committed offset: `<event time in ms> <host>:<port> due=<ms>`, what is not known left out."""
    due = "" if hint.due == 0 else f" due={'never' if hint.due >= NEVER else max(0, hint.due)}"
    return f"{hint.time} {asked_at}".rstrip() + due


def parsed(metadata: str | None) -> tuple[int, str, int]:
    """(event time in ms, host:port, due in ms), each 0 or empty where it is not told, as by a tool that has set the offset."""
    found = _FORM.fullmatch(metadata or "")
    if found is None:
        return 0, "", 0
    return int(found[1]), found[2] or "", NEVER if found[3] == "never" else int(found[3] or 0)
