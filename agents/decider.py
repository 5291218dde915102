"""The port between a decision and its runner: a Kafka partition, a replay of a file, or a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, TypedDict, TypeVar

import msgspec

from agents.policy import Policy
from schemas import ids
from schemas.records import Decided, Record

S = TypeVar("S")


class Unusable(ValueError):
    """A fact that the decider cannot use. The message says how to correct the fact, and never holds the words of a
    post.
    """


class Unanswered(Exception):
    """A service that the decision needs does not answer now. The facts are correct, so no fact becomes a dead
    letter.
    """


class Timer(msgspec.Struct, frozen=True):
    """The firing of a timer, which is a fact like any other: the state record under `key` asked for it at `at` (ms)."""

    key: str
    at: int

    @property
    def id(self) -> str:
        """A deterministic id: the same timer has the same id in every run."""
        return ids.timer(self.key, self.at)


class StateNote:
    """Base of state notes: changes of state that `decide` yields for `evolve`, and that are written to no topic. A note
    carries what the state must remember although no event says it: a fact that only counts later, a value of the policy
    in force, or that a record may be forgotten. Notes are msgspec Structs: `class LeaseNoted(StateNote, msgspec.Struct,
    frozen=True)`.
    """

    __slots__ = ()


class Carried(NamedTuple):
    """A state record as another log takes it over, with other topics and perhaps another number of partitions."""

    by: bytes
    """The Kafka key, in the role's input topic, of the facts that change the record: the record goes with them."""
    record: Any
    """The record without anything that holds in one log only, such as an offset."""

    @staticmethod
    def nowhere(key: str, _record: Any) -> Carried:
        """For a decider whose state no other log can take over. Raises Unusable."""
        raise Unusable(f"{key!r} cannot be carried over: its role does not say to which partition it belongs")


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
    """The time of a decision, the policy in force, and the cause of the decision."""

    time: int
    """ms of event time: for a timer the time when it was due, else the partition's watermark. Nothing is decided before
    the watermark is known.
    """
    seen: int
    """ms; the watermark. It is later than `time` when a Tick jumps over the due of a timer."""
    policy: Policy
    cause: str
    """id of the fact or timer."""
    partial: bool = False
    """Whether a source of the partition is idle, so that its records of this time are missing."""

    def not_before(self, time: int) -> At:
        """Returns a copy whose time is at least this one (ms), so that a decision is never earlier than the event that
        caused it.

        The watermark follows the slowest source; an event of a faster source may be later than the watermark.
        """
        return self if self.time >= time else msgspec.structs.replace(self, time=time, seen=max(self.seen, time))

    def envelope(self, aggregate: str, seq: int, reason: str) -> Envelope:
        """Returns the common fields of a decided event: `CaseOpened(**at.envelope(case_id, 1, "…"), brand=…)`."""
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
    """The records of one partition, by key. A Decider that needs an index over the records overrides `put`. Records in
    use are objects; the others are kept as the changelog's bytes and decoded at the first use. A Decider sees no
    difference. It should look up keys and not iterate, because iterating decodes every record.
    """

    left_out = 0
    """How many things decisions have ignored since this state was made, because the state has a limit for such
    things.
    """

    def __init__(self) -> None:
        self._live = _Live()
        self._packed = self._live.packed
        # `get(key)` returns None where there is no record. It is a bound C method, because each step calls it often.
        self.get = self._live.__getitem__  # type: ignore[assignment, method-assign]

    def put(self, key: str, record: S | None) -> None:
        """Sets a record, or removes it with None. Every change and every recovered record comes through this method."""
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

    # --- for the runner of the Decider ---------------------------------------------------------------------------

    def decode_with(self, unpack: Callable[[bytes], Any]) -> None:
        """Sets the function that decodes the bytes given to `restore` and `keep`."""
        self._live.unpack = unpack

    def restore(self, key: str, record: S, packed: bytes) -> None:
        """Restores a record from the changelog and keeps only its bytes."""
        self.put(key, record)
        self._packed[key] = packed
        self._live.pop(key, None)

    def keep(self, key: str, packed: bytes | None) -> None:
        """Stores the bytes of a changed record; None for a removed record. The record stays an object until `cool`."""
        live = self._live
        live.weight -= len(self._packed.get(key, b""))
        if packed is None:
            self._packed.pop(key, None)
            live.pop(key, None)
        else:
            self._packed[key] = packed
            live.weight += len(packed)

    def cool(self) -> None:
        """Drops the objects of all records if they take much memory. Every changed record must have come through `keep`."""
        if self._live.weight > _MOST_LIVE:
            self._live.clear()
            self._live.weight = 0


