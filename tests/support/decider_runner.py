"""A small in-memory runner of one Decider, for tests: one partition, no Kafka, time by `tick` only."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, ClassVar

from agents.decider import At, Decider, State, StateNote, Timer, Wakes, collect, stepper
from agents.policy import Policy
from schemas.records import ClassifiedMention, Decided, Record

#: A timer that keeps asking for the same moment is a defect of the decider; say so rather than loop.
MOST_FIRINGS = 1_000


class Recorded:
    """A Decider that behaves as another one and writes down each event and note that goes through `evolve`."""

    record_types: ClassVar[Any] = Any

    def __init__(self, decider: Decider) -> None:
        self.decider = decider
        self.initial, self.due = decider.initial, decider.due
        self.folded: list[Any] = []

    def decide(self, state: Any, fact: Record | Timer, at: At) -> Iterator[Decided | StateNote]:
        """As the other one."""
        return self.decider.decide(state, fact, at)

    def evolve(self, state: Any, event: Any) -> dict[str, Any]:
        """As the other one, and written down."""
        self.folded.append(event)
        return self.decider.evolve(state, event)


class Run:
    """Runs a Decider by the `stepper` that the workers use.

    Timers fire on ticks only, in (due, key) order, each at its own time. An exception in a step is raised again; the step
    leaves neither records nor events.
    """

    def __init__(self, decider: Decider, policy: Policy) -> None:
        self.decider = decider
        self.policy = policy
        """In force; assign another to change it."""
        self.time = 0
        """ms; the partition's watermark."""
        self.partial = False
        """Whether a source of the partition is idle."""
        self.state: State[Any] = decider.initial()
        self.events: list[Decided] = []
        """All decided so far."""
        self._recorded = Recorded(decider)
        self.folded = self._recorded.folded
        """All events and notes that went through `evolve` so far."""
        self._take = stepper(self._recorded, self.state)
        self._heap: list[tuple[int, str]] = []
        self._armed: dict[str, int] = {}

    def restore(self, key: str, record: Any) -> None:
        """Restores a record, as recovery does, and sets its timer."""
        self.state.put(key, record)
        self._arm([(key, self.decider.due(record))])

    def fact(self, record: Record) -> list[Decided]:
        """Takes a fact at the watermark; returns the events that follow."""
        at = At(self.time, self.time, self.policy, _id(record), self.partial)
        return self._step(record, at)

    def tick(self, time_ms: int) -> list[Decided]:
        """Moves the watermark to `time_ms` (never back), firing every timer due on the way; returns the events."""
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
        events, folded = len(self.events), len(self.folded)
        try:
            self._arm(self._take(fact, at, collect, None, self.events))
        except BaseException:
            del self.events[events:], self.folded[folded:]
            raise
        return self.events[events:]

    def _arm(self, wakes: Wakes) -> None:
        for key, due in wakes:
            if due is None:
                self._armed.pop(key, None)
            elif self._armed.get(key) != due:
                self._armed[key] = due
                heapq.heappush(self._heap, (due, key))


def _id(fact: Record) -> str:
    """What a decided event names as its cause; PolicyChanged and the like have no id of their own."""
    return fact.mention.id if isinstance(fact, ClassifiedMention) else getattr(fact, "id", type(fact).__name__)
