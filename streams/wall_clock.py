"""Time on the wall clock: the owner of a partition writes its Ticks, and declares silent writers of Ticks idle."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Iterator, Mapping

from schemas.records import SourceIdle, Tick
from streams.dead_letter_limit import Log
from streams.errors import Fenced
from streams.partition import Partition

_LOOK_S = 1.0


class WallClock:
    """Writes control records into the owned partitions whose log follows the wall clock."""

    def __init__(self, owned: Mapping[int, Partition], log: Log) -> None:
        """owned: the partitions that this worker owns, by number. The mapping changes while the worker runs."""
        self._owned, self._log = owned, log

    def _partitions(self) -> Iterator[tuple[int, Partition]]:
        # Facts may still wait for the first watermark, so the kind of clock comes from the Ticks that were read.
        for number, partition in list(self._owned.items()):
            if partition.core.heard.kind == "wall":
                yield number, partition

    async def tick(self, role: str, interval: float) -> None:
        """Appends a Tick of `role` to every partition, each `interval` seconds. The broker's timestamp is the Tick's
        time.
        """
        while True:
            await asyncio.sleep(interval)
            for number, partition in self._partitions():
                now = int(wall.time() * 1000)
                await self._append(partition, Tick(clock="wall", time=now, role=role, partition=number))

    async def declare_idle(self, silence: float) -> None:
        """Appends a SourceIdle for every writer that delays the watermark and has been silent for `silence` seconds."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for _, partition in self._partitions():
                now = wall.monotonic()
                for writer in partition.core.heard.holding_back():
                    silent = partition.silent(writer, now)
                    if silent >= silence:
                        role, number = writer
                        self._log.warning(
                            "source idle",
                            partition=partition.name,
                            writer=f"{role}/{number}",
                            silent_s=round(silent),
                        )
                        idle = SourceIdle(role=role, partition=number, silent_ms=int(silent * 1000))
                        await self._append(partition, idle)

    async def _append(self, partition: Partition, record: Tick | SourceIdle) -> None:
        try:
            await partition.append(record)
        except Fenced:
            if partition in self._owned.values():
                raise
