"""What comes late, twice, in no order, not at all, or cannot be: no surge is lost by it, and none is made."""

from __future__ import annotations

import msgspec
import pytest

from agents.decider import Unusable
from agents.surge import SurgeDecider
from agents.surge.minutes import CHANNELS
from agents.surge.state import BrandSeries, WatchedBrand
from schemas.records import ChannelChanged, SurgeOpened
from tests.support.surge_told import (
    BIN,
    BINS,
    DAY,
    HOUR,
    MINUTE,
    START,
    after_three_days,
    begun,
    kinds,
    noise,
    of,
    play,
    run,
    volume,
)


def test_a_volume_told_again_with_a_higher_offset_replaces_the_lower() -> None:
    to = after_three_days()
    start = to.time
    for posts, offset in ((500, 5), (9, 9), (500, 7), (9, 9)):
        to.fact(volume(start, posts, offset=offset))
    to.tick(start + BIN)
    series = to.state["andina|series"]
    assert isinstance(series, BrandSeries)
    assert series.day[-1] == 9
    assert to.events == []


def test_a_volume_for_a_minute_already_judged_is_passed_over() -> None:
    to = after_three_days()
    before = dict(to.state)
    to.fact(volume(to.time - MINUTE, 5_000, partition=1))
    assert dict(to.state) == before


def test_volumes_in_any_order_within_a_tick_tell_the_same() -> None:
    told = [volume(START + i * MINUTE, 5, partition=n) for i in range(3) for n in range(4)]
    forth, back = begun(), begun()
    for one, other in zip(told, reversed(told), strict=True):
        forth.fact(one)
        back.fact(other)
    forth.tick(START + HOUR)
    back.tick(START + HOUR)
    assert dict(forth.state) == dict(back.state)


def test_a_writer_that_is_excused_hides_no_flood_and_ends_none_and_teaches_nothing() -> None:
    to = after_three_days()
    to.partial = True
    play(to, [0] * 40)
    level = to.state["andina|series"]
    assert isinstance(level, BrandSeries) and level.posts.level == pytest.approx(10, rel=0.1)
    play(to, [200] * 4)
    assert kinds(to) == ["SurgeOpened"]
    assert of(to, SurgeOpened)[0].evidence.partial
    play(to, [0] * 40)
    assert kinds(to) == ["SurgeOpened"]
    to.partial = False
    play(to, [0] * 40)
    assert kinds(to) == ["SurgeOpened", "SurgeClosed"]


def test_a_brand_falls_asleep_after_a_silent_day_and_what_it_knew_stays() -> None:
    decider = SurgeDecider()
    to = after_three_days()
    to.tick(to.time + 2 * DAY)
    assert [decider.due(record) for record in to.state.values()] == [None] * len(to.state)
    level = to.state["andina|series"]
    to.tick(to.time + 30 * DAY)
    to.fact(volume(to.time, 10))
    to.tick(to.time + BIN)
    after = to.state["andina|series"]
    assert isinstance(level, BrandSeries) and isinstance(after, BrandSeries)
    assert after.posts.level == pytest.approx(level.posts.level, rel=0.01)
    assert to.events == []


@pytest.mark.parametrize(
    "bad",
    [
        {"minute": START + 1},
        {"minute": -MINUTE},
        {"reach": -1},
        {"partition": -1},
        {"counts": [msgspec.structs.replace(volume(START, 1, complaints=0).counts[0], count=-3)]},
        {"counts": [msgspec.structs.replace(volume(START, 1, complaints=0).counts[0], count=10**12)]},
        {"conversations": [msgspec.structs.replace(volume(START, 1, roots={"r": 1}).conversations[0], posts=-1)]},
    ],
)
def test_a_count_that_no_counting_can_bring_becomes_a_dead_letter_and_changes_nothing(bad: dict[str, object]) -> None:
    to = play(run(), noise(10, 20))
    before = dict(to.state)
    with pytest.raises(Unusable):
        to.fact(msgspec.structs.replace(volume(to.time, 10), **bad))
    assert dict(to.state) == before


def test_a_hundred_thousand_conversations_in_a_minute_are_bounded_and_counted() -> None:
    to = begun()
    for partition in range(8):
        many = {f"{partition}.{i}": 1 for i in range(12_500)}
        to.fact(volume(START, 12_500, roots=many | {"viral": 9}, partition=partition))
    to.tick(START + MINUTE)
    kept = to.state["andina"]
    assert isinstance(kept, WatchedBrand)
    assert kept.conversations.known[0].root == "viral"
    assert len(kept.conversations.known) == 40
    # Of each partition the 200 largest are looked at, and of all these 40 are watched.
    assert kept.conversations.left_out == to.state.left_out == 8 * 199 + 1 - 40
    to.fact(volume(START + MINUTE, 1))
    assert to.state.left_out == kept.conversations.left_out
    assert sum(len(msgspec.msgpack.encode(record)) for record in to.state.values()) < 12_000


def test_more_channels_than_are_watched_count_in_the_brand_alone() -> None:
    to = begun()
    for i in range(60):
        to.fact(volume(START, 10, channel=f"c{i}", partition=i))
    to.tick(START + BIN)
    series = to.state["andina|series"]
    assert isinstance(series, BrandSeries)
    assert len(series.channels) == CHANNELS
    assert series.day == [600]


# --- a channel falls silent --------------------------------------------------------------------------------------


def test_a_channel_falls_silent_where_silence_is_improbable_and_is_heard_again() -> None:
    to = begun()
    for i in range(8 * BINS):
        for n, channel in enumerate(("twitter", "facebook")):
            to.fact(volume(START + i * BIN, 4, partition=n, channel=channel))
        to.tick(START + (i + 1) * BIN)
    gone = to.time
    for i in range(24):
        to.fact(volume(gone + i * BIN, 4))
        to.tick(gone + (i + 1) * BIN)
    [silent] = of(to, ChannelChanged)
    assert (silent.channel, silent.change, silent.since) == ("facebook", "silent", gone)
    assert silent.time == gone + 5 * BIN
    assert silent.expected == pytest.approx(20)
    to.fact(volume(to.time, 1, channel="facebook", partition=1))
    to.tick(to.time + BIN)
    heard = of(to, ChannelChanged)[-1]
    assert (heard.channel, heard.change, heard.seq, heard.aggregate) == ("facebook", "heard", 2, silent.aggregate)


def test_a_pipeline_that_stands_still_makes_no_channel_silent() -> None:
    to = play(run(), [10] * 9 * BINS)
    to.partial = True
    play(to, [0] * BINS)
    assert of(to, ChannelChanged) == []
