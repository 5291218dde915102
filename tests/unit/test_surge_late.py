"""What comes late is no flood, silence is no calm, and a few accounts are no crowd."""

from __future__ import annotations

from zlib import crc32

import msgspec
import pytest
from msgspec.structs import replace

from agents.surge.forms import FORMS
from agents.surge.state import BrandSeries, WatchedBrand, minute_key
from schemas.records import (
    AuthorCount,
    ChannelChanged,
    CrisisOpened,
    LateCount,
    SurgeOpened,
    SurgeUpdated,
    TextCount,
    Volume,
    VolumeCount,
)
from tests.support.decider_runner import Run
from tests.support.surge_told import (
    BIN,
    MINUTE,
    after_three_days,
    kinds,
    noise,
    of,
    play,
    policy,
    volume,
)

# --- late ----------------------------------------------------------------------------------------------------------


def late(start: int, posts: int) -> LateCount:
    counts = volume(start, posts).counts
    return LateCount(minute=start, counts=counts, author_sample=[], busiest=[], copied=[])


def catching_up(to: Run, bins: list[int], posts: int = 10) -> Run:
    """A Volume with its usual posts and, of earlier bins, so many (oldest first)."""
    start = to.time - len(bins) * BIN
    parts = [late(start + n * BIN, count) for n, count in enumerate(bins) if count]
    to.fact(replace(volume(to.time, posts), late=parts, older=1_000))
    for _ in range(5):
        to.tick(to.time + MINUTE)
    return to


def test_what_a_connector_brings_when_it_comes_back_is_a_usual_day() -> None:
    to = play(after_three_days(), [0] * 72)
    catching_up(to, noise(10, 36))
    play(to, noise(10, 72))
    assert [event for event in to.events if not isinstance(event, ChannelChanged)] == []
    series = to.state["andina|series"]
    assert isinstance(series, BrandSeries)
    assert series.posts.level == pytest.approx(10, rel=0.1)


def test_late_posts_stand_in_the_bins_in_which_they_were_made() -> None:
    to = play(after_three_days(), [10, 0, 0, 10])
    catching_up(to, [7, 8, 0])
    series = to.state["andina|series"]
    assert isinstance(series, BrandSeries)
    assert series.day[-5:] == [10, 7, 8, 10, 10]
    assert [tally.labels[0] for tally in series.bins[-5:]] == [2, 1, 1, 2, 2]
    assert series.posts.last[-5:] == [10, 7, 8, 10, 10]
    assert series.channels["twitter"].last[-5:] == [10, 7, 8, 10, 10]
    brand = to.state["andina"]
    assert isinstance(brand, WatchedBrand) and brand.late == {}


def test_a_flood_that_comes_late_is_one_with_its_true_counts() -> None:
    to = play(after_three_days(), [0] * 3)
    catching_up(to, [100, 100, 100], posts=100)
    [opened] = of(to, SurgeOpened)
    assert opened.evidence.actual == sum(opened.evidence.labels.values()) == 300


