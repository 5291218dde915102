"""The words that a pipeline is written in: topics, roles, and the three shapes a role can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from agents.decider import At, Decider
from agents.policy import Policy
from schemas import codec, headers
from schemas.keys import KEYLESS
from schemas.records import PolicyChanged, Record, Tick

DAY = 86_400_000
MIB = 1 << 20


class Wire(Protocol):
    """How records stand in bytes."""

    headers: bool
    """Whether they carry CloudEvents headers."""

    def decode(self, value: bytes | None) -> Record:
        """The record. Raises WireError for everything that is no record."""
        ...

    def encode(self, record: Record) -> bytes:
        """The bytes."""
        ...


class _Avro:
    """Confluent framing and Avro: the wire of every topic of Netcenter."""

    headers = True
    decode = staticmethod(codec.decode)
    encode = staticmethod(codec.encode)


AVRO: Wire = _Avro()


@dataclass(frozen=True)
class Topic:
    """A Kafka topic and what may stand in it."""

    name: str
    records: tuple[type[Record], ...]
    key: Callable[[Any], bytes]
    """What a record is keyed by."""
    kept: int | None = 30 * DAY
    """ms; None: compacted."""
    public: bool = True
    """Whether consumers outside read it: then every record carries CloudEvents headers, control records too."""
    limit: int = MIB
    """Bytes a record may have."""
    partitions: int | None = None
    """None: as many as the setting says."""
    wire: Wire = AVRO
    """How its records stand in bytes."""
    inputs: tuple[type[Record], ...] = ()
    """Those of its records that come from outside: each is held to `schemas.requirements` before it is a fact."""

    @cached_property
    def carrying(self) -> frozenset[type[Record]]:
        """The records that carry CloudEvents headers: in a topic that is not public, control records carry none."""
        if not self.wire.headers:
            return frozenset()
        return frozenset(self.records) if self.public else frozenset(self.records) - KEYLESS

    def command_headers(self, record: Record, writer: str) -> headers.Headers:
        """The headers of a record that a command writes here: CloudEvents in a public topic, none elsewhere.

        writer: as `schemas.headers.ce_source` takes it.
        """
        return headers.of(record, writer, headers.time_of(record), None) if self.public else []

    @property
    def dead(self) -> Topic:
        """Where its records go that cannot be handled: as kept as it, with room for the reason."""
        kept = 30 * DAY if self.kept is None else self.kept
        return Topic(
            f"{self.name}.dead",
            (),
            self.key,
            kept,
            public=False,
            limit=self.limit + 64 * 1024,
            partitions=self.partitions,
        )


class Stage(Protocol):
    """What a Batch runs for one input topic partition: records in, records out, no decision between records."""

    dropped: int
    """Repeated records dropped so far."""

    def recall(self, record: Record, offset: int, time: int) -> None:
        """Take back what an earlier run has written: a record of the output topic's tail, oldest first.

        offset: the input topic offset that it came from. time: ms, the partition's time then.
        """
        ...

    def recalls(self, time: int) -> int:
        """ms; the tail is enough that begins with a Tick of then or before, where the partition's time (ms) is `time`."""
        ...

    def restore(self, key: str, packed: bytes) -> None:
        """Take back a record of the changelog, in the order in which they were written, before the tail."""
        ...

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """What the changelog must hold of what has changed since this was asked last, by key; None: removed."""
        ...

    def run(self, facts: Sequence[tuple[Record, int]], at: At) -> list[Record | Exception | None]:
        """One result for each (record, offset): what follows, why it is set aside, or None when dropped."""
        ...

    def question(self, records: Iterable[Record], policy: Policy) -> Callable[[], Any] | None:
        """What must be asked of somebody else before `run` takes these; None when nothing, which must cost little.

        The call may last long: it belongs beside the event loop. It changes nothing in the stage, and raises Unanswered.
        """
        ...

    def answered(self, answers: Any) -> None:
        """Take what a question gave, for the next `run`."""
        ...

    def tick(self, time: int) -> list[Record]:
        """Records that stand before the Tick of this time (ms)."""
        ...

    def due(self) -> int | None:
        """ms; the first time at which `tick` gives something; None while nothing waits."""
        ...


