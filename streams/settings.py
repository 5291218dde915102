"""The settings of a worker. Importing this module is cheap, because every command does."""

from __future__ import annotations

from typing import Literal

import msgspec

from streams.kafka_connection import KafkaConnection
from streams.signatures import NO_SIGNATURES, Signatures


class WorkerSettings(msgspec.Struct, frozen=True):
    """The settings of one worker; docs/settings.md names the environment variables."""

    kafka: KafkaConnection
    """Where Kafka is, and how to connect to it."""
    signatures: Signatures = NO_SIGNATURES
    """The keys that sign control records and verify them."""
    prefix: str = ""
    """The text before the name of every topic and group."""
    partitions: int = 8
    """Partitions of every input topic."""
    checkpoint_s: float = 0.25
    """Seconds until an open transaction is committed."""
    idle_s: float = 0.05
    """Seconds without a record after which an open transaction is committed at once."""
    checkpoint_facts: int = 20_000
    """The number of records after which an open transaction is committed at once."""
    tick_s: float = 1.0
    """Seconds between Ticks on the wall clock, unless the log is at rest."""
    source_idle_s: float = 10.0
    """Seconds without a Tick after which its writer counts as idle, on the wall clock."""
    offset_commit_s: float = 0.5
    """Seconds between two commits of offsets to the consumer group."""
    session_s: float = 10.0
    """Seconds without a heartbeat after which the group takes a worker's partitions away."""
    heartbeat_s: float = 0.5
    """Seconds between two heartbeats to the group. A member learns of a rebalance by its next heartbeat, and until the last
    member has learnt of it no partition of the role is read.
    """
    stuck_s: float = 30.0
    """Seconds for which the event loop may be blocked before a worker counts as stuck and leaves its group."""
    upgrade_from: str = ""
    """The release whose forms and versions are written; empty: the newest."""
    on_lost: Literal["stop", "continue"] = "stop"
    """What to do when retention has deleted records that were not read."""
    dead_share: float = 1.0
    """Share of dead letters among the last `dead_window` records of a partition at which the role stops."""
    dead_window: int = 1_000
    """The number of last records of a partition that `dead_share` refers to."""
    health_host: str = "127.0.0.1"
    health_port: int = 0
    """0: a free one."""
