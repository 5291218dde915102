"""Keeps a played file near the slowest role, and finds out how much time can be skipped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from netcenter.broker.lag import LagMonitor
from netcenter.broker.log_writer import LogWriter
from netcenter.pipeline import PIPELINE
from schemas.times import rfc3339
from streams.committed_offsets import NEVER
from streams.topology import Role

_POLL_S = 0.05
#: Seconds without progress until a message says which role the file waits for; it is repeated every `_AGAIN_S`.
_FIRST_NOTICE_S, _AGAIN_S = 5.0, 60.0
#: ms of event time. Asking all roles for their next timer takes about as long as playing an hour of Ticks.
_NEAR = 3_600_000


@dataclass(frozen=True)
class Waiting:
    """The state of a file that waits for a role."""

    slowest: tuple[int, str]
    """The event time (ms) of the slowest role, and the role's name."""
    notice: str
    """A message to the user, when it is time for one: which role the file waits for, and what to do; else empty."""


class Pacing:
    """Waits for the roles that a file follows, and asks them when their next timer is due."""

    def __init__(
        self,
        monitor: LagMonitor,
        log: LogWriter,
        roles: list[Role],
        ahead: int,
        on_wait: Callable[[Waiting], None] = lambda _: None,
    ) -> None:
        """roles: the roles to wait for. ahead: ms of event time that the file may be ahead of the slowest of these
        roles.
        """
        self._monitor, self._log, self._roles, self._ahead, self._on_wait = monitor, log, roles, ahead, on_wait
        self._slowest = (0, "")
        self._due = self._time = self._ask_at = 0
        self._all_followed = {role.name for role in PIPELINE.roles if role.decides} <= {role.name for role in roles}

    def record_played(self, at: int) -> None:
        """Call after a record of this time (ms). Its timers are due in the next hours, which are played Tick by
        Tick.
        """
        self._ask_at = at + self._ahead

    def tick_played(self, time: int) -> tuple[int, str]:
        """Call after a Tick of this time (ms). Waits until no role is more than `ahead` behind; returns the slowest
        (ms, role).
        """
        self._time = time
        return self._await(time - self._ahead)

    def next_due(self) -> int | None:
        """When the next timer is due (ms); None without timers; the time of the last Tick where it is not known or is
        near.
        """
        if not self._all_followed or self._time < self._ask_at:
            return self._time
        self._await(self._time, asks=True)
        near = self._due <= self._time + min(self._ahead, _NEAR)
        # Asking for timers requires that every role catches up. While timers are near, playing each Tick is cheaper.
        self._ask_at = self._time + self._ahead if near else self._due
        return self._time if near else None if self._due >= NEVER else self._due

    def _await(self, until: int, *, asks: bool = False) -> tuple[int, str]:
        """Waits until every role has reached an event time (ms); returns the slowest (ms, role). asks: always read the
        timers.
        """
        started = told = time.monotonic()
        flushed, best = False, self._slowest[0]
        while self._roles and (asks or self._slowest[0] < until):
            if not flushed:
                self._log.flush()
                flushed = True
            # While the broker does not answer, the time is 0. Event time never decreases, so keep the last time.
            found, self._due = self._monitor.slowest_and_due(self._roles)
            self._slowest = max(self._slowest, found, key=lambda place: place[0])
            if found[0] >= until:
                break
            now, notice = time.monotonic(), ""
            if self._slowest[0] > best:
                started = told = now
                best = self._slowest[0]
            if now - told > (_FIRST_NOTICE_S if told == started else _AGAIN_S):
                told, notice = now, self._notice(found, now - started)
            self._on_wait(Waiting(found, notice))
            time.sleep(_POLL_S)
        return self._slowest

    def _notice(self, slowest: tuple[int, str], seconds: float) -> str:
        at, name = slowest
        stands = f"it has stood at {rfc3339(at)} for {seconds:.0f} s" if at else "it has committed no offset yet"
        if name in {role.name for role in self._monitor.groups.running()}:
            return f"waiting for {name}: {stands}; `netcenter doctor` says what is wrong with it"
        return f"waiting for {name}: no worker of it runs; start `netcenter worker {name}`, or all of them"
