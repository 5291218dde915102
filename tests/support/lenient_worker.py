"""`netcenter worker ROLE` without a limit of dead letters, for a log half of which is bad."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from netcenter.settings import Settings
from streams.settings import WorkerSettings
from tests.support import forked

_given = Settings.worker


def _lenient(self: Settings, *given: Any, **more: Any) -> WorkerSettings:
    return replace(_given(self, *given, **more), dead_share=1.0)


def command(log: Path, folder: Path, environment: Mapping[str, str], words: list[str]) -> None:
    """As `forked.command`."""
    Settings.worker = _lenient  # type: ignore[method-assign]
    forked.command(log, folder, environment, words)
