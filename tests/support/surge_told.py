"""Volumes as classify tells them, played to a SurgeDecider minute by minute, for tests of surges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np

from agents.policy import Policy
from agents.policy.policy import Brand, ClassifierPolicy
from agents.policy.surge_policy import SurgePolicy
from agents.surge import SurgeDecider
from schemas import ids
from schemas.records import ConversationCount, Decided, Label, SurgeUpdated, Volume, VolumeCount
from tests.support.decider_runner import Run

START = 1_700_006_400_000
"""ms; a whole day, UTC."""
MINUTE, HOUR = 60_000, 3_600_000
BIN, DAY = 5 * MINUTE, 24 * HOUR
BINS = DAY // BIN
"""Of a day."""
E = TypeVar("E", bound=Decided)


def policy(*brands: Brand, **surge: Any) -> Policy:
    """With these brands and settings of [surge]."""
    rule = SurgePolicy.model_validate(surge)
    return Policy(version=1, classifier=ClassifierPolicy(model="0" * 64), brands=list(brands), surge=rule)


def volume(
    minute: int,
    posts: int,
    *,
    complaints: int | None = None,
    label: Label = "other",
    channel: str = "twitter",
    roots: dict[str, int] | None = None,
    root_complaints: int = 0,
    bare: int = 0,
    partition: int = 0,
    offset: int | None = None,
    brand: str = "andina",
) -> Volume:
    """A fifth of the posts complain unless it is said how many; the rest have the label."""
    voiced = posts // 5 if complaints is None else complaints
    counts = {("post", "complaint"): voiced, ("post", label): posts - voiced - bare, ("share", "other"): bare}
    return Volume(
        id=ids.make("volume", brand, minute, partition, offset or minute),
        brand=brand,
        minute=minute,
        partition=partition,
        offset=minute // MINUTE if offset is None else offset,
        counts=[
            VolumeCount(channel=channel, kind=kind, label=name, count=n)  # type: ignore[arg-type]
            for (kind, name), n in counts.items()
            if n
        ],
        authors=posts,
        reach=10 * posts,
        conversations=[
            ConversationCount(root=root, channel=channel, posts=n, complaints=min(n, root_complaints))
            for root, n in (roots or {}).items()
        ],
    )


def run(held: Policy | None = None) -> Run:
    """Nothing has come yet."""
    return Run(SurgeDecider(), held or policy())


def begun(held: Policy | None = None) -> Run:
    """Nothing has come yet, and time is at START."""
    to = run(held)
    to.tick(START)
    return to


def noise(level: float, bins: int, seed: int = 1) -> list[int]:
    """Posts in each bin: an even series."""
    return [int(n) for n in np.random.default_rng(seed).poisson(level, bins)]


def play(to: Run, bins: Iterable[int], start: int | None = None, **how: Any) -> Run:
    """Posts of a brand in each bin of 5 minutes, all told of its first minute; a Tick each minute."""
    at = start if start is not None else (to.time or START)
    for posts in bins:
        if posts:
            to.fact(volume(at, posts, **how))
        for _ in range(5):
            at += MINUTE
            to.tick(at)
    return to


@cache
def _usual(level: int) -> dict[str, Any]:
    """The records of a brand after three days of `noise(level)`."""
    to = play(run(), noise(level, 3 * BINS))
    assert to.events == [] and to.time == START + 3 * DAY
    return dict(to.state)


def after_three_days(level: int = 10, held: Policy | None = None) -> Run:
    """A run in which three days of `noise(level)` have passed, computed once for all tests: records are frozen."""
    to = run(held)
    to.tick(START + 3 * DAY)
    for key, record in _usual(level).items():
        to.restore(key, record)
    return to


def minutes(to: Run, told: Sequence[Sequence[Volume]]) -> Run:
    """The Volumes of each minute from now on, each minute with its Tick."""
    for volumes in told:
        for one in volumes:
            to.fact(one)
        to.tick(to.time + MINUTE)
    return to


def of(to: Run, kind: type[E]) -> list[E]:
    """The events of a kind."""
    return [event for event in to.events if isinstance(event, kind)]


def kinds(to: Run) -> list[str]:
    """What was opened and closed, in order."""
    return [type(event).__name__ for event in to.events if not isinstance(event, SurgeUpdated)]
