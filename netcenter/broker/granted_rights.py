"""Asks a broker what it allows the user of this command."""

from __future__ import annotations

from collections.abc import Iterable

from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, TopicAuthorizationFailedError

from streams.rights import UNKNOWN, Operation, ResourceKind, Right

ASKED = (ResourceKind.TOPIC, ResourceKind.GROUP, ResourceKind.CLUSTER)
"""The kinds of which a broker says what it allows. Of transactional ids it does not."""


def granted_rights(client: KafkaAdminClient, rights: Iterable[Right]) -> dict[tuple[ResourceKind, str], int]:
    """The bit field of the operations that the broker allows on each resource of these rights, as
    `streams.rights.lacking` takes it. Raises KafkaError.
    """
    rights = list(rights)
    names = {kind: sorted({right.name for right in rights if right.kind is kind}) for kind in ASKED}
    found: dict[tuple[ResourceKind, str], int] = {}
    for topic in client.describe_topics(names[ResourceKind.TOPIC]) if names[ResourceKind.TOPIC] else ():
        refused = topic["error_code"] == TopicAuthorizationFailedError.errno
        found[ResourceKind.TOPIC, topic["name"]] = 0 if refused else _bits(topic["authorized_operations"])
    for group in names[ResourceKind.GROUP]:
        found[ResourceKind.GROUP, group] = _of_group(client, group)
    if names[ResourceKind.CLUSTER]:
        found[ResourceKind.CLUSTER, ""] = _bits(client.describe_cluster()["authorized_operations"])
    return found


def _of_group(client: KafkaAdminClient, group: str) -> int:
    try:
        said = client.describe_groups([group])[group]
        refused = GroupAuthorizationFailedError.__name__ in (said["error"] or "")
        return 0 if refused else _bits(said["authorized_operations"])
    except GroupAuthorizationFailedError:
        return 0
    except CoordinatorNotAvailableError:  # a new cluster is making its topic for groups
        return UNKNOWN


def _bits(operations: Iterable[str] | None) -> int:
    """None: the broker does not say, as for a topic or a group that does not exist."""
    if operations is None:
        return UNKNOWN
    names = {operation.name: operation for operation in Operation}
    return sum(1 << names[name] for name in operations if name in names)
