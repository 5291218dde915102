"""Figures of loads: delays of additional contacts, and false loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents.policy.surge_policy import SurgePolicy
from agents.surge.load import Load
from bench.surge_data import (
    START,
    contacts,
)

# --- loads ---------------------------------------------------------------------------------------------------------


def loads(data: Path, seeds: int = 4) -> dict[str, Any]:
    """Measure the delay for 70 % more contacts for four hours, every other day from the fifth week on, at several sizes."""
    rule = SurgePolicy()
    found = {}
    for a_minute in (5.0, 15.0, 60.0):
        false, days, late = 0, 0, []
        for seed in range(seeds):
            random = np.random.default_rng(seed)
            expected = contacts(9, a_minute, random)
            begin = 4 * 7 * 1440
            false += sum(at >= begin for at in _loads(random.poisson(expected), rule))
            days += 5 * 7
            more, starts = np.ones(len(expected)), []
            for day in range(28, 61, 2):
                starts.append(day * 1440 + int(random.integers(1440)))
                more[starts[-1] : starts[-1] + 240] = 1.7
            opened = _loads(random.poisson(expected * more), rule)
            late += [next((o - s + 1 for o in opened if s <= o < s + 240), float("inf")) for s in starts]
        delays = np.array(late)
        caught = delays[np.isfinite(delays)]
        found[f"{a_minute:g} contacts a minute"] = {
            "tried": len(delays),
            "caught": f"{np.isfinite(delays).mean():.0%}",
            "within_45_min": f"{(delays <= 45).mean():.0%}",
            "median": float(np.median(caught)),
            "false_a_day": round(false / days, 3),
        }
    return found


def _loads(counts: Any, rule: SurgePolicy) -> list[int]:
    """Return the minutes in which a load opens."""
    load, opened = Load.new(START), []
    for i, count in enumerate(counts.tolist()):
        was, load = load.open, load.step(float(count), rule)
        if load.open and not was:
            opened.append(i)
    return opened
