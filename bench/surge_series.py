"""Figures of bursts and loads on single series: NAB scores, delays of added floods, delays of additional contacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents.policy.surge_policy import SurgePolicy
from agents.surge.burst import Burst
from agents.surge.load import Load
from bench.surge_data import (
    BIN,
    MINUTE,
    START,
    contacts,
    given,
)
from netcenter.backtest import nab
from netcenter.backtest.judge import judge
from netcenter.backtest.series_files import CountSeries

#: The settings that are tried when one series is left out: rarity of a level, rarity of a jump.
_GRID = [(sustained, jump) for sustained in ("2h", "5h", "10h") for jump in ("1m", "5m", "20m")]


# --- NAB -----------------------------------------------------------------------------------------------------------


def scores(data: Path) -> dict[str, Any]:
    """Score the five series with the default settings and with each setting of the grid; and score each with the best
    of the others.
    """
    series, told = given(data)
    by_rule: dict[tuple[str, str], list[nab.Parts]] = {}
    for sustained, jump in _GRID:
        rule = SurgePolicy.model_validate({"sustained": sustained, "jump": jump})
        by_rule[sustained, jump] = [nab.parts(s.times, judge(s, rule).alerts, told[s.name]) for s in series]
    left_out, chosen = [], []
    for n, one in enumerate(series):
        best = max(by_rule, key=lambda key: _worth([p for i, p in enumerate(by_rule[key]) if i != n]))
        left_out.append(by_rule[best][n])
        chosen.append(f"{one.name}: sustained {best[0]}, jump {best[1]}")
    variants = {f"sustained {key[0]}, jump {key[1]}": _told(parts) for key, parts in by_rule.items()}
    return {
        "default": _told(by_rule["5h", "5m"]),
        "leave one series out": _told(left_out) | {"chosen": chosen},
        "variants": variants,
    }


def _worth(parts: list[nab.Parts]) -> float:
    return nab.score(parts, "standard") + nab.score(parts, "low_fp")


def _told(parts: list[nab.Parts]) -> dict[str, Any]:
    found: dict[str, Any] = {profile: round(nab.score(parts, profile), 1) for profile in nab.PROFILES}
    found["windows"] = f"{sum(p.seen for p in parts)}/{sum(p.windows for p in parts)}"
    found["false_a_day"] = round(sum(p.groups for p in parts) / sum(p.days for p in parts), 3)
    return found


# --- onsets --------------------------------------------------------------------------------------------------------


def onsets(data: Path, times: int = 40) -> dict[str, Any]:
    """Measure the delay for three hours of 1.7, 3 and 10 times the level, sudden or over an hour, at random times."""
    series, told = given(data)
    rule = SurgePolicy()
    found: dict[str, list[float]] = {}
    for one in series:
        random = np.random.default_rng(5)
        values = np.array(one.values)
        states = _states(one.values, rule)
        for at in random.choice(_calm(one, told[one.name], states), times, replace=False):
            level = np.array([values[max(0, i - 6) : i + 7].mean() for i in range(at, at + 36)])
            for shape, rise in (("step", np.ones(36)), ("ramp", np.minimum(1, (np.arange(36) + 1) / 12))):
                for factor in (1.7, 3, 10):
                    more = np.random.default_rng(at).poisson(level * (factor - 1) * rise)
                    late = _opens(states[at - 1], values[at : at + 36] + more, rule)
                    found.setdefault(f"{shape} {factor}x", []).append(late)
    return {name: _delays(late) for name, late in found.items()}


def _states(values: list[float], rule: SurgePolicy) -> list[Burst]:
    burst, states = Burst.new(), []
    for value in values:
        burst = burst.step(value, rule)
        states.append(burst)
    return states


def _calm(series: CountSeries, told: nab.Labels, states: list[Burst]) -> list[int]:
    """Return the bins that start three hours outside every window, with no burst open."""
    free = np.ones(len(series.times), bool)
    free[:1_200] = free[-80:] = False
    for a, b in told.windows:
        first, last = np.searchsorted(series.times, [a, b])
        free[max(0, first - 60) : last + 12] = False
    return [int(i) for i in np.flatnonzero(free) if not any(s.kind for s in states[i - 1 : i + 36])]


def _opens(burst: Burst, counts: Any, rule: SurgePolicy) -> float:
    """Return the minutes until a burst opens."""
    for n, count in enumerate(counts):
        burst = burst.step(float(count), rule)
        if burst.kind:
            return (n + 1) * BIN / MINUTE
    return float("inf")


def _delays(late: list[float]) -> dict[str, Any]:
    delays = np.array(late)
    caught = delays[np.isfinite(delays)]
    return {
        "tried": len(delays),
        "caught": f"{np.isfinite(delays).mean():.0%}",
        "median_of_the_caught": float(np.median(caught)) if len(caught) else None,
        "within_5_min": f"{(delays <= 5).mean():.0%}",
        "within_10_min": f"{(delays <= 10).mean():.0%}",
        "within_60_min": f"{(delays <= 60).mean():.0%}",
    }


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
