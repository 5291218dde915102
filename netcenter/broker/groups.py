"""The consumer groups of the roles: their members, and the offsets that they have committed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, KafkaError, NotCoordinatorError

from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from streams import committed_offsets
from streams.topology import Role

#: The errors of a broker that has just started and has not loaded its groups yet.
_STARTING = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError)
_START_S = 10.0


class GroupPosition(NamedTuple):
    """A group's committed offset of one partition, with its metadata."""

    offset: int
    """The position: the offset to read next."""
    time: int
    """ms of event time; 0 when it is not known."""
    address: str
    """host:port of the health server of the worker that committed it; empty when it is not known."""
    due: int
    """ms; Ticks before this time change nothing but the watermark; 0 when it is not known."""


NOT_COMMITTED = GroupPosition(-1, 0, "", 0)


@dataclass(frozen=True)
class GroupMember:
    """A worker, as the coordinator of its group knows it."""

    client: str
    """The client id, `netcenter-<role>-<port of the health server>`."""
    host: str

    @property
    def address(self) -> str:
        """host:port of the health server; empty where the client id does not end with a port."""
        port = self.client.rpartition("-")[2]
        return committed_offsets.address(self.host, int(port)) if port.isdigit() else ""


class ConsumerGroups:
    """Asks the broker about the groups of the roles. While a broker starts, no group has offsets or members."""

    def __init__(self, prefix: str, admin: KafkaAdminClient) -> None:
        self._prefix, self._admin = prefix, admin

    def positions(self, roles: Iterable[Role]) -> dict[str, dict[tuple[str, int], GroupPosition]]:
        """The committed offsets of each role, by (topic, partition). Empty while the broker does not answer.

        Raises CommandError for a permanent error.
        """
        cut = len(self._prefix)
        try:
            found = self._admin.list_group_offsets({self._prefix + role.name: None for role in roles})
        except KafkaError as error:
            if getattr(error, "retriable", False):
                return {}
            raise CommandError(f"the groups' offsets cannot be read: {type(error).__name__}") from None
        return {
            group[cut:]: {
                (tp.topic[cut:], tp.partition): GroupPosition(at.offset, *committed_offsets.parsed(at.metadata))
                for tp, at in offsets.items()
                if at.offset >= 0
            }
            for group, offsets in found.items()
        }

    def members(self, roles: Iterable[Role] = PIPELINE.roles) -> dict[str, list[GroupMember]]:
        """The workers of each of these roles now, those without a partition included. Empty lists while the broker does not
        answer.

        Raises CommandError for a permanent error.
        """
        groups = {self._prefix + role.name: role.name for role in roles}
        try:
            found = self._admin.describe_groups(list(groups))
        except KafkaError as error:
            if not getattr(error, "retriable", False):
                raise CommandError(f"the groups' members cannot be read: {type(error).__name__}") from None
            found = {}
        return {
            name: [
                GroupMember(m["client_id"], m["client_host"].removeprefix("/"))
                for m in found.get(group, {}).get("members") or ()
            ]
            for group, name in groups.items()
        }

    def running(self) -> list[Role]:
        """The roles that have a worker now."""
        return [PIPELINE.role(name) for name, members in self.members().items() if members]

    def await_loaded(self) -> None:
        """Waits until the broker answers for every group. Raises CommandError after ten seconds."""
        deadline = time.monotonic() + _START_S
        groups = [self._prefix + role.name for role in PIPELINE.roles]
        while True:
            try:
                found = self._admin.describe_groups(groups).values()
                if not any("Coordinator" in (group["error"] or "") for group in found) and self.positions(
                    PIPELINE.roles
                ):
                    return
            except _STARTING:
                pass
            if time.monotonic() > deadline:
                raise CommandError(f"Kafka does not answer for its groups, {_START_S:.0f} s long: is it starting?")
            time.sleep(0.1)
