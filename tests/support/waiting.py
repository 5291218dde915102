"""The one way tests wait: for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
#: Seconds between two looks: the first pause and the longest one. Between them the pause is a tenth of what was waited.
_SHORTEST_S, _LONGEST_S = 0.02, 0.15


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first true value of `condition()`; fails after `seconds` and says what was awaited."""
    start = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - start
        if waited > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(min(_LONGEST_S, max(_SHORTEST_S, waited / 10)))
    return found
