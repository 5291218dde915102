"""Scores of a detector's alerts by the rules of the Numenta Anomaly Benchmark (NAB v1.1).

The first alert in a labelled window adds to the score, more if it comes earlier. An alert outside the windows subtracts
from the score, more if the last window is longer ago. A window without an alert subtracts too. A detector without
alerts scores 0; alerts at the start of every window and nowhere else score 100. The first 15 % of a series, at most 750
rows, are not scored. Source: github.com/numenta/NAB, nab/scorer.py and config/profiles.json.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

from netcenter.errors import UsageError

#: For each profile: the weight of a false alert, and the weight of a missed window.
PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}
_PROBATION, _LONGEST_PROBATION = 0.15, 750
_AT_START = 2 / (1 + math.exp(-5)) - 1
#: False alerts that follow each other within this time (ms) count as one group: a person would see one incident.
_APART = 3_600_000
_DAY = 86_400_000


class Labels(NamedTuple):
    """The windows and onsets that people have labelled in a series; times in ms."""

    windows: list[tuple[int, int]]
    """first and last moment of each window"""
    onsets: list[int]
    """when each labelled anomaly began"""


class Parts(NamedTuple):
    """The parts of the score of one series; `score` sums the parts of several series."""

    seen: int
    windows: int
    early: float
    """earliness of the first alert, summed over the windows that have one; at most 1 for each window"""
    false: float
    """cost of the false alerts, summed; each costs at most 1 (the sum is negative)"""
    groups: int
    """groups of false alerts: false alerts within an hour of each other are one group"""
    days: float
    """days of the series that were scored"""
    delays: list[float]
    """minutes from the labelled onset to the first alert, for each window that has an alert"""


def labels(path: Path, local: tzinfo = UTC) -> dict[str, Labels]:
    """Read labels in NAB's form: {name: {"windows": [[from, to]], "labels": [at]}}. local: the zone of times without an
    offset. Raises UsageError.
    """
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Labels(
                [(_ms(a, local), _ms(b, local)) for a, b in one["windows"]],
                [_ms(at, local) for at in one.get("labels", ())],
            )
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
    """Return the parts of one series' score. times: ms, ascending; alerts: indexes into times, ascending."""
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
    """Return the score of all series together, at most 100; NaN without any window."""
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


def _ms(text: str, local: tzinfo) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=local)).timestamp() * 1000)
