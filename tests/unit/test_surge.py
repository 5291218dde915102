"""Surges: a flood is seen soon, a daily rhythm is none, and what is opened is closed."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from agents.policy import Policy
from agents.policy.model import Brand, Classifier
from agents.surge import SurgeDecider
from agents.surge.series import BIN, DAY, HISTORY, Bin, Series
from agents.surge.usual import usual
from schemas import codec, ids
from schemas.records import (
    ConversationCount,
    Decided,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    Volume,
    VolumeCount,
)
from tests.decider_runner import Run

START = 1_700_006_400_000  # a whole day, UTC
MINUTE, HOUR = 60_000, 3_600_000


def policy() -> Policy:
    return Policy(version=1, classifier=Classifier(model="0" * 64))


def volume(
    minute: int,
    posts: int,
    *,
    partition: int = 0,
    offset: int = 0,
    root: str | None = None,
    brand: str = "andina",
) -> Volume:
    complaints = posts // 2
    joined = [ConversationCount(root=root, channel="twitter", posts=posts, complaints=0)] if root else []
    return Volume(
        id=ids.make("volume", brand, minute, partition, offset),
        brand=brand,
        minute=minute,
        partition=partition,
        offset=offset,
        counts=[
            VolumeCount(channel="twitter", kind="post", label="complaint", count=complaints),
            VolumeCount(channel="facebook", kind="post", label="other", count=posts - complaints),
        ],
        authors=posts,
        reach=10 * posts,
        conversations=joined,
    )


def play(bins: list[int], run: Run | None = None, start: int = START, root: str | None = None) -> Run:
    """A brand's posts in each bin of 5 minutes, told at the bin's start, with a Tick at its end."""
    run = run or Run(SurgeDecider(), policy())
    for i, posts in enumerate(bins):
        if posts:
            run.fact(volume(start + i * BIN, posts, root=root))
        run.tick(start + (i + 1) * BIN)
    return run


def rhythm(a_day: int, days: int, seed: int, flood: tuple[float, float] | None = None) -> list[int]:
    """Posts by bin: a daily sine, its trough 5 % of its peak and at an hour by the seed.

    A flood lasts two hours and is given as (first bin, factor).
    """
    random = np.random.default_rng(seed)
    when = np.arange(days * DAY)
    level = a_day / DAY * (1 - 0.905 * np.cos(2 * np.pi * (when + 0.5 - random.integers(DAY)) / DAY))
    if flood is not None:
        first, factor = flood
        share = np.clip(np.minimum(when + 1, first + 24) - np.maximum(when, first), 0, 1)
        level = level * (1 + (factor - 1) * share)
    return [int(n) for n in random.poisson(level)]


def kinds(events: list[Decided]) -> list[str]:
    return [type(event).__name__ for event in events]


# --- the rule -------------------------------------------------------------------------------------


def test_a_flood_opens_one_surge_that_closes_when_it_is_over() -> None:
    run = play([10] * 48 + [30] * 24 + [10] * 24)
    assert kinds(run.events) == ["SurgeOpened", "SurgeClosed"]
    opened, closed = run.events
    assert isinstance(opened, SurgeOpened)
    assert isinstance(closed, SurgeClosed)
    assert opened.time == START + 50 * BIN
    assert START + 72 * BIN < closed.time <= START + 79 * BIN
    assert closed.ended_at == closed.time
    assert closed.why == "over"
    assert closed.peak == pytest.approx(3.0)
    assert closed.excess == pytest.approx(24 * 20, rel=0.01)


def test_a_surge_says_by_what_it_was_judged() -> None:
    opened = play([10] * 48 + [60] * 2).events[0]
    assert isinstance(opened, SurgeOpened)
    seen = opened.evidence
    assert opened.reason == "ratio: 70 posts in 10 min where 20.0 are usual, 3.5 times; opens at 2.5"
    assert (seen.detector, seen.scope, seen.threshold) == ("ratio", "brand", 2.5)
    assert (seen.actual, seen.baseline, seen.ratio) == (70, 20, 3.5)
    assert (seen.window_start, seen.window_end) == (START + 47 * BIN, START + 49 * BIN)
    assert (seen.authors, seen.reach) == (70, 700)
    assert seen.labels == {"complaint": 35, "other": 35}
    assert seen.channels == {"twitter": 35, "facebook": 35}
    assert seen.labels_before == {"complaint": 215, "question": 0, "praise": 0, "other": 215}
    assert seen.sparkline == [10, *[60] * 7, 110]
    assert (seen.root, seen.root_share) == (None, None)


def test_a_surges_id_comes_of_brand_and_window_and_its_events_count_from_one() -> None:
    opened, closed = play([10] * 48 + [30] * 24 + [10] * 24).events
    assert isinstance(opened, SurgeOpened)
    assert opened.aggregate == closed.aggregate == ids.make("surge", "andina", opened.started_at)
    assert [(e.seq, e.id) for e in (opened, closed)] == [(n, ids.event(opened.aggregate, n)) for n in (1, 2)]


def test_a_post_that_a_third_of_the_flood_is_about_is_named() -> None:
    run = play([10] * 48)
    play([30] * 3, run, START + 48 * BIN, root="viral")
    opened = run.events[0]
    assert isinstance(opened, SurgeOpened)
    assert (opened.evidence.scope, opened.evidence.name, opened.evidence.root) == (
        "conversation",
        "viral",
        "viral",
    )
    assert opened.evidence.root_share == 1.0


def test_growth_by_half_is_told_and_less_is_not() -> None:
    run = play([10] * 48 + [40] * 12 + [50] * 12 + [90] * 12 + [10] * 12)
    assert kinds(run.events) == ["SurgeOpened", "SurgeUpdated", "SurgeClosed"]
    reported = [e.evidence.ratio for e in run.events if isinstance(e, SurgeOpened | SurgeUpdated)]
    assert all(later >= 1.5 * earlier for earlier, later in pairwise(reported))
    assert [e.seq for e in run.events] == [1, 2, 3]


def test_nothing_opens_before_the_warm_up() -> None:
    assert play([10] * 15 + [100] * 6 + [10] * 12).events == []


def test_a_handful_of_posts_is_no_surge() -> None:
    run = play([0] * 3 + [1] + [0] * 60 + [9] + [0] * 12)
    assert run.events == []


def test_a_flood_does_not_teach_what_is_usual() -> None:
    first = [10] * 48 + [30] * 24 + [10] * 12
    run = play(first + [30] * 24 + [10] * 12)
    assert kinds(run.events) == ["SurgeOpened", "SurgeClosed"] * 2
    second = run.events[2]
    assert isinstance(second, SurgeOpened)
    assert second.evidence.baseline / (second.evidence.window_end - second.evidence.window_start) == pytest.approx(
        10 / BIN, rel=0.05
    )


def test_a_flood_that_stays_becomes_the_usual_and_the_surge_says_so() -> None:
    run = play([10] * 48 + [30] * 2 * DAY)
    assert kinds(run.events) == ["SurgeOpened", "SurgeClosed"]
    closed = run.events[1]
    assert isinstance(closed, SurgeClosed)
    assert closed.why == "new_normal"
    assert closed.reason.startswith("new_normal: 180 posts in 30 min where ")


def test_a_brand_falls_asleep_when_it_is_silent_and_no_surge_is_open() -> None:
    decider = SurgeDecider()
    run = play([10] * 48 + [30] * 12 + [0] * 12, Run(decider, policy()))
    assert kinds(run.events) == ["SurgeOpened", "SurgeClosed"]
    assert [decider.due(record) for record in run.state.values()] == [None]


def test_after_a_long_silence_one_post_a_window_counts_as_usual() -> None:
    run = play([10] * 48)
    run.tick(START + 48 * BIN + 10 * HISTORY * BIN)
    play([30] * 2, run, START + 48 * BIN + 10 * HISTORY * BIN)
    opened = run.events[0]
    assert isinstance(opened, SurgeOpened)
    assert (opened.evidence.actual, opened.evidence.baseline) == (30, 1)


def test_a_volume_told_again_with_a_higher_offset_replaces_the_lower() -> None:
    run = play([10] * 48)
    for posts, offset in ((100, 5), (20, 9), (100, 7), (20, 9)):
        run.fact(volume(START + 48 * BIN, posts, offset=offset))
    run.tick(START + 49 * BIN)
    assert run.events == []
    series = run.state["andina"]
    assert isinstance(series, Series)
    assert sum(series.labels[-1]) == 20


def test_a_volume_for_a_bin_already_judged_is_passed_over() -> None:
    run = play([10] * 48)
    before = dict(run.state)
    run.fact(volume(START + 47 * BIN, 500, partition=1))
    run.tick(START + 60 * BIN)
    assert run.events == []
    assert dict(run.state) == before


def test_brands_do_not_disturb_each_other_and_each_has_its_own_mode() -> None:
    run = Run(
        SurgeDecider(),
        Policy(version=1, classifier=Classifier(model="0" * 64), brands=[Brand(name="b", mode="live")]),
    )
    for i, posts in enumerate([10] * 48 + [60] * 6):
        run.fact(volume(START + i * BIN, 10, brand="a"))
        run.fact(volume(START + i * BIN, posts, brand="b"))
        run.tick(START + (i + 1) * BIN)
    assert [(e.brand, e.mode) for e in run.events if isinstance(e, SurgeOpened)] == [("b", "live")]


def test_a_brands_records_stay_small() -> None:
    decider = SurgeDecider()
    run = Run(decider, policy())
    for i in range(HISTORY):
        for partition in range(8):
            run.fact(volume(START + i * BIN, 1500, partition=partition, root=f"conversation-{i}-{partition}"))
        run.tick(START + i * BIN)
    sizes = {type(r): len(msgspec.msgpack.encode(r)) for r in run.state.values()}
    assert sizes[Series] < 12_000
    assert sizes[Bin] < 4_000
    assert len(run.state) == 2


def test_what_is_remembered_survives_the_changelog() -> None:
    run = play([10] * 48 + [30] * 6)
    run.fact(volume(START + 54 * BIN, 10, root="viral"))
    assert {type(record) for record in run.state.values()} == {Series, Bin}
    pack, unpack = codec.state_codec(SurgeDecider.record_types)
    assert {key: unpack(pack(record)) for key, record in run.state.items()} == dict(run.state)


# --- brands that live a day -----------------------------------------------------------------------


@pytest.mark.parametrize("a_day", [600, 2_000, 5_000, 15_000])
def test_a_daily_rhythm_alone_opens_nothing_in_fourteen_days(a_day: int) -> None:
    for seed in range(20):
        posts = rhythm(a_day, 14, seed)
        run = Run(SurgeDecider(), policy())
        assert play(posts, run).events == [], f"seed {seed}"


@pytest.mark.parametrize(
    ("a_day", "factor"), [(5_000, 3), (15_000, 3), (2_000, 5), (15_000, 5), (600, 10), (15_000, 10)]
)
def test_a_flood_by_day_is_seen_within_fifteen_minutes_and_closes(a_day: int, factor: int) -> None:
    for seed in range(5):
        peak = int(np.random.default_rng(seed).integers(DAY)) + DAY // 2
        first = 2 * DAY + peak % DAY + 0.5
        events = play(rhythm(a_day, 4, seed, (first, factor))).events
        opened = [e.time for e in events if isinstance(e, SurgeOpened)]
        assert len(opened) == 1, f"seed {seed}"
        assert 0 < opened[0] - (START + first * BIN) <= 15 * MINUTE, f"seed {seed}"
        assert kinds(events)[-1] == "SurgeClosed"


# --- what is usual --------------------------------------------------------------------------------


def test_after_a_day_the_usual_follows_yesterdays_rhythm() -> None:
    day = [round(100 * (1 - 0.9 * np.cos(2 * np.pi * i / DAY))) for i in range(DAY)]
    posts = (day * 2)[: DAY + 60]
    expected = usual(posts, [False] * len(posts), DAY + 54, 6, 72).posts
    assert expected == pytest.approx(sum(posts[DAY + 54 :]), rel=0.05)


def test_an_outage_of_yesterday_does_not_blind_today() -> None:
    posts = [20] * (DAY + 72)
    posts[60:132] = [0] * 72
    for start in range(DAY, len(posts) - 6):
        assert usual(posts, [False] * len(posts), start, 6, 72).posts <= 2 * 120


def test_bins_of_a_surge_do_not_count() -> None:
    posts = [10] * 100 + [90] * 50 + [10] * 20
    surging = [False] * 100 + [True] * 50 + [False] * 20
    assert usual(posts, surging, 160, 6, 72).posts == pytest.approx(60)


def test_the_same_excess_proves_less_where_less_is_known() -> None:
    quiet = usual([2] * 100, [False] * 100, 94, 6, 72)
    busy = usual([200] * 100, [False] * 100, 94, 6, 72)
    assert quiet.significance(36) < busy.significance(3600)
    assert quiet.significance(12) == 0.0
