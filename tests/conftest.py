"""One real Kafka and one real PostgreSQL for the whole session, and a topic prefix of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
import structlog

# Before numpy is imported: two halves of the tests run at once, and threads that wait for each other cost more than they do.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from netcenter.embedded import Addresses, Stack
from streams.kafka_connection import KafkaConnection
from tests.support import examples  # noqa: F401 - it sets what holds for every property


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """A command that ran in this process leaves no logger behind that writes to what was captured then."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Both servers, empty at the start and deleted at the end."""
    servers = Stack(tmp_path_factory.mktemp("stack") / "servers", ephemeral=True)
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.fixture(scope="session")
def kafka(stack: Addresses) -> KafkaConnection:
    """The session's Kafka."""
    return KafkaConnection(stack.kafka)


@pytest.fixture(scope="session")
def postgres_uri(stack: Addresses) -> str:
    """The URI of the session's PostgreSQL."""
    return stack.postgres


@pytest.fixture
def prefix() -> str:
    """Before every topic and group of one test."""
    return f"t{uuid4().hex[:8]}."
