"""Surges: a flood is seen soon and told once, a daily rhythm is none, and what is opened is closed."""

from __future__ import annotations

import msgspec
import pytest

from agents.policy.policy import Brand
from agents.surge import SurgeDecider
from agents.surge.state import BrandSeries, OpenMinute, WatchedBrand
from schemas import codec, ids
from schemas.records import SurgeClosed, SurgeOpened, SurgeUpdated
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
    minutes,
    noise,
    of,
    play,
    policy,
    run,
    volume,
)

# --- one flood, one surge ----------------------------------------------------------------------------------------


def test_a_flood_opens_one_surge_within_ten_minutes_that_closes_when_it_is_over() -> None:
    to = after_three_days()
    begun = to.time
    play(to, [150] * 12 + noise(10, 40))
    assert kinds(to) == ["SurgeOpened", "SurgeClosed"]
    [opened], [closed] = of(to, SurgeOpened), of(to, SurgeClosed)
    assert begun < opened.time <= begun + 10 * MINUTE
    assert begun - 20 * MINUTE <= opened.started_at <= begun
    assert begun + 90 * MINUTE <= closed.time <= begun + 4 * HOUR
    assert (closed.close_reason, closed.ended_at, closed.started_at) == ("over", closed.time, opened.started_at)
    assert closed.excess == pytest.approx(12 * 140, rel=0.1)
    assert closed.peak >= opened.evidence.ratio


def test_three_times_the_usual_opens_one_as_its_level_has_risen() -> None:
    to = after_three_days(20)
    begun = to.time
    play(to, noise(60, 36))
    [opened] = of(to, SurgeOpened)
    assert opened.evidence.window_end - opened.evidence.window_start == 3 * HOUR
    assert opened.time <= begun + 3 * HOUR


def test_a_surges_id_comes_of_brand_and_start_and_its_events_count_from_one() -> None:
    to = play(after_three_days(), [150] * 12 + noise(10, 40))
    [opened], [closed] = of(to, SurgeOpened), of(to, SurgeClosed)
    assert opened.aggregate == closed.aggregate == ids.make("surge", "andina", opened.started_at)
    told = [event for event in to.events if event.aggregate == opened.aggregate]
    assert [(e.seq, e.id) for e in told] == [(n, ids.event(opened.aggregate, n)) for n in range(1, len(told) + 1)]
    assert (told[0], told[-1]) == (opened, closed)


def test_a_surge_says_by_what_it_was_judged() -> None:
    to = play(after_three_days(), [150, 150])
    [opened] = of(to, SurgeOpened)
    seen = opened.evidence
    assert (seen.detector, seen.scope, seen.name, seen.partial) == ("burst", "brand", "", False)
    assert seen.window_end - seen.window_start == 15 * MINUTE
    assert seen.window_end == opened.time
    assert seen.actual == sum(seen.labels.values()) == sum(seen.channels.values()) == seen.authors
    assert seen.ratio == pytest.approx(seen.actual / seen.baseline)
    assert seen.ratio >= seen.threshold > 1
    assert seen.baseline == pytest.approx(30, rel=0.2)
    assert seen.reach == 10 * seen.actual
    assert seen.significance is not None and seen.significance > 3
    assert sum(seen.labels_before.values()) == pytest.approx(30, rel=0.2)
    assert len(seen.sparkline) == 48 and seen.sparkline[-1] > 2 * seen.sparkline[0]
    assert seen.forecast is not None
    assert 0 < seen.forecast.low < seen.forecast.expected < seen.forecast.high
    assert seen.return_period is not None and seen.return_period >= 5
    assert opened.reason.startswith(f"burst: {seen.actual:.0f} posts in 15 min where {seen.baseline:.1f} are usual")


def test_a_surge_names_the_offsets_from_which_it_can_be_replayed() -> None:
    to = play(after_three_days(), [150, 150])
    [opened] = of(to, SurgeOpened)
    [found] = opened.evidence.offsets
    last = (opened.time - BIN) // MINUTE
    # The helper's offsets are its minutes; posts of the window are those of its last two bins.
    assert (found.partition, found.last) == (0, last)
    assert last - 60 <= found.first <= last - 5


def test_growth_is_told_and_what_is_told_already_is_not() -> None:
    to = play(after_three_days(), [100] * 3 + [5000] * 3 + [100] * 3)
    [opened], updated = of(to, SurgeOpened), of(to, SurgeUpdated)
    grown = [e for e in updated if "when last reported" in e.reason]
    assert grown and grown[0].evidence.ratio >= 1.5 * opened.evidence.ratio
    assert all(any(word in e.reason for word in ("also", "when last reported", "about one post")) for e in updated)
    assert len(updated) <= 4
    assert {e.started_at for e in updated} == {opened.started_at}


def test_a_flood_that_trips_every_series_is_one_surge_and_the_others_are_its_evidence() -> None:
    to = begun()
    quiet = [[volume(START + i * MINUTE, 4, channel=c, partition=n) for n, c in enumerate(_CHANNELS)]
             for i in range(24 * 60)]  # fmt: skip
    minutes(to, quiet)
    start = to.time
    flood = [
        [
            volume(start + i * MINUTE, 60, channel=c, partition=n, complaints=30, roots={"viral": 40})
            for n, c in enumerate(_CHANNELS)
        ]
        for i in range(30)
    ]
    minutes(to, flood)
    assert kinds(to).count("SurgeOpened") == 1
    surges = {e.aggregate for e in to.events if isinstance(e, SurgeOpened | SurgeUpdated)}
    assert len(surges) == 1
    last = of(to, SurgeUpdated)[-1].evidence
    assert (last.scope, last.name, last.root) == ("conversation", "viral", "viral")
    others = {(o.detector, o.scope, o.name) for o in last.others}
    assert others >= {("burst", "brand", ""), ("burst", "complaints", "")}
    assert {name for _, scope, name in others if scope == "channel"} == set(_CHANNELS)


