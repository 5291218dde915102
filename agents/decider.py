"""The port between a decision and whatever runs it: a Kafka partition, a replay of a file, a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, TypedDict, TypeVar

import msgspec

from agents.policy import Policy
from schemas import ids
from schemas.records import Decided, Record

S = TypeVar("S")


class Due(msgspec.Struct, frozen=True):
    """A timer's firing, a fact like any other: the state record `key` had asked to be woken at `at` (ms)."""

    key: str
    at: int

    @property
    def id(self) -> str:
        """Deterministic: the same timer has the same id in every run."""
        return ids.timer(self.key, self.at)


class Envelope(TypedDict):
    """The fields of `Decided`."""

    id: str
    aggregate: str
    seq: int
    time: int
    cause: str
    policy: int
    reason: str


class At(msgspec.Struct, frozen=True):
    """When, under which policy and because of what a decision is made."""

    time: int
    """ms; event time: a timer's own due, else the partition's time (0 before the first Tick)."""
    seen: int
    """ms; event time up to which the log has been read: later than `time` when a Tick jumps over a due."""
    policy: Policy
    cause: str
    """id of the fact."""

    def envelope(self, aggregate: str, seq: int, reason: str) -> Envelope:
        """The common fields of a decided event: `CaseOpened(**at.envelope(case_id, 1, "…"), brand=…)`."""
        return {
            "id": ids.event(aggregate, seq),
            "aggregate": aggregate,
            "seq": seq,
            "time": self.time,
            "cause": self.cause,
            "policy": self.policy.version,
            "reason": reason,
        }


class State(dict[str, S]):
    """The small records of one inbox partition. A Decider that needs an index over them overrides `put`."""

    def put(self, key: str, record: S | None) -> None:
        """Set a record, or remove it with None. All changes and all of recovery come through here."""
        if record is None:
            self.pop(key, None)
        else:
            self[key] = record


class Decider(Protocol):
    """A pure decision over one inbox. The runner owns the state and calls only these.

    `decide` is a generator: the runner applies each yielded event through `evolve` before it asks for the next, so
    `decide` sees the effects of what it has already decided in this step. If either raises, the whole step is undone
    and the fact set aside. State changes only through `evolve`, and `evolve` depends on state and event alone.
    """

    record_types: ClassVar[Any]
    """The type of a state record (a msgspec Struct, or a union of tagged ones), for the changelog."""

    def initial(self) -> State[Any]:
        """An empty state."""
        ...

    def decide(self, state: Any, fact: Record | Due, at: At) -> Iterator[Decided]:
        """Events that follow from a fact; facts of a type that does not concern this decision yield nothing."""
        ...

    def evolve(self, state: Any, event: Decided) -> dict[str, Any]:
        """The records that the event changes: key to new record, or None for a removed one. Does not touch `state`."""
        ...

    def due(self, record: Any) -> int | None:
        """ms; when this record wants to be woken with `Due(key, at)`; None for never. Fires once `at` <= event time."""
        ...
