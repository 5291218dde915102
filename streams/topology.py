"""The types that a pipeline is written in: topics, roles, and the three shapes that a role can have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from agents.decider import At, Carried, Decider
from agents.policy import Policy
from schemas import codec, headers
from schemas.keys import KEYLESS
from schemas.records import PolicyChanged, Record, Tick
from schemas.state_forms import ONE_FORM, StateForms
from sinks import port
from streams.signing_keys import Signer

SettingsT = TypeVar("SettingsT")

HOUR = 3_600_000
DAY = 24 * HOUR
MIB = 1 << 20

_DEAD_OVERHEAD, _REASON = 64 * 1024, 8 * 1024

POLICY_TOPIC = "policy"
"""The topic that holds the texts of the policies. Every deciding role reads it."""


class Wire(Protocol):
    """The form in which records are written to a topic."""

    headers: bool
    """Whether the records carry CloudEvents headers."""

    def decode(self, value: bytes | None) -> Record:
        """Decodes a record. Raises WireError for bytes that are not a record."""
        ...

    def encode(self, record: Record) -> bytes:
        """Encodes a record."""
        ...


class _Avro:
    """Confluent framing and Avro: the wire of every topic of Netcenter."""

    headers = True
    decode = staticmethod(codec.decode)
    encode = staticmethod(codec.encode)


AVRO: Wire = _Avro()


@dataclass(frozen=True)
class Topic:
    """A Kafka topic, and the records that it may hold."""

    name: str
    records: tuple[type[Record], ...]
    """The types of records that may be in the topic; any other record becomes a dead letter."""
    key: Callable[[Any], bytes]
    """Gives the Kafka key of a record."""
    kept: int | None = 30 * DAY
    """Retention in ms; None: the topic is compacted."""
    public: bool = True
    """Whether other organisations' programs may read the topic. In a public topic every record carries CloudEvents
    headers, control records too; the projection stores the topic; and docs/wire.md guarantees the form of its records.
    """
    segment: int | None = None
    """ms after which a segment is closed, so that retention can delete it; None: as the broker is set."""
    limit: int = MIB
    """The most bytes that a record may have."""
    partitions: int | None = None
    """The number of partitions; None: as many as NETCENTER_PARTITIONS says."""
    wire: Wire = AVRO
    """Reads and writes the bytes of the records."""
    open: tuple[type[Record], ...] = ()
    """The records from outside that whoever may write to the topic may send, such as a gateway."""
    operators: tuple[type[Record], ...] = ()
    """The records from outside that need a signature with a key of the operators."""
    earlier: tuple[type[Record], ...] = ()
    """The records that only an earlier release wrote here: they are read, and nothing follows from them."""
    later: tuple[type[Record], ...] = ()
    """Of `records`, those that such an earlier release makes dead letters here."""
    earlier_key: Callable[[Any], bytes] | None = None
    """Gives the key that such an earlier release reads here; None: the same."""

    @cached_property
    def inputs(self) -> tuple[type[Record], ...]:
        """The records that come from outside: `schemas.requirements` checks each before a role decides on it."""
        return (*self.open, *self.operators)

    @cached_property
    def signed(self) -> dict[type[Record], Signer]:
        """Whose key signs each record that needs a signature. Empty for a topic into which only roles write, because
        Kafka's rights defend that topic.
        """
        if not self.inputs:
            return {}
        kinds = (kind for kind in self.records if kind not in self.open)
        return {kind: "operators" if kind in self.operators else "system" for kind in kinds}

    @cached_property
    def carrying(self) -> frozenset[type[Record]]:
        """The records that carry CloudEvents headers: in a topic that is not public, control records carry none."""
        if not self.wire.headers:
            return frozenset()
        return frozenset(self.records) if self.public else frozenset(self.records) - KEYLESS

    def command_headers(self, record: Record, writer: str) -> headers.Headers:
        """The headers of a record that a command writes here: CloudEvents in a public topic, no headers elsewhere.
        writer: see `schemas.headers.ce_source`.
        """
        return headers.of(record, writer, headers.time_of(record), None) if self.public else []

    @property
    def dead(self) -> Topic:
        """The topic of its dead letters: with the same retention, and with room for the headers that say why."""
        kept = 30 * DAY if self.kept is None else self.kept
        return Topic(
            f"{self.name}.dead",
            (),
            self.key,
            kept,
            public=False,
            limit=self.limit + _DEAD_OVERHEAD,
            partitions=self.partitions,
        )

    @property
    def room_when_dead(self) -> int:
        """The most bytes of a record of this topic in a dead letter, without the headers that say why it is one."""
        return self.limit + _DEAD_OVERHEAD - _REASON


class Stage(Protocol):
    """The code that a Batch runs for one input partition: records in, records out; no result depends on an earlier
    record.
    """

    dropped: int
    """Repeated records dropped so far."""

    def recall(self, record: Record, offset: int, time: int) -> None:
        """Restores a record of the output topic's tail after a restart; called for the oldest record first.

        offset: the input offset that led to the record. time: ms, the watermark when the record was written.
        """
        ...

    def recalls(self, time: int) -> int:
        """ms; `recall` needs the tail of the output topic from this time on, where the watermark is `time` (ms)."""
        ...

    def restore(self, key: str, packed: bytes) -> None:
        """Restores a record of the changelog; called in the order in which the records were written, before
        `recall`.
        """
        ...

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """(key, packed record) of each record that has changed since the last call, for the changelog; None:
        removed.
        """
        ...

    def memory(self, time: int) -> list[tuple[str, bytes]]:
        """The records of the changelog that another log needs, for `take_over`; they hold what `recall` gave too."""
        ...

    def take_over(self, memories: Iterable[Iterable[tuple[str, bytes]]], time: int) -> None:
        """Makes a new stage remember what stages of another log remembered; `packed` returns all of it next.

        memories: of every partition from which records may come. time: ms; the watermark with which this log begins.
        """
        ...

    def run(self, facts: Sequence[tuple[Record, int]], at: At) -> list[Record | Exception | None]:
        """One result for each (record, offset): the record to write, an error for a dead letter, or None for a duplicate."""
        ...

    def question(self, records: Iterable[Record], policy: Policy) -> Callable[[], Any] | None:
        """A blocking call whose answer `run` needs for these records; None when `run` needs no call.

        `question` itself must cost little. The call may last long, so it runs in a thread. It changes nothing in the stage,
        and raises Unanswered.
        """
        ...

    def answered(self, answers: Any) -> None:
        """Stores the answer to a question, for the next `run`."""
        ...

    def tick(self, time: int) -> list[Record]:
        """The records to write before the Tick of this time (ms)."""
        ...

    def due(self) -> int | None:
        """ms; the first time at which `tick` returns records; None while nothing waits."""
        ...


@dataclass(frozen=True)
class Batch:
    """The shape of a role that turns a batch of records into a batch of records."""

    stage: Callable[[int], Stage]
    """Makes the stage of an input partition."""
    output_topic: str
    """The topic whose partitions mirror the input topic's: each partition keeps its time and its order."""
    settings: type[Any] | None = None
    """The class of the role's own settings, which the stage reads; None when it has none."""
    forms: StateForms = ONE_FORM
    """The forms of its state records."""


