"""Opens, updates and closes the surge of a brand, from the series that are above their usual level after a minute."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from agents.decider import At
from agents.policy.surge_policy import ExpectedEvent
from agents.surge import crisis
from agents.surge.burst import BIN, LONG
from agents.surge.conversations import WINDOW, Conversation
from agents.surge.detections import Detection, crowd, detections, main_conversation, narrowest
from agents.surge.evidence import evidence
from agents.surge.state import BrandSeries, Contacts, OpenSurge, WatchedBrand
from agents.surge.tally import MINUTE
from schemas import ids
from schemas.records import Decided, SurgeClosed, SurgeOpened, SurgeUpdated, Trend

#: An event updates a surge when the ratio has grown by this factor since the last event that gave a ratio.
_GROWN = 1.5
#: An event says that a surge falls when the last half hour had at most this part of the posts that the half hour had of which
#: the last event told, so many ms ago at least, and still more than this many times the usual: else the end will tell it.
_FALLEN, _SINCE, _STILL = 0.5, 30 * MINUTE, 2.0
_HALF_HOUR = 30
#: At most this many series of a surge are named in its events.
_MOST_NAMED = 60

Named = tuple[Conversation, float] | None
"""The conversation that a surge is about, and its share of the posts; None where it is about no single conversation."""


class Situation(NamedTuple):
    """A brand after a minute, with everything that decides about its surge."""

    brand: WatchedBrand
    series: BrandSeries
    contacts: list[Contacts]
    expected: list[ExpectedEvent]
    """The policy's expected events that take place now."""


def judge(situation: Situation, at: At) -> tuple[WatchedBrand, list[Decided]]:
    """(brand, events): the brand with its surge as it is now, and the events that say what changed."""
    brand = situation.brand
    found = detections(brand, situation.series, situation.contacts, at.policy.surge)
    if brand.surge is None:
        return _opened(situation, found, at) if found else (brand, [])
    return _updated(situation, brand.surge, found, at) if found else _closed(situation, brand.surge, at)


