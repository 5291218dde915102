"""When Python looks for cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEWEST = 50_000
"""Objects made and not freed before the newest are looked through."""


@contextmanager
def rarely_collected() -> Iterator[None]:
    """While decisions are made: records come and go by the thousand and make no cycles, and state stays for long."""
    before = gc.get_threshold()
    gc.set_threshold(_NEWEST, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