@dataclass(frozen=True)
class Fold:
    """The shape of a role that runs a pure Decider over its input topic."""

    decider: Callable[[], Decider]
    """Makes the Decider of an input partition."""
    forms: StateForms = ONE_FORM
    """The forms of its state records."""
    carried: Callable[[str, Any], Carried] = Carried.nowhere
    """Gives a state record, by key and record, as another log takes it over. Raises Unusable for a record that waits for
    more of this log.
    """
    earlier_decider: Callable[[], Decider] | None = None
    """Makes the Decider that works beside workers of an earlier release; None: the same."""


@dataclass(frozen=True)
class Sink(Generic[SettingsT]):
    """The shape of a role that writes batches to a receiver outside of Kafka, idempotently."""

    settings: type[SettingsT]
    """The class of the role's own settings; calling it reads them from the environment."""
    make: Callable[[SettingsT], port.SinkPort]
    """Makes the sink from these settings, without connecting. Raises SinkError, or ReceiverUnreachable."""
    receiver: str
    """The name of the receiver, for messages."""


class SecretFile(NamedTuple):
    """A secret that a role reads from a file."""

    setting: str
    """The setting that holds the file's path."""
    key: str
    """The key of the secret in the Kubernetes Secret `netcenter-<role>-<key>`."""


