"""Updates a brand minute by minute: its conversations and contacts after each whole minute, its series after each whole
bin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from agents.decider import At, State, StateNote, Timer
from agents.policy.surge_policy import ExpectedEvent, SurgePolicy
from agents.policy.zone import zone
from agents.surge import channel_silence, expected_events
from agents.surge.burst import BIN, LONG, Burst
from agents.surge.channel_silence import ChannelActivity
from agents.surge.contact_counts import without_old_load
from agents.surge.crowd import Crowd
from agents.surge.expected_events import NOTHING, UnexpectedCounts
from agents.surge.lifecycle import Situation, judge
from agents.surge.load import Load
from agents.surge.state import (
    DAY,
    PART_BURST,
    BrandNoted,
    BrandSeries,
    Contacts,
    LatePosts,
    Mark,
    OpenMinute,
    WatchedBrand,
    contacts_key,
    minute_key,
    series_key,
)
from agents.surge.tally import MINUTE, Tally
from schemas import ids
from schemas.records import ChannelChanged, Decided

#: The number of last minutes of a brand that are stored one by one.
_RECENT = 30
#: The number of last bins of a brand that are stored one by one: 24 h.
_DAY_BINS = DAY // BIN
#: At most this many channels of a brand are watched each by itself.
CHANNELS = 12
#: The number of marks that are kept, and the ms between two marks.
_MARKS, _HALF_HOUR = 8, BIN * 6
_EMPTY = Tally()


class _Stepped(NamedTuple):
    """A brand's records after a minute."""

    brand: WatchedBrand
    load: Load
    series: BrandSeries
    closes_bin: bool
    """Whether the minute completed a bin."""


def judge_until(state: State[Any], timer: Timer, at: At) -> Iterator[Decided | StateNote]:
    """Judges every minute of a brand up to the timer's time. Yields one note with all changed records, then the events.

    1. A brand without any data for a day starts again at the bin of its first waiting minute.
    2. Each minute updates the brand; where it completes a bin, it updates the series and the channels too.
    3. After each minute the surge is opened, updated or closed.
    """
    brand: WatchedBrand = state[timer.key]
    name = brand.brand
    series: BrandSeries = state.get(series_key(name)) or BrandSeries.new(name)
    posts: Contacts | None = state.get(contacts_key(name, ""))
    counted = [state[contacts_key(name, source)] for source in brand.sources]
    changed: dict[str, Any] = {}
    if brand.waiting and not (brand.judged_until and brand.awake()):
        start = max(brand.judged_until, brand.waiting[0] - brand.waiting[0] % BIN)
        brand, series = brand.woken(start), series.woken()
        posts = replace(posts, load=posts.load.skip(start)) if posts else None
    load = posts.load if posts else Load.new(brand.judged_until, posts=True)
    events: list[Decided] = []
    while brand.judged_until < timer.at:
        minute: OpenMinute | None = state.get(minute_key(name, brand.judged_until))
        expected = at.policy.brand(name).expected(brand.judged_until)
        before = series
        brand, load, series, closes_bin = _step(brand, load, series, minute, expected, at)
        if minute is not None:
            changed[minute_key(name, brand.judged_until - MINUTE)] = None
        if closes_bin:
            events += _channel_events(series, before, brand, at)
            counted = [without_old_load(one, brand.judged_until, at) for one in counted]
        brand, more = judge(Situation(brand, series, [Contacts(name, "", load), *counted], expected), at)
        events += more
    changed |= {name: brand, series_key(name): series, contacts_key(name, ""): Contacts(name, "", load)}
    changed |= {contacts_key(name, one.source): one for one in counted}
    yield BrandNoted({key: record for key, record in changed.items() if record is not state.get(key)})
    yield from events


