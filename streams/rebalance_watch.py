"""How far a worker has come from a rebalance to partitions that it owns, and how long nothing has moved."""

from __future__ import annotations

import time as wall

#: The most steps that a line names.
_SHOWN = 3


class RebalanceWatch:
    """Follows the steps of a rebalance. A step that still reads records moves, however long it lasts."""

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}
        """What is being done, by the partition for which it is done."""
        self._moved = wall.monotonic()

    def step(self, partition: str, doing: str) -> None:
        """Notes the next step of a partition. partition: its name, or any other name for a step of the whole worker."""
        self._steps[partition] = doing
        self.moved()

    def done(self, partition: str) -> None:
        """Notes that nothing is left to do for a partition."""
        self._steps.pop(partition, None)
        self.moved()

    def moved(self) -> None:
        """Notes that the steps go on, or that nothing has to be done now."""
        self._moved = wall.monotonic()

    def doing(self) -> str | None:
        """The steps under way, in a line; None where there are none."""
        steps = list(self._steps.items())
        told = [f"{partition}: {doing}" for partition, doing in steps[:_SHOWN]]
        return "; ".join(told) + (f"; and {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else "") or None

    def still(self) -> float:
        """Seconds since anything moved."""
        return wall.monotonic() - self._moved
