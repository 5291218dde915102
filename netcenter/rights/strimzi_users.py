"""The rights of users as KafkaUser resources, from which Strimzi's User Operator makes users and their rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from netcenter.errors import UsageError
from netcenter.rights.kafka_users import KafkaUser
from netcenter.rights.user_names import user_name
from streams.rights import ResourceKind, by_operations

Authentication = Literal["scram-sha-512", "tls"]
_TYPES = {
    ResourceKind.TOPIC: "topic",
    ResourceKind.GROUP: "group",
    ResourceKind.TRANSACTIONAL_ID: "transactionalId",
    ResourceKind.CLUSTER: "cluster",
}
_RESOURCE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST = {"scram-sha-512": 253, "tls": 64}
"""The most characters of a name: a resource's, and the common name of a certificate."""


def strimzi_users(
    users: Iterable[KafkaUser], pattern: str, prefix: str, cluster: str, authentication: Authentication
) -> str:
    """A YAML document with a KafkaUser for each user. cluster: the name of the Kafka resource. Raises UsageError."""
    return "".join(_document(user, user_name(pattern, user.name, prefix), cluster, authentication) for user in users)


def _document(user: KafkaUser, name: str, cluster: str, authentication: Authentication) -> str:
    if _RESOURCE_NAME.fullmatch(name) is None or len(name) > _LONGEST[authentication]:
        raise UsageError(
            f"--user: {name!r} can name no KafkaUser: use at most {_LONGEST[authentication]} of a-z, 0-9, - and . in the pattern "
            "and in the prefix that it takes"
        )
    lines = [
        "---",
        "apiVersion: kafka.strimzi.io/v1",
        "kind: KafkaUser",
        "metadata:",
        f"  name: {json.dumps(name)}",
        "  labels:",
        f"    strimzi.io/cluster: {json.dumps(cluster)}",
        "spec:",
        "  authentication:",
        f"    type: {authentication}",
        "  authorization:",
        "    type: simple",
        "    acls:",
        *_rules(user),
    ]
    return "".join(f"{line}\n" for line in lines)


def _rules(user: KafkaUser) -> Iterator[str]:
    for (kind, operations, prefixed), names in by_operations(user.rights).items():
        for name in names:
            yield "    - resource:"
            yield f"        type: {_TYPES[kind]}"
            if kind is not ResourceKind.CLUSTER:
                yield f"        name: {json.dumps(name)}"
                yield f"        patternType: {'prefix' if prefixed else 'literal'}"
            yield f"      operations: [{', '.join(operation.word for operation in operations)}]"
