"""Makes the worker of a role from its entry in the pipeline and from the settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

from netcenter.errors import Unreachable, UsageError
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import signatures_of_worker
from netcenter.settings import HeartbeatSettings, Settings, read, variable
from sinks import port
from streams.deciding_worker import DecidingWorker
from streams.kafka_connection import KafkaConnection
from streams.reporting_worker import ReportingWorker
from streams.sink_worker import SinkWorker
from streams.supervisor import SUPERVISED
from streams.topology import Role, Sink
from streams.worker import RoleWorker


def role_names() -> list[str]:
    """The name of every role, in the order of the flow."""
    return [role.name for role in PIPELINE.roles]


def role_of(name: str) -> Role:
    """The role of that name. Raises UsageError for an unknown name."""
    if name not in role_names():
        raise UsageError(f"no role is called {name!r}; there are: {', '.join(role_names())}, all")
    return PIPELINE.role(name)


def deciding_role(name: str) -> Role:
    """The role of that name, which has a state. Raises UsageError for a sink, and for an unknown name."""
    role = role_of(name)
    if not role.decides:
        raise UsageError(f"{name} has no changelog: it keeps its positions at its receiver or in its consumer group")
    return role


def enabled_roles() -> list[Role]:
    """The roles that `netcenter worker all` runs, in the order of the flow."""
    return [role for role in PIPELINE.roles if missing_to_run(role) is None]


def missing_to_run(role: Role) -> str | None:
    """The missing variable because of which an optional role does not run; None where the role runs."""
    if role.enabled_by is None or getattr(_own_settings(role), role.enabled_by) is not None:
        return None
    return variable(role.enabled_by)


def health_ports(first: int, names: Sequence[str]) -> dict[str, int]:
    """For each role the port of `/live`, `/ready` and `/metrics`; `first`: the first role's port; 0: each role takes a
    free port.
    """
    return {name: first + place if first else 0 for place, name in enumerate(names)}


def make_worker(role: Role, settings: Settings, kafka: KafkaConnection) -> RoleWorker:
    """The worker of a role. Raises UsageError for wrong settings, Unreachable as `make_sink` does."""
    given = settings.worker(kafka, signatures_of_worker(settings))
    if isinstance(role.shape, Sink):
        sink = make_sink(role)
        if role.writes:  # only the reports of a ReportingSink are written anywhere
            return ReportingWorker(PIPELINE, role, given, cast(port.ReportingSink, sink))
        return SinkWorker(PIPELINE, role, given, sink)
    return DecidingWorker(PIPELINE.for_earlier() if given.upgrade_from else PIPELINE, role, given)


def make_sink(role: Role) -> port.SinkPort:
    """The sink of a role whose shape is Sink, not yet connected.

    Raises UsageError for wrong settings, Unreachable where its receiver is an embedded server that does not run.
    """
    if not isinstance(role.shape, Sink):
        raise TypeError(f"{role.name} is no sink")
    try:
        return role.shape.make(_own_settings(role))
    except port.SinkError as error:
        raise UsageError(str(error)) from None
    except port.ReceiverUnreachable as error:
        raise Unreachable(str(error)) from None


def unknown_variables() -> list[str]:
    """The variables of the environment that begin as settings do and are none, by name."""
    classes: list[Any] = [
        Settings,
        HeartbeatSettings,
        *(role.settings for role in PIPELINE.roles if role.settings is not None),
    ]
    known = {variable(name) for settings in classes for name in settings.model_fields} | {SUPERVISED}
    return sorted(name for name in os.environ if name.startswith(variable("")) and name not in known)


def _own_settings(role: Role) -> Any:
    """The role's own settings, from the environment; None where it has none. Raises UsageError."""
    return None if role.settings is None else read(role.settings)
