"""`netcenter worker ROLE` without a limit of dead letters, for a log half of which is bad: run by its path, with the role."""

from __future__ import annotations

import sys
from typing import Any

from msgspec.structs import replace

from netcenter import cli
from netcenter.settings import Settings
from streams.settings import WorkerSettings

_given = Settings.worker


def _lenient(self: Settings, *given: Any, **more: Any) -> WorkerSettings:
    return replace(_given(self, *given, **more), dead_share=1.0)


if __name__ == "__main__":
    Settings.worker = _lenient  # type: ignore[method-assign]
    sys.argv[1:1] = ["worker"]
    cli.main()
