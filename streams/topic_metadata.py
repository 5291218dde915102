"""Asks a broker for topics' partitions, ids and rights; the id distinguishes a topic from a later one of the same name."""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from typing import Any

import msgspec
from aiokafka.errors import NoError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields


class TopicMetadata(msgspec.Struct, frozen=True):
    """A topic that exists, or one of which Kafka tells this user nothing."""

    id: bytes
    """16 bytes, new whenever a topic is created."""
    partitions: int
    operations: int
    """The bit field of the operations that Kafka allows this user; negative where it does not say. 0: this user may not
    even know whether the topic exists, and `id` and `partitions` are empty.
    """


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_TEXT = CompactString("utf-8")


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields)),
        ),
        ("cluster", _TEXT),
        ("controller", Int32),
        (
            "topics",
            CompactArray(
                ("error", Int16),
                ("name", _TEXT),
                ("id", _Uuid),
                ("internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error", Int16),
                        ("number", Int32),
                        ("leader", Int32),
                        ("epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("in_sync", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION = 3, 12
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", _TEXT), ("tags", TaggedFields))),
        ("create", Boolean),
        ("operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[_MetadataStruct]):  # type: ignore[misc]
    """A metadata request of version 12: topic ids begin at version 10, and aiokafka's own request ends at 5."""

    API_KEY = 3

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        """The request as it is sent."""
        return request_struct_class([(bytes(16), name, {}) for name in self._names], False, True, {})


async def topic_metadata(client: Any, names: Collection[str]) -> dict[str, TopicMetadata]:
    """The topics of these names that exist now, or that this user may not know. Raises KafkaError.

    client: an aiokafka client that has been started; call this in its event loop.
    """
    response = await client.send(client.get_random_node(), _Metadata(names))
    found: dict[str, TopicMetadata] = {}
    for error, name, id, _, partitions, operations, _ in response.topics:
        kind = for_code(error)
        if kind is NoError:
            found[name] = TopicMetadata(id, len(partitions), operations)
        elif kind is TopicAuthorizationFailedError:
            found[name] = TopicMetadata(b"", 0, 0)
        elif kind is not UnknownTopicOrPartitionError:
            raise kind(name)
    return found
