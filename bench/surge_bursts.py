"""Figures of the burst detector on single series: NAB scores, how flat they are, copies, known onsets, and its honesty."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.policy.surge_policy import SurgePolicy
from agents.surge.burst import Burst
from bench.surge_data import BIN, MINUTE, given, stocks
from bench.surge_variants import CONSTANTS, variant
from netcenter.backtest import nab
from netcenter.backtest.judge import judge
from netcenter.backtest.series_files import CountSeries

_DAY, _HOUR = 288, 12
"""Bins."""
_MS_A_DAY = 86_400_000
_FACTORS = (0.5, 2.0)


class _Labelled(NamedTuple):
    series: CountSeries
    told: nab.Labels


def _rule(days: float) -> SurgePolicy:
    return SurgePolicy().model_copy(update={"rarity": days * _MS_A_DAY})


def _alerts(one: CountSeries, days: float, kind: Any = Burst) -> list[int]:
    """Return the bins in which a burst opens where the policy's rarity is so many days."""
    return judge(one, _rule(days), kind).alerts


def _parts(many: Iterable[_Labelled], days: float = 5.0, kind: Any = Burst) -> list[nab.Parts]:
    return [nab.parts(one.series.times, _alerts(one.series, days, kind), one.told) for one in many]


def _told(parts: Sequence[nab.Parts]) -> dict[str, Any]:
    found: dict[str, Any] = {profile: round(nab.score(parts, profile), 1) for profile in nab.PROFILES}
    found["windows"] = f"{sum(p.seen for p in parts)}/{sum(p.windows for p in parts)}"
    found["false_a_day"] = round(_false_a_day(parts), 3)
    return found


def _false_a_day(parts: Sequence[nab.Parts]) -> float:
    return sum(p.groups for p in parts) / sum(p.days for p in parts)


@cache
def _given(data: Path) -> tuple[_Labelled, ...]:
    series, told = given(data)
    return tuple(_Labelled(one, told[one.name]) for one in series)


# --- scores --------------------------------------------------------------------------------------------------------


def scores(data: Path) -> dict[str, Any]:
    """Score the five series with several settings, and count what the settings promise: false alerts in days, as multiples
    of the rarity.
    """
    found = {days: _parts(_given(data), days) for days in (3.0, 5.0, 7.0, 10.0)}
    return {
        f"rarity {days:g}d": _told(parts) | {"once_in_times_rarity": round(1 / _false_a_day(parts) / days, 2)}
        for days, parts in found.items()
    }


def flat(data: Path) -> dict[str, Any]:
    """Score the five series with each constant halved and doubled; and, for each constant, score each series with the value
    that is the best for the other four.
    """
    many = _given(data)
    as_it_is = _parts(many)
    found: dict[str, Any] = {}
    for name, meaning in CONSTANTS.items():
        values = {1.0: as_it_is} | {factor: _parts(many, kind=variant(name, factor)) for factor in _FACTORS}
        found[name] = {
            "is": meaning,
            **{f"x {factor:g}": round(nab.score(parts, "standard"), 1) for factor, parts in values.items()},
            "left_out": round(nab.score(_left_out(list(values.values())), "standard"), 1),
        }
    return found


def _left_out(choices: list[list[nab.Parts]]) -> list[nab.Parts]:
    """Return each series' parts by the choice that is the best for the others; the first of equals."""
    found = []
    for n in range(len(choices[0])):
        others = [[p for i, p in enumerate(parts) if i != n] for parts in choices]
        worth = [nab.score(parts, "standard") + nab.score(parts, "low_fp") for parts in others]
        found.append(choices[worth.index(max(worth))][n])
    return found


# --- copies --------------------------------------------------------------------------------------------------------


def copies(data: Path) -> dict[str, Any]:
    """Score copies of the five series that differ in what should not matter."""
    many = _given(data)
    random = np.random.default_rng(11)
    made: dict[str, Callable[[_Labelled], _Labelled]] = {
        "half of the posts": lambda one: _thinned(one, 2, random),
        "a quarter of the posts": lambda one: _thinned(one, 4, random),
        "a tenth of the posts": lambda one: _thinned(one, 10, random),
        "three times the posts": lambda one: _with(one, [3 * value for value in one.series.values]),
        "begun 2 days later": lambda one: _later(one, 2),
        "begun 5 days later": lambda one: _later(one, 5),
        "days without a window shuffled": lambda one: _shuffled(one, random),
    }
    found = {name: _told(_parts([make(one) for one in many])) for name, make in made.items()}
    pairs = [_mixed(one, many[(n + 1) % len(many)], random) for n, one in enumerate(many)]
    return found | {"two mixed, evened to the smaller": _told(_parts(pairs))}


