"""Whether a position can be of this log: beyond its end it is of another one, before its beginning records were lost."""

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
#: Asked again so often (s) before a position counts as beyond the end: a new leader may not know the whole log at once.
_AGAIN_S = (0.2, 1.0)


@dataclass(frozen=True)
class Claim:
    """What a role says of its positions, and what helps when they cannot be of this log."""

    stands: str
    """As in: cases *has applied* classified/3 up to offset 17."""
    remedy: str


async def placed(
    reader: AIOKafkaConsumer,
    role: str,
    positions: Mapping[TopicPartition, int],
    claim: Claim,
    on_lost: OnLost,
    bare: Callable[[str], str],
    log: structlog.typing.FilteringBoundLogger,
) -> dict[TopicPartition, int]:
    """Where to go on from these positions (offsets to read next): where they are, or at the first record that is kept.

    `bare` gives a topic's name for people. Raises Misconfigured where a position lies beyond the end, and where records
    before the beginning were not read unless `on_lost` says to go on; both are told, with what to do.
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
    lost = {tp: firsts[tp] for tp, at in positions.items() if at < firsts[tp]}
    for tp, first in lost.items():
        log.error(
            "records were deleted by retention before they were read",
            partition=f"{bare(tp.topic)}/{tp.partition}",
            first=positions[tp],
            last=first - 1,
        )
        metrics.LOST.labels(role, bare(tp.topic), str(tp.partition)).inc(first - positions[tp])
    if lost and on_lost == "stop":
        told = ", ".join(f"{bare(tp.topic)}/{tp.partition} {positions[tp]} to {n - 1}" for tp, n in lost.items())
        raise Misconfigured(
            f"retention has deleted what {role} had not read, of offsets {told}: restore them, or set "
            "NETCENTER_ON_LOST=continue to go on without them; a longer retention.ms keeps it from coming again"
        )
    return {**positions, **lost}
