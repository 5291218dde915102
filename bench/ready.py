"""Waits until workers are ready: each has its partitions and knows the time."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterable

#: Seconds.
_STARTS_S = 120.0


def await_ready(ports: Iterable[int]) -> None:
    """Wait until the worker behind each port is ready. Raises RuntimeError with what a worker says that is not."""
    deadline = time.monotonic() + _STARTS_S
    for port in ports:
        while (why := _lacks(port)) is not None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"a worker is not ready after {_STARTS_S:.0f} s: {why}")
            time.sleep(0.2)


def _lacks(port: int) -> str | None:
    """What the worker behind a port lacks; None where it is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
            return None
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return type(error).__name__