def _opened(situation: Situation, found: list[Detection], at: At) -> tuple[WatchedBrand, list[Decided]]:
    brand, series = situation.brand, situation.series
    named = main_conversation(brand, series, at.policy.surge)
    lead = _lead(found, series, named)
    named = named or _leading(brand, lead)
    started = max(_began(series, lead), brand.closed_at)
    bins = max(0, (lead.until - started) // BIN)
    surge = OpenSurge(
        ids.make("surge", brand.brand, started),
        started,
        1,
        [one.key for one in found][:_MOST_NAMED],
        lead.ratio,
        lead.ratio,
        sum(series.day[-bins:]) - series.posts.level * bins if bins else 0.0,
        named[0].root if named else None,
        told_at=brand.judged_until,
        told_posts=brand.last(_HALF_HOUR).posts,
        crowd=lead.crowd,
    )
    opened = SurgeOpened(
        **at.envelope(surge.id, 1, f"{_sentence(lead)}; opens at {lead.threshold:.1f} times"),
        brand=brand.brand,
        mode=at.policy.brand(brand.brand).mode,
        started_at=started,
        evidence=evidence(lead, found, brand, series, named, situation.expected),
    )
    return _with_crisis(situation, replace(brand, surge=surge), named, found, [opened], at)


def _updated(
    situation: Situation, surge: OpenSurge, found: list[Detection], at: At
) -> tuple[WatchedBrand, list[Decided]]:
    """The surge goes on. Yields an event where something is new: a series, the root post, people in place of a few, a much larger
    ratio, or a fall.
    """
    brand, series = situation.brand, situation.series
    named = main_conversation(brand, series, at.policy.surge)
    lead = _lead(found, series, named)
    named = named or _leading(brand, lead) or _watched(brand, surge.root)
    new = [one.key for one in found if one.key not in surge.detected][: _MOST_NAMED - len(surge.detected)]
    root = named[0].root if named else None
    news = [f"also {key}" for key in new]
    if root is not None and surge.root is None:
        news.append("about one post")
    if lead.crowd == "many" and surge.crowd != "many":
        news.append("by many now")
    trend: Trend = "steady"
    posts = brand.last(_HALF_HOUR).posts
    counted = lead.detector == "load" and lead.name
    if lead.ratio >= _GROWN * surge.reported_ratio and (counted or posts > surge.told_posts):
        trend = "rising"
        news.append(f"{surge.reported_ratio:.1f} times when last reported")
    elif _falls(surge, brand, series, posts):
        trend = "falling"
        news.append(f"falling: {posts:,} posts in the last half hour after {surge.told_posts:,} when last reported")
    surge = replace(surge, peak_ratio=max(surge.peak_ratio, lead.ratio), root=surge.root or root)
    events: list[Decided] = []
    if news:
        surge = replace(
            surge,
            seq=surge.seq + 1,
            detected=[*surge.detected, *new],
            reported_ratio=max(surge.reported_ratio, lead.ratio),
            told_at=brand.judged_until,
            told_posts=posts,
            crowd=lead.crowd,
        )
        events.append(
            SurgeUpdated(
                **at.envelope(surge.id, surge.seq, f"{_sentence(lead)}; {', '.join(news)}"),
                brand=brand.brand,
                mode=at.policy.brand(brand.brand).mode,
                started_at=surge.started_at,
                evidence=evidence(lead, found, brand, series, named, situation.expected, trend),
            )
        )
    return _with_crisis(situation, replace(brand, surge=surge), named, found, events, at)


def _falls(surge: OpenSurge, brand: WatchedBrand, series: BrandSeries, posts: int) -> bool:
    """Whether the posts of the last half hour, all of which must be known, say that a surge falls."""
    now = brand.judged_until
    if now - surge.told_at < _SINCE or any(one >= now - _SINCE - BIN for one in series.partials):
        return False
    usual = series.posts.level * _HALF_HOUR * MINUTE / BIN
    return _STILL * usual < posts <= _FALLEN * surge.told_posts


def _closed(situation: Situation, surge: OpenSurge, at: At) -> tuple[WatchedBrand, list[Decided]]:
    brand = situation.brand
    ended = max(brand.judged_until, *(one.load.until for one in situation.contacts))
    reason = "new_normal: it has lasted so long that it is the usual" if surge.settled else "over: nothing stands out"
    closed = SurgeClosed(
        **at.envelope(surge.id, surge.seq + 1, reason),
        brand=brand.brand,
        mode=at.policy.brand(brand.brand).mode,
        started_at=surge.started_at,
        ended_at=ended,
        close_reason="new_normal" if surge.settled else "over",
        peak=surge.peak_ratio,
        excess=max(0.0, surge.excess),
    )
    brand, events = crisis.closed_with_surge(replace(brand, surge=None, closed_at=ended), surge, at)
    return brand, [closed, *events]


def _with_crisis(
    situation: Situation, brand: WatchedBrand, named: Named, found: list[Detection], events: list[Decided], at: At
) -> tuple[WatchedBrand, list[Decided]]:
    conversation = named[0] if named else None
    brand, opened = crisis.by_rule(brand, situation.series, conversation, situation.expected, found, at)
    return brand, [*events, *opened]


def _lead(found: list[Detection], series: BrandSeries, named: Named) -> Detection:
    """The detection that says most precisely what the surge is, and who makes the surge as a whole."""
    lead = narrowest(found, series, named[0].root if named else None)
    return msgspec.structs.replace(lead, crowd=crowd(found, lead))


def _leading(brand: WatchedBrand, lead: Detection) -> Named:
    """The conversation that the leading detection is about, where most posts are about other things."""
    return _watched(brand, lead.name) if lead.detector == "conversation" else None


def _watched(brand: WatchedBrand, root: str | None) -> Named:
    """The watched conversation of a root post."""
    one = next((c for c in brand.conversations.known if c.root == root), None)
    return None if one is None else (one, min(1.0, one.joined / max(1, brand.last(WINDOW).posts)))


def _began(series: BrandSeries, lead: Detection) -> int:
    """ms; for a burst the start of the unbroken run of bins above the usual level, else the start of the window."""
    if lead.detector != "burst":
        return lead.until - lead.window
    bins = 0
    for posts in reversed(series.day[-LONG:]):
        if posts <= series.posts.level:
            break
        bins += 1
    return lead.until - max(bins, 1) * BIN


def _sentence(lead: Detection) -> str:
    what = {"load": "contacts"}.get(lead.detector, "complaints" if lead.scope == "complaints" else "posts")
    minutes = lead.window // 60_000
    stretch = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    where = f" {lead.scope} {lead.name}".rstrip() if lead.scope not in ("brand", "complaints") else ""
    usual = f"where {lead.baseline:,.1f} are usual, {lead.ratio:.1f} times"
    said = f"{lead.detector}:{where} {lead.actual:,.0f} {what} in {stretch} {usual}{_seldom(lead.return_period)}"
    return said + {"few": ", by a few accounts", "copies": ", copies of a few texts"}.get(lead.crowd, "")


def _seldom(days: float | None) -> str:
    """How seldom so many come, in words; empty where it is not seldom or not known."""
    if days is None or days < 1:
        return ""
    return f", as once in {days:.0f} days" if days < 365 else ", as never in a year"
