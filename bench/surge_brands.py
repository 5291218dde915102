"""Figures of the whole surge decider on brands: viral posts, pages to people, and a disruption in 2015."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from agents.policy import Policy
from agents.policy.policy import Brand, ClassifierPolicy
from agents.policy.surge_policy import SurgePolicy
from agents.surge.tally import LABELS
from bench.surge_data import (
    BIN,
    DAY,
    MINUTE,
    START,
    Watch,
    airlines,
    by_minute,
    cascade,
    given,
    volume,
)
from bench.surge_picture import Week
from bench.surge_picture import picture as drawn
from schemas.records import CrisisClosed, CrisisOpened, Decided, Evidence, SurgeClosed, SurgeOpened, SurgeUpdated
from schemas.times import rfc3339

#: Shares of complaints, questions, praise and other where a series has no labels.
_MIX = (0.3, 0.2, 0.1, 0.4)
_MONTH = 30
_HOUR = 3_600_000


def _policy(*brands: str, **rule: Any) -> Policy:
    return Policy(
        version=1,
        classifier=ClassifierPolicy(model="0" * 64),
        brands=[Brand(name=name, mode="live") for name in brands],
        surge=SurgePolicy.model_validate(rule),
    )


# --- viral posts and pages -----------------------------------------------------------------------------------------


def viral(data: Path, times: int = 100, shares: int = 15_000) -> dict[str, Any]:
    """Measure detection of a post with 15,000 shares, added to each brand at random times; a third of them joins other posts."""
    series, _ = given(data)
    found: dict[str, Any] = {}
    every: list[float] = []
    named = tried = 0
    for one in series:
        random = np.random.default_rng(11)
        watch, late = Watch(_policy(), one.name.lower()), []
        starts = {int(n) for n in random.choice(np.arange(3 * 288, len(one.values) - 40), times, replace=False)}
        minutes = list(by_minute(one.values, random))
        for n, bin_ in enumerate(minutes):
            if n in starts:
                opened, root = _goes_viral(watch.copy(), minutes[n : n + 36], START + n * BIN, random, shares)
                late.append(opened)
                named += root
                tried += opened < float("inf")
            _play(watch, bin_, START + n * BIN, random)
        found[one.name] = _viral(late)
        every += late
    return found | {"all": _viral(every), "root_named": f"{named / max(1, tried):.0%} of the caught"}


def _viral(late: list[float]) -> dict[str, Any]:
    delays = np.array(late)
    return {
        "tried": len(late),
        "caught": f"{np.isfinite(delays).mean():.1%}",
        "median": float(np.median(delays)),
        "within_15_min": f"{(delays <= 15).mean():.0%}",
        "worst": float(delays.max()),
    }


def _play(watch: Watch, counts: list[int], start: int, random: Any) -> None:
    for m, posts in enumerate(counts):
        roots = Counter(f"r{start // DAY}.{int(z)}" for z in random.zipf(1.6, random.binomial(posts, 0.3)) if z < 1_000)
        at = start + m * MINUTE
        watch.minute(volume(watch.brand, at, _labelled(posts, random), roots) if posts else None, at + MINUTE)


def _labelled(posts: int, random: Any) -> dict[str, int]:
    return dict(zip(LABELS, map(int, random.multinomial(posts, _MIX)), strict=True))


def _goes_viral(watch: Watch, bins: list[list[int]], start: int, random: Any, shares: int) -> tuple[float, bool]:
    """Return the minutes until an open surge names the post, or until a surge opens; and whether the surge names the
    root.
    """
    crowd = cascade(shares, random)
    minutes = [posts for bin_ in bins for posts in bin_]
    for m, posts in enumerate(minutes):
        at, joined = start + m * MINUTE, int(crowd[m])
        labelled = _labelled(posts, random)
        labelled["other"] += joined
        watch.minute(volume(watch.brand, at, labelled, {"viral": joined}), at + MINUTE)
        told = [e for e in watch.events if isinstance(e, SurgeOpened | SurgeUpdated)]
        if told:
            return m + 1.0, any(e.evidence.root == "viral" for e in told)
    return float("inf"), False


def pages(data: Path) -> dict[str, Any]:
    """Count the events that would page a person: crises by rule, loads, conversations led by complaints; over all
    series and airlines.
    """
    series, told = given(data)
    found: dict[str, Any] = {}
    months = 0.0
    false = 0
    for one in series:
        random, watch = np.random.default_rng(1), Watch(_policy(one.name.lower()), one.name.lower())
        for n, bin_ in enumerate(by_minute(one.values, random)):
            _play(watch, bin_, START + n * BIN, random)
        days = len(one.values) * BIN / DAY
        # The labelled windows as bin numbers, because the series is played from START on.
        windows = [(np.searchsorted(one.times, a), np.searchsorted(one.times, b)) for a, b in told[one.name].windows]
        outside = [t for t in _paging(watch) if not any(a <= (t - START) // BIN <= b for a, b in windows)]
        found[one.name] = {
            "days": round(days),
            "surges": sum(isinstance(e, SurgeOpened) for e in watch.events),
            "pages": len(_paging(watch)),
            "outside_of_windows": len(outside),
        }
        months += days / _MONTH
        false += len(outside)
    return found | {"false_pages_a_brand_and_month": round(false / months, 2)}


def _paging(watch: Watch) -> list[int]:
    """Return when a surge first pages a person, in ms."""
    first: dict[str, int] = {}
    for event in watch.events:
        if isinstance(event, CrisisOpened):
            first.setdefault(event.surge_id or event.aggregate, event.time)
        elif isinstance(event, SurgeOpened | SurgeUpdated) and _pages(event.evidence):
            first.setdefault(event.aggregate, event.time)
    return sorted(first.values())


def _pages(seen: Evidence) -> bool:
    return seen.detector == "load" or any(other.detector == "load" for other in seen.others)


def disruption(data: Path, picture: Path | None) -> dict[str, Any]:
    """Return the airlines of February 2015 with their surges and crises."""
    found: dict[str, Any] = {}
    weeks = []
    for name, posts in airlines(data).items():
        watch = Watch(_policy(name), name)
        minutes: dict[int, Counter[str]] = {}
        for at, label in posts:
            minutes.setdefault(at // MINUTE * MINUTE, Counter())[label] += 1
        for at in range(min(minutes) // BIN * BIN, max(minutes) + DAY // 8, MINUTE):
            counted = minutes.get(at)
            watch.minute(volume(name, at, dict(counted)) if counted else None, at + MINUTE)
        found[name] = {
            "posts": len(posts),
            "from": rfc3339(posts[0][0]),
            "surges": [f"{rfc3339(e.time)} {e.reason}" for e in watch.events if isinstance(e, SurgeOpened)],
            "crises": [rfc3339(e.time) for e in watch.events if isinstance(e, CrisisOpened)],
            "pages": len(_paging(watch)),
        }
        hours = [(at // _HOUR * _HOUR, label) for at, label in posts]
        weeks.append(
            Week(
                name,
                Counter(at for at, _ in hours),
                Counter(at for at, label in hours if label == "complaint"),
                _spans(watch, SurgeOpened, SurgeClosed, posts[-1][0]),
                _spans(watch, CrisisOpened, CrisisClosed, posts[-1][0]),
            )
        )
    if picture is not None:
        picture.write_text(drawn("Six US airlines, 17 to 24 February 2015", weeks))
    return found


def _spans(watch: Watch, opens: type[Decided], closes: type[Decided], end: int) -> list[tuple[int, int]]:
    """Return (start, end) in ms of each surge or crisis that has opened."""
    closed = {e.aggregate: e.time for e in watch.events if isinstance(e, closes)}
    return [(e.time, closed.get(e.aggregate, end)) for e in watch.events if isinstance(e, opens)]
