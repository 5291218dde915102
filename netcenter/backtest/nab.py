"""Scores of alerts as the Numenta Anomaly Benchmark gives them (NAB v1.1), of a detector's own alerts.

An alert within a labelled window counts the more the earlier it comes, only the first in each; one outside costs the
more the farther it lies behind the last window; a window without one costs too. 0 is a detector that says nothing, 100
one that meets the start of every window and nothing else. The first 15 % of a series, 750 rows at most, are not scored.
Source: github.com/numenta/NAB, nab/scorer.py and config/profiles.json.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from netcenter.errors import UsageError

#: By profile: what a false alert weighs, and what a missed window.
PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
_PROBATION, _LONGEST_PROBATION = 0.15, 750
_AT_START = 2 / (1 + math.exp(-5)) - 1
#: False alerts that follow one another within this time are one to whoever is told.
_APART = 3_600_000
_DAY = 86_400_000


class Labels(NamedTuple):
    """What people say of a series; times in ms."""

    windows: list[tuple[int, int]]
    """first and last moment"""
    onsets: list[int]
    """when each began"""


class Parts(NamedTuple):
    """What the score of a series is made of; the sums over several give the score of all."""

    seen: int
    windows: int
    early: float
    """sum over the windows that were seen of how early, at most 1 each"""
    false: float
    """sum over the false alerts, at most -1 each"""
    groups: int
    """false alerts, those within an hour as one"""
    days: float
    """that were scored"""
    delays: list[float]
    """minutes from the labelled onset of a window that was seen to its first alert"""


def labels(path: Path) -> dict[str, Labels]:
    """NAB's form: {name: {"windows": [[from, to]], "labels": [at]}}. Raises UsageError."""
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Labels([(_ms(a), _ms(b)) for a, b in one["windows"]], [_ms(at) for at in one.get("labels", ())])
            for name, one in told.items()
        }
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(
            f'{path}: is not of the form {{"NAME": {{"windows": [["2015-03-03 04:37:53", "2015-03-04 13:37:53"]], '
            '"labels": ["2015-03-03 21:07:53"]}}'
        ) from None


def parts(times: Sequence[int], alerts: Sequence[int], told: Labels) -> Parts:
    """Of one series. times: ms, ascending; alerts: their indexes, ascending."""
    rows = len(times)
    first = min(math.floor(_PROBATION * rows), _LONGEST_PROBATION)
    windows = [(bisect_left(times, a), bisect_left(times, b)) for a, b in told.windows]
    counted = [i for i in alerts if i >= first]
    seen, early, delays = 0, 0.0, []
    for a, b in windows:
        inside = next((i for i in counted if a <= i <= b), None)
        if inside is None:
            continue
        seen += 1
        early += _sigmoid(-(b - inside + 1) / (b - a + 1)) / _AT_START
        onset = next((at for at in told.onsets if a <= bisect_left(times, at) <= b), None)
        if onset is not None:
            delays.append((times[inside] - onset) / 60_000)
    outside = [i for i in counted if not any(a <= i <= b for a, b in windows)]
    false = 0.0
    for i in outside:
        before = [(a, b) for a, b in windows if b < i]
        false += _sigmoid((i - before[-1][1]) / max(1, before[-1][1] - before[-1][0])) if before else -1.0
    groups = sum(1 for k, i in enumerate(outside) if k == 0 or times[i] - times[outside[k - 1]] > _APART)
    return Parts(seen, len(windows), early, false, groups, (times[-1] - times[first]) / _DAY, delays)


def score(found: Iterable[Parts], profile: str) -> float:
    """Of all series together, up to 100."""
    false_weight, missed = PROFILES[profile]
    all_ = list(found)
    windows = sum(p.windows for p in all_)
    if not windows:
        return math.nan
    least = -missed * windows
    reached = sum(p.early + false_weight * p.false - missed * (p.windows - p.seen) for p in all_)
    return 100 * (reached - least) / (windows - least)


def _sigmoid(x: float) -> float:
    return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
