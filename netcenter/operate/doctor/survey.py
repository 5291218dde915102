"""The data for the checks of the log: the broker's answers, each requested once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from kafka.admin import KafkaAdminClient

from netcenter.broker.groups import GroupMember
from netcenter.broker.lag import LagMonitor, RolePosition
from netcenter.broker.log_clock import clock_of_log
from netcenter.operate.doctor.finding import Finding
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import Clock
from streams.kafka_connection import KafkaConnection


@dataclass
class Survey:
    """The answers of a broker. An answer is requested when a check first needs it, and kept for later checks."""

    given: Settings
    """The settings of the environment. `settings` is the same with the partition count of the log."""
    kafka: KafkaConnection
    client: KafkaAdminClient
    now: int = field(default_factory=lambda: int(time.time() * 1000))
    """ms; the clock of this machine."""

    @cached_property
    def monitor(self) -> LagMonitor:
        """A monitor whose broker has loaded its groups. Raises CommandError."""
        monitor = LagMonitor(self.given, self.kafka, self.client)
        monitor.groups.await_loaded()
        return monitor

    @property
    def settings(self) -> Settings:
        """The settings, with the partition count of the log."""
        return self.monitor.settings

    @cached_property
    def positions(self) -> dict[str, list[RolePosition]]:
        """The position of each role in each of its partitions."""
        return self.monitor.positions(PIPELINE.roles)

    def all_positions(self) -> list[RolePosition]:
        """The positions of all roles."""
        return [position for positions in self.positions.values() for position in positions]

    @cached_property
    def records_behind(self) -> dict[RolePosition, int]:
        """The number of records to read, for each position that is behind."""
        return self.monitor.records_behind(self.all_positions())

    @cached_property
    def members(self) -> dict[str, list[GroupMember]]:
        """The workers of each role, as their groups know them."""
        return self.monitor.groups.members()

    @cached_property
    def clock(self) -> Clock:
        """Which clock the log follows."""
        return clock_of_log(self.settings, self.kafka)


Check = Callable[[Survey], Iterator[Finding]]
