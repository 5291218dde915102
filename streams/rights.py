"""The rights that a worker needs in Kafka where an authorizer decides: pure, from the pipeline and the role."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from streams.topology import POLICY_TOPIC, Batch, Pipeline, Role

UNKNOWN = -1
"""In place of a bit field of operations: the broker does not say what it allows."""


class ResourceKind(Enum):
    """A kind of thing that Kafka gives rights on, with its name for people."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional id"
    CLUSTER = "cluster"


class Operation(IntEnum):
    """An operation that a right allows, with its number in Kafka's protocol."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11

    @property
    def word(self) -> str:
        """The operation as kafka-acls.sh and Strimzi name it."""
        return self.name.title().replace("_", "")


@dataclass(frozen=True, order=False)
class Right:
    """A user may do one thing with one resource, or with every resource whose name begins so."""

    kind: ResourceKind
    name: str
    """The name on the broker; empty for the cluster."""
    operation: Operation
    prefixed: bool = False
    """Whether `name` is the beginning of the names."""

    def __str__(self) -> str:
        if self.kind is ResourceKind.CLUSTER:
            return f"{self.operation.word} on the cluster"
        name = f"{self.name}*" if self.prefixed else self.name
        return f"{self.operation.word} on the {self.kind.value} {name}"


Rights = tuple[Right, ...]


def role_rights(pipeline: Pipeline, role: Role, prefix: str) -> Rights:
    """The least rights of a role's worker. Read and Write allow to describe the resource too.

    - The group: join it, and commit offsets.
    - The groups of the other deciding roles, where the role writes the Ticks of the wall clock: see how far they are.
    - Read: the topics that it reads, its own changelog, the policies, the tail of the topic that a Batch mirrors, the
      watermarks where the records of several partitions come together, and the reports that a sink has written.
    - Write: the topics that it writes, its changelog, dead letters, and control records in its own input topic.
    - The transactional ids of its partitions. With them a producer needs no right on the cluster.
    """
    group = prefix + role.name
    dead = {topic.name for topic in pipeline.dead_topics()}
    reads = dict.fromkeys(role.reads)
    writes = dict.fromkeys([*role.writes, *(f"{name}.dead" for name in role.reads if f"{name}.dead" in dead)])
    ids: list[Right] = []
    if role.decides:
        reads |= dict.fromkeys([role.changelog, POLICY_TOPIC])
        writes |= dict.fromkeys([role.changelog, role.input_topic])
        ids.append(Right(ResourceKind.TRANSACTIONAL_ID, f"{group}-", Operation.WRITE, prefixed=True))
    else:
        reads |= dict.fromkeys(role.writes)
    if pipeline.sources(role, 1):
        reads |= {pipeline.watermarks: None}
    others: list[str] = []
    if isinstance(role.shape, Batch):
        reads |= {role.shape.output_topic: None}
        others = [prefix + other.name for other in pipeline.roles if other.decides and other.name != role.name]
    return (
        Right(ResourceKind.GROUP, group, Operation.READ),
        *(Right(ResourceKind.GROUP, name, Operation.DESCRIBE) for name in others),
        *topic_rights(prefix, reads, Operation.READ),
        *topic_rights(prefix, writes, Operation.WRITE),
        *ids,
    )


def topic_rights(prefix: str, names: Iterable[str], *operations: Operation) -> Rights:
    """A right for each operation on each topic. names: without the prefix."""
    return tuple(Right(ResourceKind.TOPIC, prefix + name, operation) for name in names for operation in operations)


def by_operations(rights: Iterable[Right]) -> dict[tuple[ResourceKind, tuple[Operation, ...], bool], list[str]]:
    """The names that share a kind, their operations and the form of their names, in the order of the rights."""
    operations: dict[tuple[ResourceKind, str, bool], set[Operation]] = defaultdict(set)
    for right in rights:
        operations[right.kind, right.name, right.prefixed].add(right.operation)
    found: dict[tuple[ResourceKind, tuple[Operation, ...], bool], list[str]] = defaultdict(list)
    for (kind, name, prefixed), allowed in operations.items():
        found[kind, tuple(sorted(allowed)), prefixed].append(name)
    return found


def lacking(rights: Iterable[Right], granted: Mapping[tuple[ResourceKind, str], int]) -> list[Right]:
    """The rights that are not granted.

    granted: for each resource the bit field of the operations that the broker allows. A negative number means that the
    broker does not say; and a resource that is left out was not asked about: both count as granted.
    """
    return [
        right
        for right in rights
        if (bits := granted.get((right.kind, right.name), UNKNOWN)) >= 0 and not bits >> right.operation & 1
    ]


def refusal(who: str | None, lacks: Iterable[Right], purpose: str) -> str:
    """One line: what Kafka does not let a user do, and the remedy.

    who: the user, None where it is not known. purpose: for what the rights are needed, such as "the role cases".
    """
    user = f"the user {who}" if who else "this user"
    return (
        f"Kafka does not allow {user}: {', '.join(map(str, lacks))}; have it granted: `netcenter topics acls` prints the "
        f"rights of {purpose}"
    )
