"""Checks positions against a log: a position after its end belongs to another log; before a position that is older than
its beginning, records are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import metrics
from streams.errors import Misconfigured

OnLost = Literal["stop", "continue"]
#: Seconds until the end is asked for again, where a position is after it: a new leader may not know the true end yet.
_AGAIN_S = (0.2, 1.0)


@dataclass(frozen=True)
class Claim:
    """The wording of a role's error about a position that cannot belong to this log."""

    stands: str
    """The verb in the error, for example "has read" in: cases has read classified/3 up to offset 17."""
    remedy: str
    """What to do."""


async def checked_positions(
    reader: AIOKafkaConsumer,
    role: str,
    positions: Mapping[TopicPartition, int],
    claim: Claim,
    on_lost: OnLost,
    bare: Callable[[str], str],
    log: structlog.typing.FilteringBoundLogger,
) -> dict[TopicPartition, int]:
    """The positions to go on from: the given positions (offsets to read next), or the first record that retention has
    kept.

    `bare` gives a topic's name without the prefix. Raises Misconfigured where a position is after the end, and, unless
    `on_lost` is "continue", where records before the beginning were deleted before they were read.
    """
    firsts, ends = await reader.beginning_offsets(list(positions)), await reader.end_offsets(list(positions))
    for wait in _AGAIN_S:
        if all(at <= ends[tp] for tp, at in positions.items()):
            break
        await asyncio.sleep(wait)
        ends = await reader.end_offsets(list(positions))
    for tp, at in positions.items():
        if at > ends[tp]:
            raise Misconfigured(
                f"{role} {claim.stands} {bare(tp.topic)}/{tp.partition} up to offset {at}, but the log ends at "
                f"{ends[tp]}: {claim.remedy}"
            )
    for tp, at in positions.items():
        metrics.RECORDS_LOST.labels(role, bare(tp.topic), str(tp.partition)).inc(max(0, firsts[tp] - at))
    lost = {tp: firsts[tp] for tp, at in positions.items() if at < firsts[tp]}
    for tp, first in lost.items():
        log.error(
            "records were deleted by retention before they were read",
            partition=f"{bare(tp.topic)}/{tp.partition}",
            first=positions[tp],
            last=first - 1,
        )
    if lost and on_lost == "stop":
        told = ", ".join(f"{bare(tp.topic)}/{tp.partition} {positions[tp]} to {n - 1}" for tp, n in lost.items())
        raise Misconfigured(
            f"retention has deleted what {role} had not read, of offsets {told}: restore them, or set "
            "NETCENTER_ON_LOST=continue to go on without them; a longer retention.ms keeps it from coming again"
        )
    return {**positions, **lost}