def _step(
    brand: WatchedBrand,
    load: Load,
    series: BrandSeries,
    minute: OpenMinute | None,
    expected: list[ExpectedEvent],
    at: At,
) -> _Stepped:
    """The records after the next minute; `minute` is None where the minute had no posts."""
    rule, surge, before = at.policy.surge, brand.surge, load
    tally, offsets = (minute.tally(), minute.offsets()) if minute is not None else (_EMPTY, {})
    unknown = at.partial or (series.doubt and not tally.posts)
    counts = expected_events.unexpected(tally, expected)
    if minute is not None and (late := LatePosts.sum(minute.late())):
        brand = replace(brand, late=LatePosts.sum([brand.late, late]))
        load = load.late({start: sum(posts.tally.labels[:2]) for start, posts in late.items()})
    load = load.step(None if unknown else counts.contacts, rule, in_surge=surge is not None)
    lively = 1.0
    if tally.roots or brand.conversations.known:
        local = brand.judged_until + zone(at.policy.brand(brand.brand).zone).offset(brand.judged_until)
        lively = series.posts.lively(local)
    brand = _with_minute(
        brand, minute, tally, counts, offsets, rule, expected, partial=at.partial, unknown=unknown, lively=lively
    )
    settled = before.open and load.settled(rule)
    talks = brand.conversations.settled(rule)
    if talks is not brand.conversations:
        settled, brand = True, replace(brand, conversations=talks)
    closes_bin = brand.judged_until % BIN == 0
    if closes_bin:
        bursts = series.bursts()
        series = _with_bin(_with_late(series, brand, at), brand, at)
        brand = replace(brand, open_bin=NOTHING, crowds=[], late={}, in_time=_EMPTY)
        now = dict(series.bursts())
        settled = settled or any(burst.open and now[name].settled(rule) for name, burst in bursts)
    if surge is not None:
        above = series.day[-1] - series.posts.level if closes_bin else 0.0
        surge = replace(surge, excess=surge.excess + above, settled=surge.settled or settled)
        brand = replace(brand, surge=surge)
    return _Stepped(brand, load, series, closes_bin)


def _with_minute(
    brand: WatchedBrand,
    minute: OpenMinute | None,
    tally: Tally,
    counts: UnexpectedCounts,
    offsets: dict[int, int],
    rule: SurgePolicy,
    expected: list[ExpectedEvent],
    *,
    partial: bool,
    unknown: bool,
    lively: float,
) -> WatchedBrand:
    """The brand after the next minute. `counts` is the part of `tally` that no expected event explains. unknown: the posts of the
    minute are not known, because a writer was idle (partial) or channels have fallen silent.
    """
    until = brand.judged_until + MINUTE
    return replace(
        brand,
        judged_until=until,
        heard_until=until if minute is not None else brand.heard_until,
        waiting=brand.waiting[1:] if brand.waiting[:1] == [brand.judged_until] else brand.waiting,
        recent=[*brand.recent, _arrived(tally, minute, brand.judged_until)][-_RECENT:],
        open_bin=brand.open_bin.plus(counts) if tally.posts else brand.open_bin,
        crowds=[*brand.crowds, minute.crowd()] if minute is not None else brand.crowds,
        in_time=Tally.sum([brand.in_time, tally.without_roots()]) if tally.posts else brand.in_time,
        partial_until=until if partial else brand.partial_until,
        conversations=brand.conversations.step(
            tally.roots,
            rule,
            (lambda root: expected_events.factor(expected, root)) if expected else None,
            lively=lively,
            in_surge=brand.surge is not None,
            partial=unknown,
        ),
        offsets={**brand.offsets, **offsets} if offsets else brand.offsets,
    )


def _arrived(tally: Tally, minute: OpenMinute | None, start: int) -> Tally:
    """The posts that were read in a minute, as far as they are at most half an hour late: a channel that is asked seldom is always
    late, and what people do there now must be told now.
    """
    parts = minute.late() if minute is not None else []
    lately = [late.tally for part in parts for at, late in part.items() if at >= start - _HALF_HOUR]
    return (Tally.sum([tally, *lately]) if lately else tally).without_roots()


def _with_late(series: BrandSeries, brand: WatchedBrand, at: At) -> BrandSeries:
    """The series with the late posts that came since the last bin, each in the bin in which it was made. Windows that are
    judged already are not judged again; the next ones count them.
    """
    if not brand.late:
        return series
    begins = brand.judged_until - BIN
    policy = at.policy.brand(brand.brand)
    bins, day, crowds = series.bins.copy(), series.day.copy(), series.crowds.copy()
    counts: dict[int, UnexpectedCounts] = {}
    for start, late in brand.late.items():
        ago = (begins - start) // BIN
        if not 1 <= ago <= len(bins):
            continue
        bins[-ago] = Tally.sum([bins[-ago], late.tally])
        day[-ago] += late.tally.posts
        if ago <= len(crowds):
            crowds[-ago] = crowds[-ago].plus([late.crowd])
        counts[ago] = expected_events.unexpected(late.tally, policy.expected(start))
    teaches = {ago for ago in counts if begins - ago * BIN not in series.partials}
    local = begins + zone(policy.zone).offset(begins)

    def with_late(burst: Burst, posts: Callable[[UnexpectedCounts], float]) -> Burst:
        return burst.late({ago: posts(more) for ago, more in counts.items()}, local, teaches=teaches)

    return replace(
        series,
        posts=with_late(series.posts, lambda more: more.posts),
        complaints=with_late(series.complaints, lambda more: more.complaints),
        channels={
            name: with_late(burst, lambda more, name=name: more.channels.get(name, 0.0))  # type: ignore[misc]
            for name, burst in series.channels.items()
        },
        bins=bins,
        day=day,
        crowds=crowds,
    )