def _with(one: _Labelled, values: Iterable[float]) -> _Labelled:
    return _Labelled(CountSeries(one.series.name, one.series.times, [float(value) for value in values]), one.told)


def _thinned(one: _Labelled, by: float, random: Any) -> _Labelled:
    return _with(one, random.binomial(np.array(one.series.values, int), 1 / by))


def _later(one: _Labelled, days: int) -> _Labelled:
    series = one.series
    times = series.times[days * _DAY :]
    # NAB scores nothing in the first 750 rows, so a window that begins in them could be found only by a second alert.
    told = nab.Labels([window for window in one.told.windows if window[0] >= times[750]], one.told.onsets)
    return _Labelled(CountSeries(series.name, times, series.values[days * _DAY :]), told)


def _shuffled(one: _Labelled, random: Any) -> _Labelled:
    values, times = np.array(one.series.values), one.series.times
    days = [
        day
        for day in range(len(values) // _DAY)
        if not any(a <= times[day * _DAY + _DAY - 1] and b >= times[day * _DAY] for a, b in one.told.windows)
    ]
    made = values.copy()
    for to, of in zip(days, random.permutation(days), strict=True):
        made[to * _DAY : (to + 1) * _DAY] = values[of * _DAY : (of + 1) * _DAY]
    return _with(one, made)


def _mixed(one: _Labelled, other: _Labelled, random: Any) -> _Labelled:
    """Return both series as one, the larger thinned to the size of the smaller, with the windows of both."""
    length = min(len(one.series.values), len(other.series.values))
    values = [np.array(each.series.values[:length], int) for each in (one, other)]
    least = min(value.mean() for value in values)
    posts = sum(random.binomial(value, least / value.mean()) for value in values)
    times = one.series.times[:length]
    moved = one.series.times[0] - other.series.times[0]
    windows: list[tuple[int, int]] = []
    for a, b in sorted([*one.told.windows, *((a + moved, b + moved) for a, b in other.told.windows)]):
        if windows and a <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(b, windows[-1][1]))
        else:
            windows.append((a, b))
    return _Labelled(CountSeries(one.series.name, times, posts.tolist()), nab.Labels(windows, []))


# --- known onsets --------------------------------------------------------------------------------------------------

_SHAPES: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "step of 1 h": (_HOUR, lambda t: np.ones(len(t))),
    "step of 3 h": (3 * _HOUR, lambda t: np.ones(len(t))),
    "step of 6 h": (6 * _HOUR, lambda t: np.ones(len(t))),
    "ramp of 1 h, 3 h in all": (3 * _HOUR, lambda t: np.minimum(1, (t + 1) / _HOUR)),
    "cascade": (3 * _HOUR, lambda t: (1 - np.exp(-(((t + 0.5) / 4) ** 2))) * (1 + (t + 0.5) / 6) ** -1.5 / 0.45),
}
"""Bins, and the height of the added posts at each bin (1: the full height)."""
_TIMES = (1.7, 3.0, 10.0)
_BUDGETS = {"a month": 30.0, "a week": 7.0, "three days": 3.0}


def onsets(data: Path, places: int = 40) -> dict[str, Any]:
    """Measure, at several budgets of false alerts, how many added floods are found and how late."""
    many = _given(data)
    tried: dict[str, list[list[float]]] = {}
    for one in many:
        for at, before in _placements(one, places):
            for shape, (bins, height) in _SHAPES.items():
                for times in _TIMES:
                    more = np.random.default_rng(at).poisson(
                        _level(one, at, bins) * (times - 1) * np.maximum(0, height(np.arange(bins)))
                    )
                    tried.setdefault(f"{shape}, {times:g} times", []).append(_highest(one, at, before, more))
    found: dict[str, Any] = {}
    for budget, days in _BUDGETS.items():
        rarity = _rarity_for(many, 1 / days)
        bar = math.log(rarity)
        late = {name: [_first(highest, bar) for highest in each] for name, each in tried.items()}
        found[f"one false alert in {budget}"] = {"rarity_days": round(rarity, 2)} | {
            name: _delays(each) for name, each in late.items()
        }
    return found


def _level(one: _Labelled, at: int, bins: int) -> Any:
    values = np.array(one.series.values)
    return np.array([values[max(0, i - 6) : i + 7].mean() for i in range(at, at + bins)])


