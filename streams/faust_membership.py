"""Membership on Faust 0.15: a worker stays in its consumer group while its event loop runs, and reports its standing in
the group.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP


@dataclass(frozen=True)
class Standing:
    """A worker's standing in its consumer group."""

    member: bool
    """Whether the coordinator counts the worker as a member, as far as this worker knows."""
    reachable: bool
    """Whether a coordinator is known and connected."""
    silent: float
    """Seconds since the coordinator last answered a heartbeat or a join."""
    failure: BaseException | None
    """The error that ended the membership. aiokafka raises it at the next poll, which may never come."""


class _OwnLoop(SubscriptionState):  # type: ignore[misc]
    """Keeps a consumer in its group while its event loop runs, even when it does not poll.

    aiokafka leaves the group when a consumer has not polled for `max_poll_interval`, and joins again at its next poll. A
    standby without partitions does not poll, and a worker that waits for a receiver or a policy does not poll either.
    """

    def __init__(self, stuck: Callable[[], float], loop: Any) -> None:
        super().__init__(loop=loop)
        self._stuck = stuck

    @property
    def fetcher_idle_time(self) -> float:
        """Returns the seconds since the event loop last ran, instead of the seconds since the last poll."""
        return self._stuck()


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The consumer's thread. It reads committed records only, and keeps partitions where they are when workers come and go."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        # Without tables Faust uses round robin, which moves every partition at every join, and reads uncommitted
        # records.
        driver_assignor = driver.RoundRobinPartitionAssignor
        driver.RoundRobinPartitionAssignor = StickyPartitionAssignor
        self.consumer.in_transaction = True
        try:
            consumer = super()._create_worker_consumer(transport)
        finally:
            driver.RoundRobinPartitionAssignor = driver_assignor
            self.consumer.in_transaction = False
        consumer._subscription = _OwnLoop(self.app.owner.stuck, consumer._loop)
        return consumer

    async def on_start(self) -> None:
        """Starts the consumer; afterwards, records when the coordinator last answered."""
        await super().on_start()
        self.heard = time.monotonic()
        coordinator = self._ensure_consumer()._coordinator
        beat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            well = bool(await beat())
            if well:
                self.heard = time.monotonic()
            return well

        coordinator._do_heartbeat = heartbeat

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Counts a join as an answer of the coordinator, because no heartbeats are sent during a join."""
        self.heard = time.monotonic()
        await super().on_partitions_assigned(assigned, generation_id)

    def standing(self) -> Standing | None:
        """The worker's standing in its group; None before the consumer has started."""
        coordinator = self._consumer._coordinator if self._consumer is not None else None
        if coordinator is None or not hasattr(self, "heard"):
            return None
        task, failure = coordinator._coordination_task, coordinator._pending_exception
        if failure is None and task.done() and not task.cancelled():
            failure = task.exception()
        return Standing(
            coordinator.generation > 0,
            coordinator.coordinator_id is not None,
            time.monotonic() - self.heard,
            failure,
        )


def rebalance_s(session_s: float) -> float:
    """Seconds for which a rebalance waits for a member to join again."""
    return max(session_s, 20.0)
