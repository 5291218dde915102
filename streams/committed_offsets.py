"""The offsets that a worker commits to its group, and their metadata: event time, next timer, address of the worker."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from aiokafka.client import CoordinationType
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

_FORM = re.compile(r"(\d+)(?: (\S*:\d+))?(?: due=(\d+|never))?")
NEVER = 1 << 62
"""ms; `due` of a partition without timers."""


class CommittedOffset(NamedTuple):
    """A worker's progress in a partition, as it commits it to its consumer group."""

    offset: int
    """The position: the offset to read next."""
    time: int
    """ms of event time."""
    due: int = 0
    """ms; Ticks before this time change nothing but the watermark; 0: not known."""


def address(host: str, port: int) -> str:
    """host:port, an IPv6 host in brackets as in a URL; empty for an empty host."""
    if not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def metadata(committed: CommittedOffset, worker: str) -> str:
    """The metadata text of a committed offset: `<event time in ms> <host>:<port> due=<ms>`. Parts that are not known
    are left out.
    """
    due = "" if committed.due == 0 else f" due={'never' if committed.due >= NEVER else max(0, committed.due)}"
    return f"{committed.time} {worker}".rstrip() + due


def parsed(metadata: str | None) -> tuple[int, str, int]:
    """(event time in ms, host:port of the worker, due in ms). A part is 0 or empty where the text lacks it, for
    instance when another tool has written the text.
    """
    found = _FORM.fullmatch(metadata or "")
    if found is None:
        return 0, "", 0
    return int(found[1]), found[2] or "", NEVER if found[3] == "never" else int(found[3] or 0)


async def committed_by(client: Any, group: str) -> list[CommittedOffset]:
    """The offsets that a group has committed, of all partitions of all topics. Raises KafkaError.

    client: an aiokafka client that has been started; call this in its event loop.
    """
    coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
    response = await client.send(coordinator, OffsetFetchRequest(group, None))
    if (refused := for_code(response.error_code)) is not NoError:
        raise refused(group)
    found = []
    for _, partitions in response.topics:
        for _, offset, text, _ in partitions:
            time, _, due = parsed(text)
            found.append(CommittedOffset(offset, time, due))
    return found
