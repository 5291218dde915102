"""Data for the surge detectors: real series from a folder that the user names, and synthetic ones."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from agents.decider import At, Timer, collect, stepper
from agents.policy import Policy
from agents.surge import SurgeDecider
from netcenter.backtest.nab import Labels, labels
from netcenter.backtest.series_files import CountSeries, read
from netcenter.files.options import FileOptions
from schemas import ids
from schemas.records import ConversationCount, Decided, Record, Volume, VolumeCount

SHARED = Path(__file__).parents[2] / "shared" / "data"
MINUTE, BIN, DAY = 60_000, 300_000, 86_400_000
START = 1_700_006_400_000
Counts = Sequence[int]


def given(data: Path) -> tuple[list[CountSeries], dict[str, Labels]]:
    """Return the five companies' series with NAB's labels; exits with 2 if they are missing."""
    folder = data / "mention-volume"
    if not (folder / "labels.json").exists():
        sys.exit(f"there is no {folder}: these figures need the data beside the project, or --data FOLDER")
    told = labels(folder / "labels.json")
    return [read(folder / f"{name}.csv", FileOptions(zone="UTC"))[0] for name in told], told


def stocks(data: Path, least: int = 5_000) -> list[CountSeries]:
    """Return the posts by 5 minutes of each cashtag that has so many; exits with 2 if they are missing."""
    path = data / "mention-volume" / "stocknet-times.npz"
    if not path.exists():
        sys.exit(f"there is no {path}: these figures need the data beside the project, or --data FOLDER")
    found = []
    with np.load(path) as times:
        for name in times.files:
            bins = (np.sort(times[name]) // (BIN // 1000)).astype(int)
            if len(bins) >= least:
                counts = np.bincount(bins - bins[0])
                found.append(
                    CountSeries(
                        name, [int(bins[0] + n) * BIN for n in range(len(counts))], counts.astype(float).tolist()
                    )
                )
    return sorted(found, key=lambda one: -sum(one.values))


def airlines(data: Path) -> dict[str, list[tuple[int, str]]]:
    """Return (ms, label) of posts to each US airline in February 2015: a negative post is a complaint, and a text with
    ? is a question.
    """
    path = data / "mentions" / "us_airline.csv"
    if not path.exists():
        sys.exit(f"there is no {path}: these figures need the data beside the project, or --data FOLDER")
    found: dict[str, list[tuple[int, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at = round(datetime.fromisoformat(row["tweet_created"]).timestamp() * 1000)
            neutral = "question" if "?" in row["text"] else "other"
            label = {"negative": "complaint", "positive": "praise"}.get(row["airline_sentiment"], neutral)
            found.setdefault(row["airline"].lower().replace(" ", "-"), []).append((at, label))
    return {name: sorted(posts) for name, posts in sorted(found.items())}


def volume(brand: str, minute: int, labelled: dict[str, int], roots: dict[str, int] | None = None) -> Volume:
    """Return the Volume of all posts of a brand in a minute."""
    counts = [
        VolumeCount(channel="twitter", kind="post", label=label, count=n)  # type: ignore[arg-type]
        for label, n in labelled.items()
        if n
    ]
    joined = [
        ConversationCount(root=root, channel="twitter", posts=n, complaints=0) for root, n in (roots or {}).items() if n
    ]
    posts = sum(labelled.values())
    return Volume(
        id=ids.make("volume", brand, minute, 0, minute),
        brand=brand, minute=minute, partition=0, offset=minute // MINUTE,
        counts=counts, authors=posts, reach=0, conversations=joined,
    )  # fmt: skip


class Watch:
    """Runs the decider for one brand, minute by minute as the role does. A `copy` continues from the same moment."""

    def __init__(self, policy: Policy, brand: str) -> None:
        self.policy, self.brand = policy, brand
        self.decider = SurgeDecider()
        self.state = self.decider.initial()
        self._take = stepper(self.decider, self.state)
        self.due: int | None = None
        self.events: list[Decided] = []

    def copy(self) -> Watch:
        """Return a copy with the same state and no events."""
        other = Watch(self.policy, self.brand)
        for key, record in self.state.items():
            other.state.put(key, record)
        other.due = self.due
        return other

    def minute(self, fact: Volume | None, end: int) -> None:
        """Handle the posts of one minute and its Tick."""
        if fact is not None:
            self._step(fact, end - MINUTE, fact.id)
        while self.due is not None and self.due <= end:
            self._step(Timer(self.brand, self.due), self.due, "timer")

    def _step(self, fact: Record | Timer, time: int, cause: str) -> None:
        wakes = dict(self._take(fact, At(time, time, self.policy, cause), collect, None, self.events))
        self.due = wakes.get(self.brand, self.due)


def by_minute(counts: Sequence[float], random: Any) -> Iterator[list[int]]:
    """Return the posts of each bin, spread randomly over its five minutes."""
    for count in counts:
        yield [int(n) for n in random.multinomial(int(count), [0.2] * 5)]


def cascade(shares: int, random: Any) -> Any:
    """Return a viral post's shares by minute for two days: rising for 20 minutes, then falling; a third within an hour."""
    t = np.arange(2 * 1440)
    density = (1 - np.exp(-((t / 20) ** 2))) * (1 + t / 30) ** -1.5
    return random.multinomial(shares, density / density.sum())


def contacts(weeks: int, a_minute: float, random: Any, day: float = 0.1, slow: float = 0.08) -> Any:
    """Return expected contacts by minute: a daily rhythm, quiet weekends, days that differ, and a level that drifts."""
    minutes = weeks * 7 * 1440
    t = np.arange(minutes)
    hour, weekday = t / 60 % 24, t // 1440 % 7
    daily = np.exp(1.1 * np.cos(2 * np.pi * (hour - 14) / 24) + 0.35 * np.cos(4 * np.pi * (hour - 11) / 24))
    base = daily * np.array([1.15, 1.1, 1.05, 1.0, 1.0, 0.7, 0.6])[weekday]
    level, stray, pull = np.empty(minutes), 0.0, 1 / 180
    for i, draw in enumerate(random.normal(0, 1, minutes)):
        stray += -pull * stray + np.sqrt(2 * pull) * slow * draw
        level[i] = stray
    return a_minute * base / base.mean() * np.exp(random.normal(0, day, weeks * 7))[t // 1440] * np.exp(level)
