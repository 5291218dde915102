"""promtool of a real Prometheus: the one that is installed, else Debian's package, unpacked without being installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = "prometheus"
_FETCH_S = 90


def promtool() -> Path:
    """The program. Skips the test where neither an installed one nor the package can be had."""
    if installed := shutil.which("promtool"):
        return Path(installed)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netcenter-tests" / PACKAGE
    if not (cache / "promtool").exists():
        _fetch(cache)
    return cache / "promtool"


def _fetch(cache: Path) -> None:
    work = cache.with_name(f"{PACKAGE}.{os.getpid()}")
    work.mkdir(parents=True)
    try:
        for command in (["apt-get", "download", "-qq", PACKAGE], ["sh", "-c", "dpkg -x prometheus_*.deb unpacked"]):
            subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=_FETCH_S)
        cache.mkdir(exist_ok=True)
        (work / "unpacked" / "usr" / "bin" / "promtool").replace(cache / "promtool")
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(
            f"no promtool: it is not installed, and Debian's package {PACKAGE} cannot be fetched ({type(error).__name__}). Not "
            "proven: that Prometheus reads our rules, and that each fires when it should and is silent when all is well"
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
