"""Whether the whole log is at rest: nothing came for a while, and nothing is due soon. Time then advances in larger steps."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from streams.committed_offsets import committed_by
from streams.dead_letter_limit import Log
from streams.settings import WorkerSettings

QUIET_S = 60.0
"""Seconds without a record other than Ticks after which the log may be at rest, and for which nothing may be due."""
#: Seconds for which all of this holds before the log is at rest: what follows from a timer is on its way for less long, and
#: no group says so meanwhile.
_SURE_S = 5.0
REST_S = 5.0
"""Seconds between two Ticks of a partition at rest, on the wall clock."""


def rest_s(settings: WorkerSettings) -> float:
    """Seconds between two Ticks at rest: so many that no writer of Ticks counts as idle for its rest."""
    return max(settings.tick_s, min(REST_S, settings.source_idle_s / 2))


class QuietLog:
    """Asks the groups of the deciding roles how far they are, and when they next have something to do.

    Each worker commits both with its offsets. The log is at rest when the following holds of every role:

    1. It has taken everything that came before the last record, and what followed from it.
    2. Nothing is due in it for `QUIET_S` seconds. A minute in which posts came is due at its end, so posts in the partitions
       of another worker are seen here too.
    """

    def __init__(
        self, groups: Sequence[str], reader: Callable[[], AbstractAsyncContextManager[AIOKafkaConsumer]], log: Log
    ) -> None:
        """groups: of all deciding roles, by their names on the broker."""
        self._groups, self._reader, self._log = groups, reader, log
        self.at_rest = False
        """Whether time may advance in larger steps. False where it is not known."""

    async def watch(self, quiet_s: Callable[[], float], interval: float) -> None:
        """Keeps `at_rest` as it is, without end. quiet_s: gives the seconds since the last record in the partitions of this
        worker. interval: seconds between two questions.
        """
        while True:
            try:
                async with self._reader() as reader:
                    busy = wall.monotonic()
                    while True:
                        await asyncio.sleep(interval)
                        if not await self._rests(reader._client, quiet_s()):
                            busy = wall.monotonic()
                        self.at_rest = wall.monotonic() - busy >= _SURE_S
            except (KafkaError, OSError) as error:
                # Ticks come each second meanwhile, and if Kafka cannot be reached, the heartbeat says so.
                self.at_rest = False
                self._log.debug("offsets of the groups not read", why=type(error).__name__)
                await asyncio.sleep(interval)

    async def _rests(self, client: Any, quiet: float) -> bool:
        if quiet < QUIET_S:
            return False
        found = await asyncio.gather(*(committed_by(client, group) for group in self._groups))
        now = wall.time()
        last, soon = int((now - quiet) * 1000), int((now + QUIET_S) * 1000)
        return all(at.time > last and at.due > soon for group in found for at in group)
