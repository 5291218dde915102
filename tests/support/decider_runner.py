"""A tiny in-memory runner of one Decider, for tests: one partition, no Kafka, time by `tick` only."""

from __future__ import annotations

import heapq
from typing import Any

from agents.decider import At, Decider, Timer
from agents.policy import Policy
from schemas.records import ClassifiedMention, Decided, Record

#: A timer that keeps asking for the same moment is a defect of the decider; say so rather than loop.
MOST_FIRINGS = 1_000


class Run:
    """Runs a Decider as `agents/decider.py` says.

    Each yielded event goes through `evolve` and `put` before the generator continues. Two things go through
    `evolve` but are no events, and so are never written out: the incoming fact itself (yielded because the
    state must remember it), and a decider's own notes (anything that is not `Decided`). Timers fire on ticks
    only, in (due, key) order, each at its own time; a timer fires again for the same moment only if its
    record was put again. An exception in a step puts the old records back, forgets its events, and is raised.
    """

    def __init__(self, decider: Decider, policy: Policy) -> None:
        self.decider = decider
        self.policy = policy
        """In force; assign another to change it."""
        self.time = 0
        """ms; the partition's time."""
        self.partial = False
        """Whether a writer is idle."""
        self.state = decider.initial()
        self.events: list[Decided] = []
        """All decided so far."""
        self.folded: list[Any] = []
        """All that went through `evolve` so far: events, facts and notes."""
        self._heap: list[tuple[int, str]] = []
        self._armed: dict[str, int] = {}

    def fact(self, record: Record) -> list[Decided]:
        """Takes a fact at the partition's time; gives the events that follow."""
        at = At(self.time, self.time, self.policy, _id(record), self.partial)
        return self._step(record, at)

    def tick(self, time_ms: int) -> list[Decided]:
        """Moves time to `time_ms` (ms; never back), firing every timer due on the way; gives the events."""
        events: list[Decided] = []
        fired: dict[tuple[int, str], int] = {}
        while self._heap and self._heap[0][0] <= time_ms:
            due, key = heapq.heappop(self._heap)
            if self._armed.get(key) != due:
                continue
            del self._armed[key]
            fired[due, key] = fired.get((due, key), 0) + 1
            assert fired[due, key] < MOST_FIRINGS, f"the timer of {key} asks for {due} again and again"
            timer = Timer(key=key, at=due)
            events += self._step(timer, At(due, time_ms, self.policy, timer.id, self.partial))
        self.time = max(self.time, time_ms)
        return events

    def _step(self, fact: Record | Timer, at: At) -> list[Decided]:
        before: dict[str, Any] = {}
        events, folded = len(self.events), len(self.folded)
        try:
            for event in self.decider.decide(self.state, fact, at):
                for key, record in self.decider.evolve(self.state, event).items():
                    before.setdefault(key, self.state.get(key))
                    self._put(key, record)
                self.folded.append(event)
                if event is not fact and isinstance(event, Decided):
                    self.events.append(event)
        except BaseException:
            for key, record in before.items():
                self._put(key, record)
            del self.events[events:], self.folded[folded:]
            raise
        return self.events[events:]

    def _put(self, key: str, record: Any) -> None:
        self.state.put(key, record)
        due = None if record is None else self.decider.due(record)
        if due is None:
            self._armed.pop(key, None)
        elif self._armed.get(key) != due:
            self._armed[key] = due
            heapq.heappush(self._heap, (due, key))


def _id(fact: Record) -> str:
    """What a decided event names as its cause; PolicyChanged and the like have no id of their own."""
    return fact.mention.id if isinstance(fact, ClassifiedMention) else getattr(fact, "id", type(fact).__name__)
