"""A toy pipeline for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka_connection import KafkaConnection
from tests.support.world import World


@pytest.fixture
def world(kafka: KafkaConnection, prefix: str, tmp_path: Path) -> Iterator[World]:
    """Two partitions on the event clock, no worker yet."""
    with World(kafka, prefix, tmp_path) as world:
        yield world
