"""What a group is told beside each offset: the event time there, and where the worker that told it can be asked."""

from __future__ import annotations

import re

_FORM = re.compile(r"(\d+)(?: (\S*:\d+))?")


def address(host: str, port: int) -> str:
    """host:port, an IPv6 host in brackets as in a URL; empty for an empty host."""
    if not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def metadata(time: int, asked_at: str) -> str:
    """Of a committed offset: `<event time in ms> <host>:<port>`."""
    return f"{time} {asked_at}".rstrip()


def parsed(metadata: str | None) -> tuple[int, str]:
    """(event time in ms, host:port); 0 and an empty text for what is not told, as by a tool that has set the offset."""
    found = _FORM.fullmatch(metadata or "")
    return (int(found[1]), found[2] or "") if found else (0, "")
