"""Asks Kafka which of its rights a worker has, so that a worker that lacks one says which, and waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.client import CoordinationType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NoError,
    NotCoordinatorForGroupError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

from streams.rights import UNKNOWN, ResourceKind, Right, Rights, lacking, refusal
from streams.topic_metadata import TopicMetadata

_TEXT = String("utf-8")
Granted = dict[tuple[ResourceKind, str], int]
"""The bit field of the operations that Kafka allows on a resource, by kind and name; see `streams.rights.lacking`."""


#: The answers of a new cluster that is making or loading its topic for groups: joining says what is wrong.
_STARTING = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, GroupLoadInProgressError)


class _GroupsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 15, 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error", Int16),
                ("group", _TEXT),
                ("state", _TEXT),
                ("protocol_type", _TEXT),
                ("protocol", _TEXT),
                (
                    "members",
                    Array(
                        ("id", _TEXT), ("client", _TEXT), ("host", _TEXT), ("metadata", Bytes), ("assignment", Bytes)
                    ),
                ),
                ("operations", Int32),
            ),
        ),
    )


class _GroupsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION = 15, 3
    RESPONSE_TYPE = _GroupsResponse
    SCHEMA = Schema(("groups", Array(_TEXT)), ("operations", Boolean))


class _Groups(Request[_GroupsStruct]):  # type: ignore[misc]
    """A DescribeGroups request of version 3. aiokafka's own reads no operations from the answer."""

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupsStruct]) -> _GroupsStruct:
        """The request as it is sent."""
        return request_struct_class([self._group], True)


async def granted_beyond_topics(client: Any, rights: Iterable[Right]) -> Granted:
    """The operations that Kafka allows on the groups and transactional ids of these rights. Raises KafkaError.

    Kafka does not say what it allows on a transactional id: where it says which broker coordinates the id, any right
    on it counts. client: an aiokafka client that has been started; call this in its event loop.
    """
    found: Granted = {}
    for right in rights:
        if right.kind is ResourceKind.GROUP:
            found[right.kind, right.name] = await _group_operations(client, right.name)
        elif right.kind is ResourceKind.TRANSACTIONAL_ID:
            found[right.kind, right.name] = await _transactional_id_operations(client, right.name)
    return found


async def _group_operations(client: Any, group: str) -> int:
    try:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
    except GroupAuthorizationFailedError:
        return 0
    except GroupCoordinatorNotAvailableError:
        return UNKNOWN
    response = await client.send(coordinator, _Groups(group))
    error, *_, operations = response.groups[0]
    kind = for_code(error)
    if kind is GroupAuthorizationFailedError:
        return 0
    if kind in _STARTING:
        return UNKNOWN
    if kind is not NoError:
        raise kind(group)
    return int(operations)


async def _transactional_id_operations(client: Any, beginning: str) -> int:
    """UNKNOWN where the broker does not refuse an id of the first partition; 0 where it does."""
    try:
        await client.coordinator_lookup(CoordinationType.TRANSACTION, f"{beginning}0")
    except TransactionalIdAuthorizationFailed:
        return 0
    except GroupCoordinatorNotAvailableError:  # a new cluster is making its topic for transactions
        return UNKNOWN
    return UNKNOWN


class RightsCheck:
    """Compares the rights that a worker needs with what Kafka allows its user."""

    def __init__(self, rights: Rights, user: str | None, purpose: str, log: Any) -> None:
        """user, purpose: see `streams.rights.refusal`."""
        self.rights, self._user, self._purpose, self._log = rights, user, purpose, log
        self.missing: str | None = None
        """A line that names the rights that the worker lacks; None when it lacks none."""

    def compare(self, topics: Mapping[str, TopicMetadata], others: Granted) -> bool:
        """Sets `missing`, and logs each change. Returns whether no right is missing.

        topics: by their names on the broker. others: from `granted_beyond_topics`.
        """
        granted = {(ResourceKind.TOPIC, name): topic.operations for name, topic in topics.items()}
        lacks = lacking(self.rights, granted | others)
        before, self.missing = self.missing, refusal(self._user, lacks, self._purpose) if lacks else None
        if self.missing is not None and self.missing != before:
            self._log.error("waiting for rights", why=self.missing)
        elif self.missing is None and before is not None:
            self._log.info("rights granted")
        return self.missing is None
