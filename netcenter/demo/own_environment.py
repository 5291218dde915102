"""The environment of the demo: it has servers of its own, so what the environment says about other servers is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import FILES
from netcenter.settings import Settings, variable
from streams.topology import Sink


def of_other_servers() -> list[str]:
    """The variables that are set and say where other servers are, who we are there, or with which keys their log is signed."""
    settings = {name for name in Settings.model_fields if name.partition("_")[0] == "kafka"}
    for role in PIPELINE.roles:
        if isinstance(role.shape, Sink):
            settings |= set(role.shape.settings.model_fields)
    return sorted(
        variable(name) for name in settings | {*FILES.values(), "signed_since"} if variable(name) in os.environ
    )


@contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Sets environment variables of this process, removes those that are None, and restores the old values at the end."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
