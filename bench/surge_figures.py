"""The figures of docs/surges.md: `python -m bench.surge_figures [PART ...] [--data FOLDER] [--picture FILE.svg]`.

What is measured on real series needs the data beside the project (../shared/data); `load` and `cost` need none.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agents.policy import Policy
from agents.policy.model import Brand, Classifier
from agents.policy.surge import Surge
from agents.surge.burst import Burst
from agents.surge.load import Load
from bench import surge as cost
from bench.surge_data import (
    BIN,
    DAY,
    MINUTE,
    SHARED,
    START,
    Watch,
    airlines,
    by_minute,
    cascade,
    contacts,
    given,
    volume,
)
from bench.surge_picture import Week
from bench.surge_picture import picture as drawn
from netcenter.backtest import nab
from netcenter.backtest.reading import Series
from netcenter.backtest.run import judge
from schemas.headers import rfc3339
from schemas.records import CrisisClosed, CrisisOpened, Decided, Evidence, SurgeClosed, SurgeOpened, SurgeUpdated

#: What is chosen between where one series is left out: rarity of a level, of a jump.
_GRID = [(sustained, jump) for sustained in ("2h", "5h", "10h") for jump in ("1m", "5m", "20m")]
_LABELS = ("complaint", "question", "praise", "other")
#: Of posts, where a series does not say: complaints, questions, praise, other.
_MIX = (0.3, 0.2, 0.1, 0.4)
_MONTH = 30
_HOUR = 3_600_000


def _policy(*brands: str, **rule: Any) -> Policy:
    return Policy(
        version=1,
        classifier=Classifier(model="0" * 64),
        brands=[Brand(name=name, mode="live") for name in brands],
        surge=Surge.model_validate(rule),
    )


# --- NAB -----------------------------------------------------------------------------------------------------------


def scores(data: Path) -> dict[str, Any]:
    """The five series with the default, with each of the grid, and leaving each out in turn."""
    series, told = given(data)
    by_rule: dict[tuple[str, str], list[nab.Parts]] = {}
    for sustained, jump in _GRID:
        rule = Surge.model_validate({"sustained": sustained, "jump": jump})
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
    """Three hours of 1.7, 3 and 10 times the level, at once or over an hour, laid over each series at random times."""
    series, told = given(data)
    rule = Surge()
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


def _states(values: list[float], rule: Surge) -> list[Burst]:
    burst, states = Burst.new(), []
    for value in values:
        burst = burst.step(value, rule)
        states.append(burst)
    return states


def _calm(series: Series, told: nab.Labels, states: list[Burst]) -> list[int]:
    """Bins from which on three hours lie in no window, and nothing is open."""
    free = np.ones(len(series.times), bool)
    free[:1_200] = free[-80:] = False
    for a, b in told.windows:
        first, last = np.searchsorted(series.times, [a, b])
        free[max(0, first - 60) : last + 12] = False
    return [int(i) for i in np.flatnonzero(free) if not any(s.kind for s in states[i - 1 : i + 36])]


def _opens(burst: Burst, counts: Any, rule: Surge) -> float:
    """Minutes until it opens."""
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
    """70 % more for four hours, every other day from the fifth week on, on synthetic contacts of several sizes."""
    rule = Surge()
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


def _loads(counts: Any, rule: Surge) -> list[int]:
    """Minutes in which a load opens."""
    load, opened = Load.new(START), []
    for i, count in enumerate(counts.tolist()):
        was, load = load.open, load.step(float(count), rule)
        if load.open and not was:
            opened.append(i)
    return opened


# --- viral posts and pages -----------------------------------------------------------------------------------------


def viral(data: Path, times: int = 100, shares: int = 15_000) -> dict[str, Any]:
    """A post that is shared 15,000 times, laid over each brand at random times; a third of its posts join others."""
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
    return dict(zip(_LABELS, map(int, random.multinomial(posts, _MIX)), strict=True))


def _goes_viral(watch: Watch, bins: list[list[int]], start: int, random: Any, shares: int) -> tuple[float, bool]:
    """Minutes until a surge names the post, or opens at all if it was open before; and whether the root is named."""
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
    """What would page somebody: crises by rule, loads, complaint-led conversations; over all the series and airlines."""
    series, told = given(data)
    found: dict[str, Any] = {}
    months = 0.0
    false = 0
    for one in series:
        random, watch = np.random.default_rng(1), Watch(_policy(one.name.lower()), one.name.lower())
        for n, bin_ in enumerate(by_minute(one.values, random)):
            _play(watch, bin_, START + n * BIN, random)
        days = len(one.values) * BIN / DAY
        # The series' own times lie elsewhere than these minutes.
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
    """ms; when a surge first becomes one that pages."""
    first: dict[str, int] = {}
    for event in watch.events:
        if isinstance(event, CrisisOpened):
            first.setdefault(event.surge or event.aggregate, event.time)
        elif isinstance(event, SurgeOpened | SurgeUpdated) and _pages(event.evidence):
            first.setdefault(event.aggregate, event.time)
    return sorted(first.values())


def _pages(seen: Evidence) -> bool:
    return seen.detector == "load" or any(other.detector == "load" for other in seen.others)


def disruption(data: Path, picture: Path | None) -> dict[str, Any]:
    """The airlines of February 2015, each with its surges and crises."""
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
    """ms; from each opening to its closing, or to the end."""
    closed = {e.aggregate: e.time for e in watch.events if isinstance(e, closes)}
    return [(e.time, closed.get(e.aggregate, end)) for e in watch.events if isinstance(e, opens)]


PARTS: dict[str, Callable[[Path, Path | None], Any]] = {
    "scores": lambda data, _: scores(data),
    "onsets": lambda data, _: onsets(data),
    "loads": lambda data, _: loads(data),
    "viral": lambda data, _: viral(data),
    "pages": lambda data, _: pages(data),
    "disruption": disruption,
    "cost": lambda data, _: cost.figures(),
}


def main() -> None:
    """Measure the parts, and print them as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.surge_figures", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"by default all: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=SHARED, help="default: %(default)s")
    parser.add_argument("--picture", type=Path, help="where disruption draws the airlines")
    told = parser.parse_args()
    if unknown := set(told.parts) - PARTS.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    for name in told.parts or PARTS:
        print(json.dumps({name: PARTS[name](told.data, told.picture)}, indent=1, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
