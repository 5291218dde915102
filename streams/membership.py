"""Whether a worker is a member of its consumer group, and whether Kafka answers it."""

from __future__ import annotations

import time as wall
from typing import Any

from streams.errors import Unavailable
from streams.faust_membership import Standing, rebalance_s
from streams.kafka_errors import translate
from streams.settings import WorkerSettings

_BEATS_MISSED = 8
"""After this many heartbeats without an answer, silence in the topics means nothing."""


class Membership:
    """Follows a worker's standing in its group, as its heartbeat thread sees it."""

    def __init__(self, group: str, settings: WorkerSettings, log: Any) -> None:
        self.group, self._settings, self._log = group, settings, log
        self.unreachable: str | None = None
        """A line that says that Kafka does not answer; None when Kafka answers."""
        self._member = wall.monotonic()
        """When the worker was last a member, or did not have to be a member (s of the monotonic clock)."""

    def outside(self, seconds: float) -> str | None:
        """What is wrong, in a line, where the worker has not been a member of its group for longer than this; None
        otherwise.
        """
        away = wall.monotonic() - self._member
        return f"no member of the group {self.group} for {away:.0f} s" if away > seconds else None

    def longest(self) -> float:
        """Seconds after which a worker that is no member, or that gets no further, is at fault: by then a Kafka that does not
        answer has been found out, whatever the session.
        """
        return max(2 * self._settings.stuck_s, self._patience(rebalancing=True))

    def _patience(self, rebalancing: bool) -> float:
        """Seconds without an answer after which Kafka counts as away. No heartbeats are sent while the group rebalances."""
        session = self._settings.session_s
        return session + (rebalance_s(session) if rebalancing else 0.0)

    def look(self, standing: Standing | None, *, rebalancing: bool) -> bool:
        """Takes the worker's standing, None before its consumer has started. Returns False while heartbeats are not
        answered. Raises an error of `errors.py` when the membership has ended and does not come back by itself.
        """
        if standing is None:
            self._member = wall.monotonic()
            return True
        if standing.failure is not None:
            raise translate(standing.failure, f"{self.group}: being a member of the group")
        settings = self._settings
        silent = standing.silent > self._patience(rebalancing)
        if silent and self.unreachable is None:
            self._log.warning("Kafka does not answer", kafka=str(settings.kafka), for_s=round(standing.silent))
        elif self.unreachable is not None and not silent:
            self._log.info("Kafka answers")
        self.unreachable = f"Kafka has not answered for {standing.silent:.0f} s" if silent else None
        if standing.member or silent or not standing.reachable:
            self._member = wall.monotonic()
        elif (outside := self.outside(self.longest())) is not None:
            raise Unavailable(f"{outside}, though Kafka answers: starting over")
        return standing.silent <= _BEATS_MISSED * settings.heartbeat_s
