"""Calls of a sink: each runs in a thread, is repeated while the receiver cannot be reached, and is watched while it lasts."""

from __future__ import annotations

import asyncio
import random
import time as wall
from collections.abc import Callable
from typing import Any

from sinks.port import ReceiverUnreachable, Rewound, SinkError, SinkPort
from streams import metrics
from streams.dead_letter_limit import Log
from streams.errors import Ended, Misconfigured
from streams.threads import first_of, in_thread

_RETRY_MOST_S = 30.0
#: Seconds between two checks why a call has not returned yet.
_LASTS_S = 5.0
#: Seconds for which `Sink.held` may take to answer; and between two log lines about the same call.
_ANSWER_S, _SAID_S = 10.0, 60.0
#: When the worker stops: seconds that a running call has to end by itself, and then after it was interrupted.
_FINISH_S, _INTERRUPTED_S = 3.0, 2.5
#: Seconds between two equal log lines about a receiver that cannot be reached.
_DOWN_SAID_S = 600.0


class Outdated(Exception):
    """The partitions of a batch were revoked since it was read: their next owner reads it again."""


class ReceiverCalls:
    """Makes the calls of one sink, one at a time."""

    def __init__(self, sink: SinkPort, role: str, done: asyncio.Event, log: Log) -> None:
        """done: set when the worker must stop."""
        self.sink, self.role = sink, role
        self.down: str | None = None
        """Why the receiver cannot be reached; None when it can be reached."""
        self.held: str | None = None
        """What the running call waits for; None after a call has succeeded."""
        self.calling = False
        """Whether a call is under way, or is repeated."""
        self._done, self._log = done, log
        self._down_said, self._held_said = -_DOWN_SAID_S, -_SAID_S
        self._probe: asyncio.Future[str | None] | None = None

    def wrong(self) -> str | None:
        """What is wrong with the receiver, for readiness; None when it answers in time."""
        wrong = "; ".join(filter(None, (self.down, self.held)))
        return f"receiver: {wrong}" if wrong else None

    async def until_reached(self, work: Callable[[], Any], what: str, revoked: asyncio.Event | None = None) -> Any:
        """Returns what a blocking call returns; repeats it while the receiver cannot be reached.

        revoked: set when the call's result is no longer wanted. Raises Outdated then, between two tries; Ended when the
        worker must stop; Misconfigured where waiting does not help; Rewound.
        """
        self.calling = True
        try:
            return await self._repeat(work, what, revoked)
        finally:
            self.calling = False

    async def _repeat(self, work: Callable[[], Any], what: str, revoked: asyncio.Event | None) -> Any:
        delay = 0.2
        while True:
            try:
                found = await self._attempt(work, what)
            except ReceiverUnreachable as error:
                wait = error.after if error.after is not None else delay * random.uniform(0.5, 1.0)
                self._say_down(str(error), wait)
                delay = min(delay * 2, _RETRY_MOST_S)
                metrics.SINK_RETRIES.labels(self.role).inc()
                await first_of(wait, self._done, *(() if revoked is None else (revoked,)))
                if self._done.is_set():
                    raise Ended(f"stopped while the receiver could not be reached: {error}") from error
                if revoked is not None and revoked.is_set():
                    raise Outdated from error
            except Rewound:
                raise
            except SinkError as error:
                raise Misconfigured(str(error)) from error
            else:
                if self.down is not None or self._held_said > 0:
                    self._log.info("receiver reached again")
                self.down = self.held = None
                self._down_said, self._held_said = -_DOWN_SAID_S, -_SAID_S
                return found

    async def _attempt(self, work: Callable[[], Any], what: str) -> Any:
        """Makes the call once, and logs a line when it takes long. Raises Ended when the worker stops during the call:
        1. The call has a few seconds to end by itself. 2. It is interrupted. 3. It is abandoned in its thread.
        """
        began = wall.monotonic()
        call = in_thread(work, f"{self.role}: {what}")
        lasted = False
        while not call.done() and not self._done.is_set():
            await first_of(_LASTS_S, call, self._done)
            if not call.done() and not self._done.is_set():
                lasted = True
                await self._look_into(call, what, began)
        if not lasted:
            self.held = None  # it was from an earlier try: this try returned or failed at once
        if not call.done():
            await first_of(_FINISH_S, call)
        if not call.done():
            in_thread(self.sink.interrupt, f"{self.role}: interrupting")
            await first_of(_INTERRUPTED_S, call)
        if not call.done():
            self._log.warning("left in the middle; the next start does it again", doing=what)
            raise Ended(f"stopped in the middle of {what}")
        return call.result()

    async def _look_into(self, call: asyncio.Future[Any], what: str, began: float) -> None:
        """Asks the sink what a long call waits for; interrupts the call where the receiver does not answer this
        question.
        """
        if self._probe is None:
            self._probe = in_thread(self.sink.held, f"{self.role}: asking")
        await first_of(_ANSWER_S, call, self._probe, self._done)
        if call.done() or self._done.is_set():
            return
        held: str | None = "what it waits for cannot be asked"
        if self._probe.done():
            try:
                held = self._probe.result()
            except ReceiverUnreachable as error:
                held = str(error)
                in_thread(self.sink.interrupt, f"{self.role}: interrupting")
            self._probe = None
        self.held = None if held is None else f"{what} has lasted {wall.monotonic() - began:.0f} s: {held}"
        now = wall.monotonic()
        if held is not None and now - self._held_said >= _SAID_S:
            self._held_said = now
            self._log.warning("the receiver is slow", doing=what, seconds=round(now - began), why=held)

    def _say_down(self, why: str, wait: float) -> None:
        """Logs a reason once, and repeats it at intervals."""
        now = wall.monotonic()
        if why != self.down or now - self._down_said >= _DOWN_SAID_S:
            self._down_said = now
            self._log.warning("receiver not reached, trying on", why=why, again_in_s=round(wait, 1))
        self.down = why

    async def close(self, seconds: float) -> None:
        """Closes the sink, but waits for at most this many seconds, because an abandoned call may still use the sink."""
        await first_of(seconds, in_thread(self.sink.close, f"{self.role}: closing"))