def _with_bin(series: BrandSeries, brand: WatchedBrand, at: At) -> BrandSeries:
    """The series after the bin that the brand's last minute completed."""
    counts, start, rule = brand.open_bin, brand.judged_until - BIN, at.policy.surge
    local = start + zone(at.policy.brand(brand.brand).zone).offset(start)
    whole, cut = brand.in_time, brand.partial_until > start
    bins, crowds = [*series.bins, whole], [*series.crowds, Crowd.of_bin(brand.crowds)]
    names = [*series.channels, *[name for name in counts.channels if name not in series.channels]][:CHANNELS]
    hearing = _hearing(replace(series, bins=bins, crowds=crowds), brand, names, rule, local, partial=cut)
    doubt = channel_silence.doubted(hearing, series.channels, brand.judged_until, in_surge=brand.surge is not None)
    partial = cut or doubt
    channels = {
        name: series.channels.get(name, PART_BURST).step(counts.channels.get(name, 0.0), local, rule, partial=partial)
        for name in names
    }
    settles = brand.surge is not None or partial
    settles = settles or brand.judged_until - max(brand.closed_at, brand.partial_until) < LONG * BIN
    teaches = 0.0 if settles or len(bins) <= LONG else 1 / min(_DAY_BINS, series.posts.age + 1 - LONG)
    marks = series.marks
    if brand.judged_until % _HALF_HOUR == 0:
        marks = [*marks, Mark(brand.judged_until, brand.offsets)][-_MARKS:]
    return BrandSeries(
        series.brand,
        series.posts.step(counts.posts, local, rule, partial=partial),
        series.complaints.step(counts.complaints, local, rule, partial=partial),
        channels,
        hearing,
        bins=bins[-LONG:],
        before=tuple(old + teaches * (new - old) for old, new in zip(series.before, bins[0].labels, strict=True)),
        day=[*series.day, whole.posts][-_DAY_BINS:],
        marks=marks,
        crowds=crowds[-LONG:],
        partials=[*[one for one in series.partials if one > start - LONG * BIN], *([start] if partial else [])],
        doubt=doubt,
    )


def _hearing(
    series: BrandSeries, brand: WatchedBrand, names: list[str], rule: SurgePolicy, local: int, *, partial: bool
) -> dict[str, ChannelActivity]:
    """What is heard of each channel after the last of the series' bins. A late post is heard too."""
    start, in_surge = brand.judged_until - BIN, brand.surge is not None
    late = Tally.sum(posts.tally for posts in brand.late.values()).channels if brand.late else {}
    found = {}
    for name in names:
        posts = series.bins[-1].channels.get(name, 0) + late.get(name, 0)
        before = series.hearing.get(name) or ChannelActivity(start, start)
        pace = _pace(series, name) if in_surge and not posts else 0.0
        burst = series.channels.get(name)
        usually = burst.level * burst.lively(local) if burst is not None else 0.0
        found[name] = before.step(
            posts, start, rule.silent, pace=pace, usually=usually, partial=partial, in_surge=in_surge
        )
    return found


def _pace(series: BrandSeries, channel: str) -> float:
    """The mean of the last hour's bins of a channel. A bin has no more than its authors: a flood by one account, which stops when
    they stop, is one author's.
    """
    hour = channel_silence.HOUR_BINS
    posts = 0
    for tally, who in zip(series.bins[-hour:][::-1], series.crowds[-hour:][::-1], strict=False):
        own = tally.channels.get(channel, 0)
        posts += min(own, who.authors()) if who.known else own
    return posts / hour


def _channel_events(series: BrandSeries, before: BrandSeries, brand: WatchedBrand, at: At) -> Iterator[ChannelChanged]:
    """Yields an event for each channel that fell silent or has posts again."""
    for name, channel in series.hearing.items():
        was = before.hearing.get(name)
        if was is None or was.silent == channel.silent:
            continue
        missed = channel.expected if channel.silent else was.expected
        yield ChannelChanged(
            **at.envelope(
                ids.make("channel", brand.brand, name),
                channel.seq,
                f"silent: {missed:.0f} posts were to be expected" if channel.silent else "heard: a post came",
            ),
            brand=brand.brand,
            mode=at.policy.brand(brand.brand).mode,
            channel=name,
            change="silent" if channel.silent else "heard",
            expected=missed,
            since=was.heard_until,
        )