@dataclass(frozen=True)
class Role:
    """A consumer group with one job. Everything particular to a role is here; no other code checks for a role by its
    name.
    """

    name: str
    shape: Batch | Fold | Sink[Any]
    reads: tuple[str, ...]
    """Topics; a deciding role reads one, its input topic."""
    writes: tuple[str, ...] = ()
    """Topics; of a sink that reports what became of its inputs, the topic of these reports."""
    later_writes: tuple[str, ...] = ()
    """Of `writes`, the topics for whose readers in an earlier release this role is no source."""
    lacks: Callable[[Policy], str | None] = lambda _: None
    """What this machine lacks to work under a policy, so that a worker waits and is not ready; None when it lacks nothing."""
    enabled_by: str | None = None
    """The role is optional and runs only if this setting of its own is set; None: the role always runs.
    """
    replicas: int = 2
    """The number of workers in the manifests."""
    in_base: bool = True
    """Whether the base of the manifests has it; else it is a component of its own, which an overlay adds."""
    port: int | None = None
    """The TCP port of its receiver, which the manifests open; None: it speaks to Kafka only."""
    secret: SecretFile | None = None
    """The secret that the manifests mount."""
    examples: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Values of its own settings in the manifests, by the setting's name; an overlay replaces them."""

    @property
    def settings(self) -> type[Any] | None:
        """The class of the role's own settings; None when it only has the settings of every worker."""
        return None if isinstance(self.shape, Fold) else self.shape.settings

    @property
    def input_topic(self) -> str:
        """The first topic that the role reads. A deciding role reads only this one."""
        return self.reads[0]

    @property
    def decides(self) -> bool:
        """Whether it decides: it has a state, and writes topics by transactions. A sink does not."""
        return not isinstance(self.shape, Sink)

    @property
    def forms(self) -> StateForms:
        """The forms of its state records. Raises TypeError for a sink, which has no state."""
        if isinstance(self.shape, Sink):
            raise TypeError(f"{self.name} has no state")
        return self.shape.forms

    @property
    def changelog(self) -> str:
        """The name of the topic that keeps its progress and state."""
        return f"{self.name}.changelog"


def _earlier(shape: Batch | Fold | Sink[Any]) -> Batch | Fold | Sink[Any]:
    """The shape beside workers of an earlier release."""
    if isinstance(shape, Fold) and shape.earlier_decider is not None:
        return replace(shape, decider=shape.earlier_decider)
    return shape


