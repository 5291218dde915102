"""Time on the wall clock: the owner of a partition of the first topic writes its Ticks."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Mapping

from schemas.records import Tick
from streams.partition import Partition
from streams.quiet_log import QUIET_S, QuietLog
from streams.tick_writer import TickWriter

#: Seconds by which a Tick comes after a whole interval, so that the broker's clock has passed that moment too.
_AFTER_S = 0.02


def until_next(now: float, interval: float) -> float:
    """Seconds until the next Tick: a little after the next whole interval since the epoch, at least half an interval away.

    Minutes end and most timers fire at whole seconds, so nothing that is due then waits for the next Tick; and the Ticks of
    all workers come together, so no role further down waits for the latest of them.
    """
    wait = interval - (now - _AFTER_S) % interval
    return wait if wait >= interval / 2 else wait + interval


class WallClock:
    """Writes Ticks into the owned partitions whose log follows the wall clock."""

    def __init__(self, owned: Mapping[int, Partition], quiet: QuietLog, ticks: TickWriter) -> None:
        """owned: the partitions that this worker owns, by number. The mapping changes while the worker runs."""
        self._owned, self._quiet, self._ticks = owned, quiet, ticks

    def quiet_s(self) -> float:
        """Seconds since the last record other than a Tick was read from the owned partitions."""
        return wall.monotonic() - max((partition.own_ticks.busy for partition in self._owned.values()), default=0.0)

    async def tick(self, role: str, interval: float, rest: float) -> None:
        """Appends a Tick of `role` to every partition, each `interval` seconds, and each `rest` seconds while the log is at
        rest. The broker's timestamp is the Tick's time.
        """
        last = 0.0
        while True:
            await asyncio.sleep(until_next(wall.time(), interval))
            # Facts may still wait for the first watermark, so the kind of clock comes from the Ticks that were read.
            owned = [(n, p) for n, p in self._owned.items() if p.core.heard.kind == "wall"]
            if not owned:
                continue
            now = wall.monotonic()
            if self._quiet.at_rest and self.quiet_s() >= QUIET_S and now - last < rest - interval / 2:
                continue
            last, told = now, int(wall.time() * 1000)
            await self._ticks.write([(p, Tick(clock="wall", time=told, role=role, partition=n)) for n, p in owned])