def _placements(one: _Labelled, places: int) -> list[tuple[int, Burst]]:
    """Return (bin, series before it) of calm moments at random: outside of every window, with nothing that is rarer than
    once a day in the hour before and in six hours from then on.
    """
    series, rule = one.series, _rule(1e9)
    states = [Burst.new()]
    for value, at in zip(series.values, series.times, strict=True):
        states.append(states[-1].step(float(value), at, rule))
    free = np.ones(len(series.values), bool)
    free[: 4 * _DAY] = free[-80:] = False
    for a, b in one.told.windows:
        first, last = np.searchsorted(series.times, [a, b])
        free[max(0, first - 80) : last + _HOUR] = False
    calm = [
        int(i)
        for i in np.flatnonzero(free)
        if all(state.score < 0 for state in states[i - _HOUR + 1 : i + 6 * _HOUR + 1])
    ]
    chosen = np.random.default_rng(5).choice(calm, places, replace=False)
    return [(int(i), states[i]) for i in chosen]


def _highest(one: _Labelled, at: int, burst: Burst, more: Any) -> list[float]:
    """Return the highest score so far in each bin."""
    best, found, rule = -math.inf, [], _rule(1e9)
    for n, count in enumerate(more):
        burst = burst.step(one.series.values[at + n] + float(count), one.series.times[at + n], rule)
        best = max(best, burst.score)
        found.append(best)
    return found


def _first(highest: list[float], bar: float) -> float:
    """Return the minutes until the score reaches the bar."""
    return next(((n + 1) * BIN / MINUTE for n, score in enumerate(highest) if score >= bar), math.inf)


def _rarity_for(many: Sequence[_Labelled], a_day: float) -> float:
    """Return the rarity (days) with which false alerts come so often."""
    low, high = math.log(0.1), math.log(100)
    for _ in range(9):
        middle = (low + high) / 2
        if _false_a_day(_parts(many, math.exp(middle))) > a_day:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _delays(late: list[float]) -> dict[str, Any]:
    delays = np.array(late)
    caught = delays[np.isfinite(delays)]
    return {
        "found": f"{np.isfinite(delays).mean():.0%}",
        "median_min": float(np.median(caught)) if len(caught) else None,
        "within_15_min": f"{(delays <= 15).mean():.0%}",
    }


def first_hours(data: Path, places: int = 40) -> dict[str, Any]:
    """Measure how many tenfold floods of three hours are found that begin two hours after a brand's first post, and the
    alerts of brands in their first two days without a flood; at the default.
    """
    rule, found, alerts, begun = SurgePolicy(), [], 0, 0
    for one in _given(data):
        random = np.random.default_rng(3)
        values, times = one.series.values, one.series.times
        free = np.ones(len(values), bool)
        for a, b in one.told.windows:
            first, last = np.searchsorted(times, [a, b])
            free[max(0, first - 60) : last + _HOUR] = False
        starts = [i for i in range(len(values) - 2 * _DAY) if free[i : i + 2 * _DAY].all()]
        for start in random.choice(starts, places, replace=False):
            at = int(start) + 2 * _HOUR
            more = np.random.default_rng(at).poisson(_level(one, at, 3 * _HOUR) * 9)
            burst, opened = Burst.new(), False
            for n in range(5 * _HOUR):
                count = values[start + n] + (float(more[n - 2 * _HOUR]) if n >= 2 * _HOUR else 0.0)
                burst = burst.step(count, times[start + n], rule)
                opened = opened or (n >= 2 * _HOUR and burst.open)
            found.append(opened)
            calm = CountSeries(one.series.name, times[start : start + 2 * _DAY], values[start : start + 2 * _DAY])
            alerts, begun = alerts + len(_alerts(calm, 5.0)), begun + 1
    return {
        "tenfold after two hours, found": f"{np.mean(found):.0%}",
        "alerts a brand in the first two days, without a flood": round(alerts / begun, 2),
    }


# --- a set that nothing is tuned on ----------------------------------------------------------------------------------


def unseen(data: Path) -> dict[str, Any]:
    """Count alerts on the posts with the busiest cashtags of 2014 to 2016, which have no labels: every alert is counted."""
    found: dict[str, Any] = {}
    for one in stocks(data):
        days = len(one.values) / _DAY
        told = {f"rarity {rarity:g}d": len(_alerts(one, rarity)) for rarity in (3.0, 5.0, 7.0, 10.0)}
        found[one.name] = {"posts_a_day": round(sum(one.values) / days, 1), "days": round(days)} | {
            name: f"once in {days / max(1, count):.1f} days" for name, count in told.items()
        }
    return found