@dataclass(frozen=True)
class Pipeline:
    """All topics and roles, in the order of the flow."""

    topics: tuple[Topic, ...]
    roles: tuple[Role, ...]
    clock_role: str = "clock"
    """The name under which Ticks of the first topic are written."""
    watermarks: str = "watermarks"
    """The topic into which a role writes its Ticks for the roles in whose input topic the records of several partitions
    come together.
    """
    _topics: dict[str, Topic] = field(init=False, repr=False)
    _roles: dict[str, Role] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Indexes topics and roles by name."""
        every = [*self.topics, *self.dead_topics()]
        object.__setattr__(self, "_topics", {t.name: t for t in every})
        object.__setattr__(self, "_roles", {r.name: r for r in self.roles})

    def topic(self, name: str) -> Topic:
        """The topic of that name, which may be a `.dead` topic. Raises KeyError."""
        return self._topics[name]

    def partitions(self, name: str, by_customer: int) -> int:
        """How many partitions a topic has. by_customer: NETCENTER_PARTITIONS, for the topics that have no number of their
        own. Raises KeyError.
        """
        return self.topic(name).partitions or by_customer

    def dead_topics(self) -> list[Topic]:
        """The `.dead` topic of every topic that holds records."""
        return [t.dead for t in self.topics if t.records]

    def has_signed_records(self, name: str) -> bool:
        """Whether records of a topic need a signature: gateways write to it too."""
        return bool(self.topic(name).signed)

    def role(self, name: str) -> Role:
        """The role of that name. Raises KeyError."""
        return self._roles[name]

    def timed_topic(self, role: Role) -> str | None:
        """The role's first topic that contains Ticks, so that its offsets carry event time; None if there is no such
        topic.
        """
        return next((name for name in role.reads if Tick in self.topic(name).records), None)

    def input_topics(self) -> list[str]:
        """The topics that deciding roles read, in the order of the flow."""
        return [role.input_topic for role in self.roles if role.decides]

    def routes(self, role: Role) -> dict[type[Record], list[tuple[Topic, Callable[[Any], bytes]]]]:
        """For each record that a role may write: (topic, key function) of the topics that list the record."""
        found: dict[type[Record], list[tuple[Topic, Callable[[Any], bytes]]]] = {}
        for name in role.writes:
            topic = self.topic(name)
            for record in topic.records:
                found.setdefault(record, []).append((topic, topic.key))
        return found

    def policy_topics(self, role: Role) -> list[Topic]:
        """The topics into every partition of which a role writes a policy change."""
        mirror = role.shape.output_topic if isinstance(role.shape, Batch) else None
        return [t for t in map(self.topic, role.writes) if PolicyChanged in t.records and t.name != mirror]

    def for_earlier(self) -> Pipeline:
        """The pipeline whose roles write into each topic what an earlier release reads there, beside workers of that release."""
        topics = (
            replace(
                topic,
                records=(*topic.earlier, *(r for r in topic.records if r not in topic.later)),
                earlier=topic.later,
                key=topic.earlier_key or topic.key,
            )
            for topic in self.topics
        )
        roles = (
            replace(
                role, writes=tuple(t for t in role.writes if t not in role.later_writes), shape=_earlier(role.shape)
            )
            for role in self.roles
        )
        return replace(self, topics=tuple(topics), roles=tuple(roles))

    def mirrors(self) -> dict[str, str]:
        """By topic whose partitions mirror those of another topic: the role that mirrors."""
        return {role.shape.output_topic: role.name for role in self.roles if isinstance(role.shape, Batch)}

    def unmirrored_input_topics(self) -> list[str]:
        """The input topics, without those into which a role copies the control records of another topic."""
        mirrors = self.mirrors()
        return [name for name in self.input_topics() if name not in mirrors]

    def sources(self, role: Role, by_customer: int) -> frozenset[tuple[str, int]]:
        """(role, its input partition) of all whose records come together in each partition of the role's input topic; empty
        where each of these partitions has one source only. by_customer: as in `partitions`.
        """
        topic = role.input_topic
        if not role.decides or topic in self.mirrors():
            return frozenset()
        found = (r for r in self.roles if r.decides and topic in r.writes)
        return frozenset((r.name, n) for r in found for n in range(self.partitions(r.input_topic, by_customer)))

    def writers(self, input_topic: str, number: int) -> frozenset[tuple[str, int]]:
        """(role, its input partition) of the writer of Ticks into a partition of an input topic; empty for another topic.

        1. In the first topic it is the clock.
        2. In a mirrored topic it is the role that mirrors, in its partition of the same number.
        3. In a topic in which the records of several partitions come together it is the partition's owner.
        """
        if input_topic == self.roles[0].input_topic:
            return frozenset({(self.clock_role, number)})
        reading = (r.name for r in self.roles if r.decides and r.input_topic == input_topic)
        role = self.mirrors().get(input_topic) or next(reading, None)
        return frozenset() if role is None else frozenset({(role, number)})
