"""What both deciding shapes share, free of Kafka: facts in, outputs out, and the progress that a checkpoint keeps."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from agents.policy import Policy
from schemas import codec
from schemas.keys import KEYLESS
from schemas.records import Decided, PolicyChanged, Record, Tick, WriterExcused
from streams.clock import PartitionClock, WrongTick, sound
from streams.errors import Stop
from streams.limits import TooLarge, fit
from streams.topology import Pipeline, Role, Topic


class Fact(msgspec.Struct, gc=False):
    """A decoded record of an input topic partition."""

    offset: int
    record: Record
    stamp: int = 0
    """ms; the broker's time."""
    value: bytes | None = None
    """The bytes as they came."""
    trace: bytes | None = None
    """Its traceparent."""


class Output(msgspec.Struct, gc=False):
    """A record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    """None where nobody reads bytes: in a replay."""
    record: Record
    fact: Fact | None
    partition: int | None = None
    """None: by key."""


class SetAside(msgspec.Struct, gc=False):
    """A fact that could not be handled."""

    fact: Fact
    stage: str
    error: str
    message: str


Result = Output | SetAside


class Progress(msgspec.Struct):
    """Where a partition stands: one record of the changelog at each checkpoint."""

    applied: int = -1
    """Offset of the last input topic record taken."""
    clock: str | None = None
    time: int = 0
    """ms; the partition's time."""
    told: int = 0
    """ms; the newest Tick handed on."""
    writers: dict[str, int] = {}
    """`role/partition`: ms of its last Tick."""
    excused: list[str] = []
    policy: int = 0
    policy_hash: str = ""
    known_from: int = -1
    """Offset of the record that made time known, where facts stood before it."""


def why(error: Exception) -> str:
    """The message of an error of ours: one line, which never holds the words of a post."""
    return " ".join(str(error).split())[:200]


def where(error: Exception) -> str:
    """An error of any kind, told by its place: its own message might hold the words of a post."""
    frames = traceback.extract_tb(error.__traceback__)
    last = (
        f" at {Path(frames[-1].filename).parent.name}/{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        if frames
        else ""
    )
    return f"{type(error).__name__}{last}"


