"""The demo on a Kafka with TLS and an authorizer, where each role and each part of the demo is a user of its own."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from contextlib import ExitStack
from pathlib import Path

from netcenter.demo.run import Demo
from netcenter.demo.worker_processes import Workers
from netcenter.embedded import Addresses
from netcenter.files.line import Line
from netcenter.settings import Settings
from netcenter.workers import enabled_roles, health_ports
from streams.kafka_connection import KafkaConnection
from tests.support.kafka_rights import named, variables
from tests.support.secured_kafka import SecuredKafka


class RoleProcesses(Workers):
    """A process for each role, each with variables of its own, in place of the one supervisor of all roles."""

    def __init__(self, log: Path, environments: Mapping[str, Mapping[str, str]]) -> None:
        self._each = [
            Workers(log.with_name(f"{role}.log"), environment, role) for role, environment in environments.items()
        ]
        self.log = log.parent

    @property
    def pid(self) -> int:
        """The process of the first role."""
        return self._each[0].pid

    def check(self) -> None:
        """Checks the process of each role."""
        for workers in self._each:
            workers.check()

    def check_progress(self, sign: Hashable, what: str, roles: Collection[str]) -> None:
        """As that of each role."""
        for workers in self._each:
            workers.check_progress(sign, what, roles)

    def end(self) -> None:
        """Ends them all."""
        for workers in self._each:
            workers.end()


class OwnUsersDemo(Demo):
    """The demo with servers that are there already; with a SecuredKafka, each part of it as its own user."""

    def __init__(self, kafka: SecuredKafka | None, addresses: Addresses, prefix: str, records: int | None) -> None:
        """records: plays only so many lines of the story; None: plays them all."""
        super().__init__(inputs=None, keep=False, as_json=True)
        self._records = records
        self.base = self.base.model_copy(update={"prefix": prefix})
        self._secured, self._addresses = kafka, addresses

    def _story(self) -> list[Line]:
        return super()._story()[: self._records]

    def _servers(self, stack: ExitStack) -> Addresses:
        return self._addresses

    def _connection(self, settings: Settings, user: str) -> KafkaConnection:
        return self._secured.connection(user=named(user)) if self._secured else super()._connection(settings, user)

    def _start_workers(self, log: Path, environment: Mapping[str, str]) -> Workers:
        given = {**environment, "NETCENTER_PREFIX": self.base.prefix}
        ports = health_ports(self.health, [role.name for role in enabled_roles()])
        return RoleProcesses(
            log,
            {
                role: given
                | {"NETCENTER_HEALTH_PORT": str(port)}
                | (variables(self._secured.connection(user=named(role))) if self._secured else {})
                for role, port in ports.items()
            },
        )
