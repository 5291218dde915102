"""The rights of users as commands of Kafka's own tool, kafka-acls.sh."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from netcenter.rights.kafka_users import KafkaUser
from netcenter.rights.user_names import user_name
from streams.rights import ResourceKind, by_operations

_OPTIONS = {
    ResourceKind.TOPIC: "--topic",
    ResourceKind.GROUP: "--group",
    ResourceKind.TRANSACTIONAL_ID: "--transactional-id",
    ResourceKind.CLUSTER: "--cluster",
}
_HEAD = (
    "# Run it in a shell where NETCENTER_KAFKA has the brokers, and KAFKA_ADMIN is a file with the client properties of a\n"
    "# user that may alter ACLs. A rule that is there already stays as it is."
)
_TOOL = 'kafka-acls.sh --bootstrap-server "$NETCENTER_KAFKA" --command-config "$KAFKA_ADMIN" --add'


def kafka_acls(users: Iterable[KafkaUser], pattern: str, prefix: str) -> str:
    """A shell script with one command for the resources of a user that have the same operations."""
    return "\n".join([_HEAD, *(line for user in users for line in _commands(user, pattern, prefix))])


def _commands(user: KafkaUser, pattern: str, prefix: str) -> Iterator[str]:
    principal = shlex.quote(f"User:{user_name(pattern, user.name, prefix)}")
    for (kind, operations, prefixed), names in by_operations(user.rights).items():
        words = [f"--operation {operation.word}" for operation in operations]
        if kind is ResourceKind.CLUSTER:
            words.append(_OPTIONS[kind])
        else:
            words += [f"{_OPTIONS[kind]} {shlex.quote(name)}" for name in names]
        if prefixed:
            words.append("--resource-pattern-type prefixed")
        yield f"{_TOOL} --allow-principal {principal} {' '.join(words)}"