@dataclass(frozen=True)
class Batch:
    """A batch of records in, records out."""

    stage: Callable[[int], Stage]
    """Makes the stage of an input topic partition."""
    output_topic: str
    """The topic whose partitions mirror the input topic's: time and order are handed on in place."""


@dataclass(frozen=True)
class Fold:
    """A pure Decider over its input topic."""

    decider: Callable[[], Decider]


@dataclass(frozen=True)
class Sink:
    """A batch in, an idempotent write out."""

    make: Callable[[Any], Any]
    """Makes the sink from the settings."""


@dataclass(frozen=True)
class Role:
    """A consumer group with one job."""

    name: str
    shape: Batch | Fold | Sink
    reads: tuple[str, ...]
    """Topics; a deciding role has one, its input topic."""
    writes: tuple[str, ...] = ()

    @property
    def input_topic(self) -> str:
        """The one topic that a deciding role reads."""
        return self.reads[0]

    @property
    def decides(self) -> bool:
        """Whether it has a state and writes topics."""
        return not isinstance(self.shape, Sink)

    @property
    def changelog(self) -> str:
        """Where its progress and state are kept."""
        return f"{self.name}.changelog"


@dataclass(frozen=True)
class Pipeline:
    """The whole flow."""

    topics: tuple[Topic, ...]
    roles: tuple[Role, ...]
    clock_role: str = "clock"
    """The name under which Ticks of the first topic are written."""
    _topics: dict[str, Topic] = field(init=False, repr=False)
    _roles: dict[str, Role] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Index by name."""
        every = [*self.topics, *self.dead_topics()]
        object.__setattr__(self, "_topics", {t.name: t for t in every})
        object.__setattr__(self, "_roles", {r.name: r for r in self.roles})

    def topic(self, name: str) -> Topic:
        """The topic of that name, `.dead` ones among them; KeyError if there is none."""
        return self._topics[name]

    def dead_topics(self) -> list[Topic]:
        """The dead letters of every topic that holds records of ours."""
        return [t.dead for t in self.topics if t.records]

    def role(self, name: str) -> Role:
        """The role of that name; KeyError if there is none."""
        return self._roles[name]

    def input_topics(self) -> list[str]:
        """The topics that deciding roles read, in the order of the flow."""
        return [role.input_topic for role in self.roles if role.decides]

    def routes(self, role: Role) -> dict[type[Record], list[tuple[Topic, Callable[[Any], bytes]]]]:
        """For each record that a role may write: the topics that list it, with the function of their key."""
        found: dict[type[Record], list[tuple[Topic, Callable[[Any], bytes]]]] = {}
        for name in role.writes:
            topic = self.topic(name)
            for record in topic.records:
                found.setdefault(record, []).append((topic, topic.key))
        return found

    def hands_on(self, role: Role, record: type[Record]) -> list[Topic]:
        """The topics to whose every partition a role hands Ticks or policy changes on."""
        mirror = role.shape.output_topic if isinstance(role.shape, Batch) else None
        return [t for t in map(self.topic, role.writes) if record in t.records and t.name != mirror]

    def writers(self, input_topic: str, number: int, partitions: Callable[[str], int]) -> frozenset[tuple[str, int]]:
        """(role, its input topic partition) of all whose Ticks stand in a partition of an input topic."""
        found: set[tuple[str, int]] = set()
        if input_topic == self.roles[0].input_topic:
            found.add((self.clock_role, number))
        for role in self.roles:
            if role.decides and input_topic in role.writes and Tick in self.topic(input_topic).records:
                mirrored = isinstance(role.shape, Batch) and role.shape.output_topic == input_topic
                numbers: Iterable[int] = [number] if mirrored else range(partitions(role.input_topic))
                found.update((role.name, n) for n in numbers)
        return frozenset(found)


CONTROL: tuple[type[Record], ...] = (Tick, PolicyChanged)
