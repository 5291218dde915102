"""What a worker must be told; light to import, for every command reads it."""

from __future__ import annotations

from typing import Literal

import msgspec


class WorkerSettings(msgspec.Struct, frozen=True):
    """What a worker must be told."""

    kafka: str
    """host:port[,host:port]"""
    prefix: str = ""
    """Before every topic and group."""
    partitions: int = 8
    """Of every inbox."""
    checkpoint_s: float = 0.25
    """Seconds until an open transaction is sealed."""
    idle_s: float = 0.05
    """Seconds without a record after which it is sealed at once."""
    checkpoint_facts: int = 20_000
    """Records until it is sealed at once."""
    tick_s: float = 1.0
    """Seconds between Ticks on the wall clock."""
    silence_s: float = 10.0
    """Seconds after which a silent writer is excused, on the wall clock."""
    offset_commit_s: float = 0.5
    """Seconds between the offsets told to the group."""
    session_s: float = 10.0
    heartbeat_s: float = 2.0
    stuck_s: float = 30.0
    """Seconds without a turn of the event loop after which a worker counts as stuck, and leaves its group."""
    on_lost: Literal["stop", "continue"] = "stop"
    """What to do when retention has deleted records that were not read."""
    dead_share: float = 1.0
    """Share of the last `dead_window` records of a partition that stops a role when it was set aside."""
    dead_window: int = 1_000
    health_host: str = "127.0.0.1"
    health_port: int = 0
    """0: a free one."""
