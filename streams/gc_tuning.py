"""How often Python looks for reference cycles while a worker or a replay runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEWEST = 50_000
"""How many new objects may exist before the collector checks the youngest generation."""


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Makes the collector run rarely inside the `with`, because records make no cycles, and state objects live long."""
    before = gc.get_threshold()
    gc.set_threshold(_NEWEST, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
