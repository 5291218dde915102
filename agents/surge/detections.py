"""The series of a brand that are above their usual level, and the narrowest of them that explains the surge."""

from __future__ import annotations

import msgspec

from agents.policy.surge_policy import SurgePolicy
from agents.surge.burst import BIN, Burst
from agents.surge.conversations import WINDOW, Conversation
from agents.surge.crowd import Crowd
from agents.surge.load import WINDOW as HALF_HOUR
from agents.surge.state import BrandSeries, Contacts, WatchedBrand
from agents.surge.tally import MINUTE
from schemas.records import Crowd as Kind
from schemas.records import Detector, Scope

#: A surge is about a conversation that has this share of the posts, or this share of the posts above the usual number.
_OF_POSTS, _OF_EXCESS = 0.3, 0.5
#: A series explains the surge if it has this share of the posts above the usual number.
_EXPLAINS = 0.8
#: The baseline of a conversation or a load is at least this, because a ratio to a smaller number says nothing.
_LEAST_BASELINE = 1.0


class Detection(msgspec.Struct, frozen=True):
    """A series that its detector finds above its usual level."""

    key: str
    """The key: detector, scope and name of the series."""
    detector: Detector
    scope: Scope
    name: str
    until: int
    """ms; end of the window."""
    window: int
    """ms; length of the window."""
    actual: float
    """Posts or contacts in the window."""
    baseline: float
    """The usual number of posts or contacts in such a window."""
    threshold: float
    """The ratio of actual to baseline that opens a surge."""
    significance: float | None = None
    """-log10 of the probability that as many come by chance."""
    return_period: float | None = None
    """For a burst: days; so many posts come once in this time."""
    crowd: Kind = "many"
    """Who makes it."""

    @property
    def ratio(self) -> float:
        """The ratio of actual to baseline."""
        return self.actual / self.baseline

    @property
    def excess(self) -> float:
        """Posts or contacts above the baseline."""
        return self.actual - self.baseline


def detections(
    brand: WatchedBrand, series: BrandSeries, contacts: list[Contacts], rule: SurgePolicy
) -> list[Detection]:
    """A detection for each hot conversation, each open burst and each open load."""
    found = [_conversation(one, brand, series, rule) for one in brand.conversations.hot()]
    found += [_burst(name, burst, brand, series, rule) for name, burst in series.bursts() if burst.open]
    return found + [_load(one, brand, series, rule) for one in contacts if one.load.open]


def lately(brand: WatchedBrand, series: BrandSeries, minutes: int) -> Crowd:
    """Who wrote the posts of the last minutes, those of the open bin among them; of whole bins before it, so it may lack the first
    minutes.
    """
    bins = (minutes * MINUTE - brand.judged_until % BIN) // BIN
    return Crowd.sum([*series.crowds[-bins:], *brand.crowds])


def crowd(found: list[Detection], lead: Detection) -> Kind:
    """Who makes a surge: many, if one of its detections is made by many; else as of the leading one."""
    return "many" if any(one.crowd == "many" for one in found) else lead.crowd


def main_conversation(brand: WatchedBrand, series: BrandSeries, rule: SurgePolicy) -> tuple[Conversation, float] | None:
    """The conversation that most of the last 15 minutes is about, and its share of the posts (0 to 1)."""
    largest = max(brand.conversations.known, key=lambda one: (one.joined, one.root), default=None)
    if largest is None or largest.joined < rule.minimum:
        return None
    posts = brand.last(WINDOW).posts
    above = posts - series.posts.level * WINDOW * MINUTE / BIN
    if largest.joined >= min(_OF_POSTS * posts, max(_OF_EXCESS * above, rule.minimum)):
        return largest, min(1.0, largest.joined / max(1, posts))
    return None


def narrowest(found: list[Detection], series: BrandSeries, root: str | None) -> Detection:
    """The detection that says most precisely what the surge is. `root` is the conversation that it is about.

    1. The conversation of `root`, where it is hot.
    2. A channel or the complaints, where they explain most of the brand's burst.
    3. The brand's burst.
    4. The detection with the largest excess.
    """
    by_key = {one.key: one for one in found}
    whole = by_key.get("burst")
    if root is not None and (hot := by_key.get(f"conversation:{root}")):
        return hot
    for one in found:
        if whole is None or one.detector != "burst" or one is whole or one.window != whole.window:
            continue
        alone = one.scope == "channel" and len(series.channels) < 2
        if not alone and one.excess >= _EXPLAINS * whole.excess:
            return one
    return whole or max(found, key=lambda one: one.excess)


def _conversation(one: Conversation, brand: WatchedBrand, series: BrandSeries, rule: SurgePolicy) -> Detection:
    usual, needed = max(_LEAST_BASELINE, brand.conversations.usual), brand.conversations.threshold(rule)
    return Detection(
        f"conversation:{one.root}",
        "conversation",
        "conversation",
        one.root,
        brand.judged_until,
        WINDOW * MINUTE,
        one.joined,
        usual,
        needed / usual,
        crowd=lately(brand, series, WINDOW).kind(one.joined, usual, needed, "posts", one.channel),
    )


def _burst(name: str, burst: Burst, brand: WatchedBrand, series: BrandSeries, rule: SurgePolicy) -> Detection:
    """The detection of a burst, with the posts of its window as they were counted. Where expected events explain a part of
    them, so many more posts are usual.
    """
    scope, _, channel = name.partition(":")
    seen = burst.judged(rule)
    counted = series.counted(seen.bins)
    actual = counted.channels.get(channel, 0) if channel else counted.labels[0] if scope else counted.posts
    baseline = seen.baseline * (actual / seen.actual if seen.actual else 1.0)
    return Detection(
        f"burst:{name}" if name else "burst",
        "burst",
        scope or "brand",  # type: ignore[arg-type]
        channel,
        brand.judged_until - brand.judged_until % BIN,
        seen.bins * BIN,
        actual,
        baseline,
        seen.threshold,
        seen.significance,
        seen.return_period,
        series.crowd(seen.bins).kind(
            actual, baseline, seen.threshold * baseline, "complaints" if scope == "complaints" else "posts", channel
        ),
    )


def _load(one: Contacts, brand: WatchedBrand, series: BrandSeries, rule: SurgePolicy) -> Detection:
    actual, usual = one.load.window_sums()
    baseline, threshold = max(usual, _LEAST_BASELINE), one.load.threshold(rule)
    return Detection(
        f"load:{one.source}",
        "load",
        "contacts",
        one.source,
        one.load.until,
        HALF_HOUR * MINUTE,
        actual,
        baseline,
        threshold,
        one.load.significance(),
        crowd=lately(brand, series, HALF_HOUR).kind(actual, baseline, threshold * baseline, "contacts")
        if one.load.posts
        else "many",
    )