#: The most packed bytes of records that stay objects between checkpoints. Objects take about four times as much memory.
_MOST_LIVE = 4 << 20


class _Live(dict[str, Any]):
    """Records as objects over the packed bytes. The value of an unknown or removed key is None."""

    __slots__ = ("packed", "unpack", "weight")

    def __init__(self) -> None:
        super().__init__()
        self.packed: dict[str, bytes] = {}
        self.unpack: Callable[[bytes], Any] | None = None
        self.weight = 0
        """Packed bytes of the records that are objects here and have bytes."""

    def __missing__(self, key: str) -> Any:
        packed = self.packed.get(key)
        if packed is None or self.unpack is None:
            return None
        record = self[key] = self.unpack(packed)
        self.weight += len(packed)
        return record


class Decider(Protocol):
    """A pure decision over one input topic. The runner owns the state and calls only these methods, through `stepper`.

    `decide` is a generator. The runner applies each event and note through `evolve` before it asks for the next, so that
    `decide` sees the effects of its own step. If either raises, the step is undone and the fact becomes a dead letter.
    State changes only through `evolve`, and the result of `evolve` depends on state and event alone.

    tests/contract/test_deciders.py holds every Decider of the pipeline to these promises.
    """

    record_types: ClassVar[Any]
    """The type of a state record (a msgspec Struct, or a union of tagged ones), for the changelog."""

    def initial(self) -> State[Any]:
        """Returns an empty state."""
        ...

    def decide(self, state: Any, fact: Record | Timer, at: At) -> Iterator[Decided | StateNote]:
        """Yields the events and notes that follow from a fact; nothing for a fact of another type."""
        ...

    def evolve(self, state: Any, event: Any) -> dict[str, Any]:
        """Returns the records that an event or note of this decider changes: key to new record; None for a removed
        record.
        """
        ...

    def due(self, record: Any) -> int | None:
        """Returns when (ms) this record's `Timer(key, at)` is due; None: never. It fires when the watermark reaches
        this time.
        """
        ...


Wakes = list[tuple[str, int | None]]
"""For each changed record: its key, and when its timer is due (ms; None: never)."""
Emit = Callable[[Any, Any, Any], None]
"""`emit(event, source, into)` receives an event after `evolve`; a step passes `source` and `into` on unchanged."""
Step = Callable[[Record | Timer, At, Emit, Any, Any], Wakes]
"""`step(fact, at, emit, source, into)`, as `stepper` makes it."""


def stepper(decider: Decider, state: State[Any]) -> Step:
    """Returns the function that runs one step of a decider over its state. Every runner of a decider calls it.

    1. Each event and note that `decide` yields goes through `evolve`, and the changed records are put into the state,
       before `decide` goes on.
    2. Each event, but no note, goes to `emit(event, source, into)`.
    3. At the end each changed record is asked once when its timer is due. No timer fires in the middle of a step.

    If any of this raises an error, the step restores the old records and raises the error again; the caller drops the
    events that `emit` received in this step. For speed the lookups are made here and not in each step, and `emit` takes
    two more arguments instead of being a new closure.
    """
    decide, evolve, due, get, put = decider.decide, decider.evolve, decider.due, state.get, state.put

    def step(fact: Record | Timer, at: At, emit: Emit, source: Any, into: Any) -> Wakes:
        before: dict[str, Any] = {}
        try:
            for event in decide(state, fact, at):
                for key, changed in evolve(state, event).items():
                    if key not in before:
                        before[key] = get(key)
                    put(key, changed)
                if not isinstance(event, StateNote):
                    emit(event, source, into)
            wakes: Wakes = []
            for key in before:
                record = get(key)
                wakes.append((key, None if record is None else due(record)))
            return wakes
        except BaseException:
            for key, old in before.items():
                put(key, old)
            raise

    return step


def collect(event: Decided, source: object, into: list[Decided]) -> None:
    """An `emit` that appends the event to a list."""
    into.append(event)
