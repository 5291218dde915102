"""Time on the wall clock: the owner of a partition of the first topic writes its Ticks."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Mapping

from schemas.records import Tick
from streams.partition import Partition, append_if_owned


class WallClock:
    """Writes Ticks into the owned partitions whose log follows the wall clock."""

    def __init__(self, owned: Mapping[int, Partition]) -> None:
        """owned: the partitions that this worker owns, by number. The mapping changes while the worker runs."""
        self._owned = owned

    async def tick(self, role: str, interval: float) -> None:
        """Appends a Tick of `role` to every partition, each `interval` seconds. The broker's timestamp is the Tick's
        time.
        """
        while True:
            await asyncio.sleep(interval)
            for number, partition in list(self._owned.items()):
                # Facts may still wait for the first watermark, so the kind of clock comes from the Ticks that were read.
                if partition.core.heard.kind == "wall":
                    now = int(wall.time() * 1000)
                    tick = Tick(clock="wall", time=now, role=role, partition=number)
                    await append_if_owned(self._owned, partition, [tick])