_CHANNELS = ("twitter", "facebook", "instagram")


def test_a_flood_on_one_channel_is_named_by_it() -> None:
    to = begun()
    told = [
        [volume(START + i * MINUTE, 4, partition=n, channel=c) for n, c in enumerate(_CHANNELS)] for i in range(24 * 60)
    ]
    minutes(to, told)
    start = to.time
    minutes(to, [[volume(start + i * MINUTE, 120, channel="facebook", complaints=2)] for i in range(20)])
    [opened] = of(to, SurgeOpened)
    assert (opened.evidence.scope, opened.evidence.name) == ("channel", "facebook")


def test_two_floods_of_a_brand_at_once_are_one_surge_and_of_two_brands_two() -> None:
    to = begun()
    for i in range(120):
        at = START + i * MINUTE
        to.fact(volume(at, 12, roots={"one": 8 if i > 60 else 0, "two": 6 if i > 70 else 0}))
        to.fact(volume(at, 12, brand="rival", roots={"three": 8 if i > 60 else 0}))
        to.tick(at + MINUTE)
    opened = of(to, SurgeOpened)
    assert sorted(e.brand for e in opened) == ["andina", "rival"]
    [updated] = [e for e in of(to, SurgeUpdated) if "also" in e.reason]
    assert {o.name for o in updated.evidence.others} | {updated.evidence.name} == {"one", "two"}


def test_a_flood_does_not_teach_what_is_usual() -> None:
    to = play(after_three_days(), [150] * 12 + noise(10, 60) + [150] * 12 + noise(10, 40))
    assert kinds(to) == ["SurgeOpened", "SurgeClosed"] * 2
    series = to.state["andina|series"]
    assert isinstance(series, BrandSeries)
    assert series.posts.level == pytest.approx(10, rel=0.1)


def test_a_flood_that_stays_becomes_the_usual_and_the_surge_says_so() -> None:
    to = play(after_three_days(), noise(100, 4 * BINS))
    assert kinds(to) == ["SurgeOpened", "SurgeClosed"]
    [opened], [closed] = of(to, SurgeOpened), of(to, SurgeClosed)
    assert closed.close_reason == "new_normal"
    assert closed.ended_at - opened.time == pytest.approx(DAY, abs=2 * HOUR)


def test_a_handful_of_posts_is_no_surge() -> None:
    assert play(run(), [0] * 600 + [9] + [0] * 12 + [5] * 1 + [0] * 30).events == []


def test_in_a_brands_first_hours_a_jump_is_told_and_the_mornings_growth_is_not() -> None:
    growing = [round(5 * 1.05**i) for i in range(48)]
    to = play(run(), growing)
    assert to.events == []
    play(to, [20 * growing[-1]] * 2)
    assert kinds(to) == ["SurgeOpened"]


def test_brands_do_not_disturb_each_other_and_each_has_its_own_mode() -> None:
    to = run(policy(Brand(name="b", mode="live")))
    to.tick(START)
    for i in range(3 * BINS):
        for name in ("a", "b"):
            to.fact(volume(START + i * BIN, 10 if i < 3 * BINS - 4 or name == "a" else 150, brand=name))
        to.tick(START + (i + 1) * BIN)
    assert [(e.brand, e.mode) for e in of(to, SurgeOpened)] == [("b", "live")]


# --- what is remembered ------------------------------------------------------------------------------------------


def test_a_brands_records_stay_small() -> None:
    to = begun()
    for i in range(BINS):
        for partition in range(8):
            roots = {f"conversation-{i}-{partition}": 3}
            to.fact(volume(START + i * BIN, 1_500, partition=partition, roots=roots, channel=f"c{partition % 4}"))
        to.tick(START + (i + 1) * BIN)
    to.fact(volume(to.time, 5))
    sizes = {type(r).__name__: len(msgspec.msgpack.encode(r)) for r in to.state.values()}
    # Six series of bursts with four channels' hours, one load, the minutes and conversations of the brand.
    assert sizes["BrandSeries"] < 10_000
    assert sizes["Contacts"] < 2_000
    assert sizes["WatchedBrand"] < 4_000
    assert len(to.state) == 4


def test_what_is_remembered_survives_the_changelog_and_a_surge_goes_on() -> None:
    to = play(after_three_days(), [150] * 4)
    to.fact(volume(to.time, 10, roots={"viral": 5}))
    assert {type(record) for record in to.state.values()} > {BrandSeries, WatchedBrand, OpenMinute}
    pack, unpack = codec.state_codec(SurgeDecider.record_types)
    again = run()
    again.tick(to.time)
    for key, record in to.state.items():
        again.restore(key, unpack(pack(record)))
    assert dict(again.state) == dict(to.state)
    for one in (to, again):
        play(one, noise(10, 40))
    [closed] = of(again, SurgeClosed)
    assert closed == of(to, SurgeClosed)[-1]
    assert closed.aggregate == of(to, SurgeOpened)[0].aggregate
