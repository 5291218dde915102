"""How often Python looks for reference cycles while a worker or a replay runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEWEST = 50_000
"""Objects made and not freed before the collector looks through the youngest generation."""


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Collects rarely inside the `with`: records come and go by the thousand without cycles, and state stays for long."""
    before = gc.get_threshold()
    gc.set_threshold(_NEWEST, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