def test_what_is_always_late_is_learnt_as_if_it_came_in_time() -> None:
    """A connector that asks each ten minutes: half of its posts are late."""
    to = after_three_days()
    level = 20
    for n in range(288):
        parts = [late(to.time - 2 * BIN, level // 2)] if n % 2 == 0 else []
        to.fact(replace(volume(to.time, level // 2 if n % 2 else level), late=parts))
        for _ in range(5):
            to.tick(to.time + MINUTE)
    series = to.state["andina|series"]
    assert isinstance(series, BrandSeries)
    assert series.posts.level > 11


def test_a_minute_is_written_for_release_0_1_0_in_the_form_that_it_reads() -> None:
    """An offset and counts for each partition, and nothing behind them."""
    to = after_three_days()
    to.fact(replace(volume(to.time, 10), late=[late(to.time - 12 * BIN, 3)]))
    key = minute_key("andina", to.time)
    value = msgspec.to_builtins(to.state[key])
    step = FORMS.steps[0]
    assert step.lower is not None and step.lift is not None
    old = step.lower(key, value)
    assert [len(part) for part in old["counts"].values()] == [2]
    assert step.lift(key, old) == value


@pytest.mark.parametrize("minutes", [6, 12, 25])
def test_a_crisis_of_a_channel_that_is_always_late_is_one(minutes: int) -> None:
    """What is asked for seldom comes late, and people are told of it when it comes."""
    to = after_three_days()
    for _ in range(18):
        counts = volume(to.time, 100, complaints=80).counts
        made = to.time - minutes * MINUTE
        one = LateCount(minute=made - made % BIN, counts=counts, author_sample=[], busiest=[], copied=[])
        to.fact(replace(volume(to.time, 0), late=[one]))
        for _ in range(5):
            to.tick(to.time + MINUTE)
    assert len(of(to, CrisisOpened)) == 1
    assert [one for one in of(to, SurgeUpdated) if one.evidence.trend == "falling"] == []


def test_a_second_flood_soon_after_the_first_is_seen_and_the_first_is_not_seen_twice() -> None:
    to = play(after_three_days(), [100] * 8 + noise(10, 24))
    assert [kind for kind in kinds(to) if kind.startswith("Surge")] == ["SurgeOpened", "SurgeClosed"]
    play(to, [150] * 4)
    assert [kind for kind in kinds(to) if kind.startswith("Surge")] == ["SurgeOpened", "SurgeClosed", "SurgeOpened"]


# --- silence ---------------------------------------------------------------------------------------------------------


def test_a_feed_that_dies_in_a_flood_ends_nothing_and_is_told() -> None:
    to = play(after_three_days(), [100] * 6 + [0] * 12)
    assert kinds(to) == ["SurgeOpened", "CrisisOpened", "ChannelChanged"] or kinds(to) == [
        "SurgeOpened",
        "ChannelChanged",
    ]
    [silent] = of(to, ChannelChanged)
    assert (silent.channel, silent.change) == ("twitter", "silent")
    play(to, [100] * 6 + noise(10, 40))
    assert [event.change for event in of(to, ChannelChanged)] == ["silent", "heard"]
    assert [kind for kind in kinds(to) if kind.startswith("Surge")] == ["SurgeOpened", "SurgeClosed"]


def test_a_flood_that_thins_out_ends_as_before() -> None:
    to = play(after_three_days(), [100] * 6 + [50, 30, 20] + noise(10, 40))
    assert [kind for kind in kinds(to) if kind.startswith("Surge")] == ["SurgeOpened", "SurgeClosed"]
    assert of(to, ChannelChanged) == []


def test_a_surge_does_not_wait_for_a_silent_channel_for_more_than_a_day() -> None:
    to = play(after_three_days(), [100] * 6 + [0] * 270)
    assert "SurgeClosed" not in kinds(to)
    play(to, [0] * 40)
    assert "SurgeClosed" in kinds(to)


# --- who -------------------------------------------------------------------------------------------------------------


def of_one(one: Volume, posts: int) -> Volume:
    """With so many posts of one account, beside one post of each other author."""
    others = sum(count.count for count in one.counts) - posts
    named = [AuthorCount(author_id="bot", channel="twitter", posts=posts, complaints=posts, contacts=posts)]
    named += [
        AuthorCount(author_id=f"{one.minute}.{n}", channel="twitter", posts=1, complaints=0, contacts=0)
        for n in range(others)
    ]
    sample = sorted(crc32(author.author_id.encode()) for author in named)[:64]
    return replace(one, author_sample=sample, busiest=named[:16])


def test_one_account_is_told_as_one_and_makes_no_crisis() -> None:
    to = after_three_days(held=policy(complaint_share=0.3))
    for _ in range(24):
        to.fact(of_one(volume(to.time, 110, complaints=100), 100))
        for _ in range(5):
            to.tick(to.time + MINUTE)
    [opened] = of(to, SurgeOpened)
    assert opened.evidence.crowd == "few" and opened.evidence.busiest[0] >= 100
    assert opened.reason.split(";")[0].endswith("by a few accounts")
    assert of(to, CrisisOpened) == []
    assert {one.evidence.crowd for one in of(to, SurgeUpdated)} <= {"few"}


def test_people_who_join_a_noisy_account_are_a_crowd() -> None:
    to = after_three_days()
    for _ in range(6):
        to.fact(of_one(volume(to.time, 310, complaints=250), 100))
        for _ in range(5):
            to.tick(to.time + MINUTE)
    [opened] = of(to, SurgeOpened)
    assert opened.evidence.crowd == "many"
    assert len(of(to, CrisisOpened)) == 1


def test_a_copied_campaign_is_told_as_copies() -> None:
    to = after_three_days()
    for _ in range(6):
        one = volume(to.time, 110, complaints=100)
        text = TextCount(text="0" * 16, channel="twitter", posts=100, complaints=100, contacts=100)
        to.fact(replace(one, author_sample=[n * 1_000 for n in range(64)], copied=[text]))
        for _ in range(5):
            to.tick(to.time + MINUTE)
    [opened] = of(to, SurgeOpened)
    assert opened.evidence.crowd == "copies"
    assert opened.evidence.copied >= 99
    assert of(to, CrisisOpened) == []


def test_shares_count_on_neither_side_of_the_complaints_share() -> None:
    to = after_three_days()
    for _ in range(6):
        one = volume(to.time, 10, complaints=2)
        shares = VolumeCount(channel="twitter", kind="share", label="complaint", count=100)
        to.fact(replace(one, counts=[*one.counts, shares]))
        for _ in range(5):
            to.tick(to.time + MINUTE)
    [opened] = of(to, SurgeOpened)
    assert opened.evidence.shares >= 100
    assert opened.evidence.labels.get("complaint", 0) < 20
    assert of(to, CrisisOpened) == []


# --- growth and decline ------------------------------------------------------------------------------------------------


def test_a_decline_is_told_once() -> None:
    to = play(after_three_days(), [200] * 8 + [60] * 14)
    falling = [one for one in of(to, SurgeUpdated) if one.evidence.trend == "falling"]
    assert len(falling) == 1
    assert "falling" in falling[0].reason
