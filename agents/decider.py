"""The port between a decision and whatever runs it: a Kafka partition, a replay of a file, a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, TypedDict, TypeVar

import msgspec

from agents.policy import Policy
from schemas import ids
from schemas.records import Decided, Record

S = TypeVar("S")


class Unusable(ValueError):
    """A fact that nothing can be done with. The message says what to mend, and never holds the words of a post."""


class Unanswered(Exception):
    """Who must be asked does not answer now, whatever the facts: none is at fault, and none becomes a dead letter."""


class Timer(msgspec.Struct, frozen=True):
    """The firing of a timer, a fact like any other: the state record under `key` asked to be woken at `at` (ms)."""

    key: str
    at: int

    @property
    def id(self) -> str:
        """Deterministic: the same timer has the same id in every run."""
        return ids.timer(self.key, self.at)


class StateNote:
    """Base of state notes: changes of state that `decide` yields, that go through `evolve`, and that no topic gets.

    A note carries what the state must remember and no event says: a fact that only counts later, what the policy in
    force said, or that a record may be forgotten. Notes are msgspec Structs: `class LeaseNoted(StateNote, msgspec.Struct,
    frozen=True)`.
    """

    __slots__ = ()


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
    """ms; event time: a timer's own due, else the partition's time. Nothing is decided before it is known."""
    seen: int
    """ms; event time up to which the log has been read: later than `time` when a Tick jumps over a due."""
    policy: Policy
    cause: str
    """id of the fact."""
    partial: bool = False
    """A writer of the partition is idle: its records of this time may be missing."""

    def not_before(self, time: int) -> At:
        """The same, at a time (ms) at least: nothing is decided before what it follows from.

        A partition's time is that of its slowest writer, and what a faster one has decided may be read before it.
        """
        return self if self.time >= time else msgspec.structs.replace(self, time=time, seen=max(self.seen, time))

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


class State(Mapping[str, S]):
    """The small records of one input topic partition. A Decider that needs an index over them overrides `put`.

    Records in use are objects, the others the bytes that the changelog holds, decoded when they are asked for; only
    whoever runs the Decider can tell. Iterating decodes all of them: a decision looks up keys.
    """

    left_out = 0
    """What a decision was not made on, for there was more of it than can be kept: so many since this state was made."""

    def __init__(self) -> None:
        self._live = _Live()
        self._packed = self._live.packed
        # `get(key)`, None where there is no record: a bound C method, for a decision asks a dozen times in a step.
        self.get = self._live.__getitem__  # type: ignore[assignment, method-assign]

    def put(self, key: str, record: S | None) -> None:
        """Set a record, or remove it with None. All changes and all of recovery come through here."""
        if record is None and key not in self._packed:
            self._live.pop(key, None)
        else:
            self._live[key] = record

    def __getitem__(self, key: str) -> S:
        record = self._live[key]
        if record is None:
            raise KeyError(key)
        found: S = record
        return found

    def __contains__(self, key: object) -> bool:
        return self._live[key] is not None  # type: ignore[index]

    def __iter__(self) -> Iterator[str]:
        for key in self._packed:
            if self._live.get(key, key) is not None:
                yield key
        yield from [key for key in self._live if key not in self._packed]

    def __len__(self) -> int:
        return len(self._packed) + sum(
            -1 if record is None else key not in self._packed for key, record in self._live.items()
        )

    # --- for whoever runs the Decider ---------------------------------------------------------------------------

    def decode_with(self, unpack: Callable[[bytes], Any]) -> None:
        """Say how the bytes given to `restore` and `keep` are decoded."""
        self._live.unpack = unpack

    def restore(self, key: str, record: S, packed: bytes) -> None:
        """Put back a record and keep only its bytes."""
        self.put(key, record)
        self._packed[key] = packed
        self._live.pop(key, None)

    def keep(self, key: str, packed: bytes | None) -> None:
        """Take the bytes of a changed record, which stays live until `cool`; None for a removed one."""
        live = self._live
        live.weight -= len(self._packed.get(key, b""))
        if packed is None:
            self._packed.pop(key, None)
            live.pop(key, None)
        else:
            self._packed[key] = packed
            live.weight += len(packed)

    def cool(self) -> None:
        """Let go of the live records if they have become many; every changed one must have come through `keep`."""
        if self._live.weight > _MOST_LIVE:
            self._live.clear()
            self._live.weight = 0


#: Bytes, packed, of the records that stay live between checkpoints; in memory they take about four times that.
_MOST_LIVE = 4 << 20


class _Live(dict[str, Any]):
    """Records as objects, laid over the bytes: an unknown key is None, and so is a removed one that has bytes."""

    __slots__ = ("packed", "unpack", "weight")

    def __init__(self) -> None:
        super().__init__()
        self.packed: dict[str, bytes] = {}
        self.unpack: Callable[[bytes], Any] | None = None
        self.weight = 0
        """Bytes, packed, of the records that are live and have bytes."""

    def __missing__(self, key: str) -> Any:
        packed = self.packed.get(key)
        if packed is None or self.unpack is None:
            return None
        record = self[key] = self.unpack(packed)
        self.weight += len(packed)
        return record


class Decider(Protocol):
    """A pure decision over one input topic. The runner owns the state and calls only these.

    `decide` is a generator: the runner applies each yielded event through `evolve` before it asks for the next, so
    `decide` sees the effects of what it has already decided in this step. If either raises, the whole step is undone
    and the fact becomes a dead letter. State changes only through `evolve`, and `evolve` depends on state and event alone.
    """

    record_types: ClassVar[Any]
    """The type of a state record (a msgspec Struct, or a union of tagged ones), for the changelog."""

    def initial(self) -> State[Any]:
        """An empty state."""
        ...

    def decide(self, state: Any, fact: Record | Timer, at: At) -> Iterator[Decided | StateNote]:
        """Yields the events that follow from a fact, and the notes to remember; nothing for a fact of another type."""
        ...

    def evolve(self, state: Any, event: Any) -> dict[str, Any]:
        """The records that an event or note of this decider changes: key to new record, None for a removed one.

        Leaves `state` as it is.
        """
        ...

    def due(self, record: Any) -> int | None:
        """ms; when this record wants to be woken with `Timer(key, at)`; None for never. Fires once `at` <= event time."""
        ...