class Core:
    """One input topic partition of a deciding role, pure. Subclasses say what a fact leads to."""

    def __init__(
        self,
        pipeline: Pipeline,
        role: Role,
        number: int,
        partitions: Callable[[str], int],
        policies: Callable[[int, str], Policy],
        *,
        encodes: bool = True,
    ) -> None:
        """encodes: False where nobody reads the bytes of what is written, which then has none."""
        self.pipeline, self.role, self.number = pipeline, role, number
        self.partitions, self.policies = partitions, policies
        self.encodes = encodes
        self.routes = pipeline.routes(role)
        self._ways = {record: list(_ways(found)) for record, found in self.routes.items()}
        rooms = [way[-1] for ways in self._ways.values() for way in ways]
        self._ample = min(rooms, default=0) // _SURELY
        self.tick_topics = pipeline.hands_on(role, Tick)
        self.policy_topics = pipeline.hands_on(role, PolicyChanged)
        self.clock = PartitionClock(pipeline.writers(role.input_topic, number, partitions))
        self.applied = -1
        self.left: list[Fact] = []
        """Those of the last `take` that are still to be taken: at once, but for those that wait for time."""
        self.waits = False
        """Whether facts wait for time to be known. They were given and are not kept: whoever runs this core gives them again."""
        self.heard = self.clock
        """The clock as far as the log was heard: ahead of `clock` while facts wait."""
        self.known_from = -1
        """Offset of the record that made time known: no timer fires before it, for what stands between has not been read."""
        self.halted: Stop | None = None
        """Why the first fact of `left` can never be taken."""
        self.told = 0
        self.policy: Policy | None = None
        self.policy_hash = ""

    # --- progress ---------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """What a checkpoint must keep beside the state."""
        return Progress(
            applied=self.applied,
            clock=self.clock.kind,
            time=self.clock.time,
            told=self.told,
            writers={f"{role}/{n}": time for (role, n), time in self.clock.last.items()},
            excused=[f"{role}/{n}" for role, n in sorted(self.clock.excused)],
            policy=self.policy.version if self.policy else 0,
            policy_hash=self.policy_hash,
            known_from=self.known_from,
        )

    def resume(self, progress: Progress) -> None:
        """Stand where a checkpoint stood."""
        self.applied, self.told, self.known_from = progress.applied, progress.told, progress.known_from
        self.clock = PartitionClock(
            self.clock.expected,
            kind=progress.clock,
            time=progress.time,
            last={_writer(name): time for name, time in progress.writers.items()},
            excused=map(_writer, progress.excused),
        )
        self.heard = self.clock
        if progress.policy:
            self.policy, self.policy_hash = self.policies(progress.policy, progress.policy_hash), progress.policy_hash

    # --- control records ------------------------------------------------------------------------------------

    def in_force(self, changed: PolicyChanged) -> bool:
        """Whether a PolicyChanged is news; from then on it holds."""
        if self.policy is not None and changed.version <= self.policy.version:
            return False
        self.policy = self.policies(changed.version, changed.hash)
        self.policy_hash = changed.hash
        return True

    def handed_on(self, changed: PolicyChanged, fact: Fact) -> list[Result]:
        """A policy change for every partition downstream."""
        value = codec.encode(changed) if self.encodes else None
        return [
            Output(t.name, None, value, changed, fact, n)
            for t in self.policy_topics
            for n in range(self.partitions(t.name))
        ]

    def ticks(self) -> list[Output]:
        """The newest time for every partition downstream; asked once a checkpoint."""
        if self.clock.time <= self.told or self.clock.kind is None or self.left or self.applied < self.known_from:
            return []
        self.told = self.clock.time
        tick = Tick(clock=self.clock.kind, time=self.told, role=self.role.name, partition=self.number)  # type: ignore[arg-type]
        value = codec.encode(tick) if self.encodes else None
        return [
            Output(t.name, None, value, tick, None, n) for t in self.tick_topics for n in range(self.partitions(t.name))
        ]

    # --- outputs --------------------------------------------------------------------------------------------

    def route(self, record: Record, fact: Fact, results: list[Result]) -> None:
        """Append a record to the results for every topic that lists its type. Raises TooLarge when it cannot be cut to fit."""
        if not self.encodes and len(_measure(record)) <= self._ample:  # a tenth of what Avro costs
            for _, name, key, _, _ in self._ways[type(record)]:
                results.append(Output(name, key(record), None, record, fact))
            return
        value = b""
        for topic, name, key, encode, room in self._ways[type(record)]:
            by = key(record)
            if encode is not None:
                value = encode(record)
            if len(value) + len(by) > room:
                record, value = self._cut(record, topic, room - len(by))
            results.append(Output(name, by, value, record, fact))

    def _cut(self, record: Record, topic: Topic, room: int) -> tuple[Record, bytes]:
        if not isinstance(record, Decided):
            raise TooLarge(f"{type(record).__name__} above the {topic.limit} bytes of {topic.name}")
        record = fit(record, room)
        return record, topic.wire.encode(record)

    def due(self) -> int | None:
        """ms; a Tick before this changes nothing but the time: not even one that is the first for long. None: no Tick does."""
        raise NotImplementedError

    def pass_over(self, time: int) -> None:
        """Stand where Ticks of this time (ms) from all writers would leave it, and have told it; nothing is due up to then."""
        self.clock.pass_over(time)
        self.told = self.clock.time

    # --- facts ----------------------------------------------------------------------------------------------

    def take(self, facts: list[Fact]) -> list[Result]:
        """What follows from facts, in order: from all of them, but for those that are `left`.

        1. All were taken: nothing is left.
        2. `halted`: the role must stop before the first that is left; all before it was taken.
        3. `waits`: no time is known yet. Nothing that was given from the first fact on was taken. Give what the log
           holds behind it, as it comes: it is only listened to.
        4. Else take what is left, at once. Where facts waited before this call, nothing of this call was taken: give
           the log again from behind `applied`.
        """
        self.left = []
        if self.clock.time and self.policy is not None:
            return self._take(facts)
        return self._early(facts)

    def _take(self, facts: list[Fact]) -> list[Result]:
        """As `take`, at a time that is known, or control records alone."""
        raise NotImplementedError

    def _early(self, facts: list[Fact]) -> list[Result]:
        """Before time is known no fact is taken; they are decided on at the first time that is."""
        results: list[Result] = []
        first = 0
        if not self.waits:
            first = next((n for n, fact in enumerate(facts) if type(fact.record) not in KEYLESS), len(facts))
            results = self._take(facts[:first])
        self.left = facts[first:]
        if not self.left:
            return results
        if self.clock.time:
            if self.policy is None:
                self.halted = Stop(
                    f"{self.role.input_topic}/{self.number} has a {type(self.left[0].record).__name__} at offset "
                    f"{self.left[0].offset} before any policy: run `netcenter topics apply`"
                )
            return results
        if not self.waits:
            self.waits, self.heard = True, self.clock.copy()
        for fact in self.left:
            if self._hear(fact):
                self.clock, self.waits, self.known_from = self.heard, False, fact.offset
                return results + self._began(fact)
        return results

    def _hear(self, fact: Fact) -> bool:
        """Listen to what stands behind waiting facts: whether it makes time known. What is wrong is said in its place."""
        record = fact.record
        if isinstance(record, Tick):
            try:
                self.heard.tick(self.tick_of(fact, record, self.heard))
            except WrongTick:
                return False
        elif isinstance(record, WriterExcused):
            self.heard.excuse(record)
        return self.heard.time > 0

    def tick_of(self, fact: Fact, tick: Tick, clock: PartitionClock) -> Tick:
        """The Tick as it counts for a clock. Raises WrongTick."""
        return sound(tick)

    def _began(self, fact: Fact) -> list[Result]:
        """What follows when a fact that stands behind waiting ones has made time known."""
        return []


#: Room that headers may need beside key and value, bytes.
_OVERHEAD = 4096
#: MessagePack writes the names of fields too: Avro's form of a record never takes twice as much, nor its key more.
_SURELY = 3
_measure = msgspec.msgpack.Encoder().encode


_Way = tuple[Topic, str, Callable[[Any], bytes], Callable[[Record], bytes] | None, int]


def _ways(found: list[tuple[Topic, Callable[[Any], bytes]]]) -> Iterator[_Way]:
    """Topic, its name, key, encoder (None: as for the topic before) and the bytes that key and value may have."""
    before = None
    for topic, key in found:
        encode = None if topic.wire is before else topic.wire.encode
        before = topic.wire
        yield topic, topic.name, key, encode, topic.limit - _OVERHEAD


def _writer(name: str) -> tuple[str, int]:
    role, _, number = name.rpartition("/")
    return role, int(number)
