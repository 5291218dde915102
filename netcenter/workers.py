"""The composition root: a role's name and the settings become a worker."""

from __future__ import annotations

from netcenter.errors import UsageError
from netcenter.pipeline import PIPELINE
from netcenter.runtime.factories import lacks_model
from netcenter.settings import Settings
from streams.deciding_worker import DecidingWorker
from streams.sink_worker import SinkWorker
from streams.topology import Sink
from streams.worker import Hooks, RoleWorker


def role_names() -> list[str]:
    """Every role, in the order of the flow."""
    return [role.name for role in PIPELINE.roles]


def make_worker(name: str, settings: Settings, kafka: str) -> RoleWorker:
    """The worker of a role. Raises UsageError for an unknown one or missing settings."""
    if name not in role_names():
        raise UsageError(f"no role is called {name!r}; there are: {', '.join(role_names())}")
    role = PIPELINE.role(name)
    given = settings.worker(kafka)
    hooks = Hooks(lacks=lacks_model) if name == "classify" else Hooks()
    if isinstance(role.shape, Sink):
        return SinkWorker(PIPELINE, role, given, hooks, role.shape.make(settings))
    return DecidingWorker(PIPELINE, role, given, hooks)
