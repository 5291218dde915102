"""The series of a brand that tell of a flood now, and the narrowest of them that explains it."""

from __future__ import annotations

import msgspec

from agents.policy.surge import Surge
from agents.surge.brand import Brand, Contacts, Series
from agents.surge.burst import BIN, Burst
from agents.surge.conversations import WINDOW, Conversation
from agents.surge.load import WINDOW as HALF_HOUR
from agents.surge.tally import MINUTE
from schemas.records import Detector, Scope

#: A conversation that has this share of the posts is what a flood is about, or this share of those above the usual.
_OF_POSTS, _OF_EXCESS = 0.3, 0.5
#: A series with this share of the posts above the usual explains them.
_EXPLAINS = 0.8
#: Posts that usually join a conversation, at least, for a ratio to say something.
_FEW = 1.0


class Finding(msgspec.Struct, frozen=True):
    """A series that stands above its usual."""

    key: str
    """which: detector, scope and name"""
    detector: Detector
    scope: Scope
    name: str
    until: int
    """ms; end of the window"""
    window: int
    """ms"""
    actual: float
    baseline: float
    threshold: float
    """the ratio that opens"""
    significance: float | None = None
    kind: str = ""
    """of a burst: sustained or jump"""

    @property
    def ratio(self) -> float:
        """Times the usual."""
        return self.actual / self.baseline

    @property
    def excess(self) -> float:
        """Posts above the usual."""
        return self.actual - self.baseline


def found(brand: Brand, series: Series, contacts: list[Contacts], rule: Surge) -> list[Finding]:
    """All series that are above their usual: conversations, bursts, loads."""
    told = [_conversation(one, brand, rule) for one in brand.conversations.hot()]
    told += [_burst(name, burst, brand, rule) for name, burst in series.bursts() if burst.kind]
    return told + [_load(one, rule) for one in contacts if one.load.open]


def about(brand: Brand, series: Series, rule: Surge) -> tuple[Conversation, float] | None:
    """The conversation that most of the last quarter of an hour is about, and its share of the posts."""
    most = max(brand.conversations.known, key=lambda one: (one.joined, one.root), default=None)
    if most is None or most.joined < rule.minimum:
        return None
    posts = brand.last(WINDOW).posts
    above = posts - series.posts.level * WINDOW * MINUTE / BIN
    if most.joined >= min(_OF_POSTS * posts, max(_OF_EXCESS * above, rule.minimum)):
        return most, min(1.0, most.joined / max(1, posts))
    return None


def narrowest(told: list[Finding], series: Series, root: str | None) -> Finding:
    """The finding that says most precisely what the flood is; `root`: of the conversation that it is about."""
    by_key = {one.key: one for one in told}
    whole = by_key.get("burst")
    if root is not None and (hot := by_key.get(f"conversation:{root}")):
        return hot
    for one in told:
        if whole is None or one.detector != "burst" or one is whole or one.kind != whole.kind:
            continue
        alone = one.scope == "channel" and len(series.channels) < 2
        if not alone and one.excess >= _EXPLAINS * whole.excess:
            return one
    return whole or max(told, key=lambda one: one.excess)


def _conversation(one: Conversation, brand: Brand, rule: Surge) -> Finding:
    usual = max(_FEW, brand.conversations.usual)
    return Finding(
        f"conversation:{one.root}",
        "conversation",
        "conversation",
        one.root,
        brand.until,
        WINDOW * MINUTE,
        one.joined,
        usual,
        brand.conversations.threshold(rule) / usual,
    )


def _burst(name: str, burst: Burst, brand: Brand, rule: Surge) -> Finding:
    scope, _, channel = name.partition(":")
    seen = burst.judged(rule)
    return Finding(
        f"burst:{name}" if name else "burst",
        "burst",
        scope or "brand",  # type: ignore[arg-type]
        channel,
        brand.until - brand.until % BIN,
        seen.bins * BIN,
        seen.actual,
        seen.baseline,
        seen.threshold,
        seen.significance,
        seen.kind,
    )


def _load(one: Contacts, rule: Surge) -> Finding:
    actual, usual = one.load.window_sums()
    return Finding(
        f"load:{one.source}",
        "load",
        "contacts",
        one.source,
        one.load.until,
        HALF_HOUR * MINUTE,
        actual,
        max(usual, _FEW),
        one.load.threshold(rule),
        one.load.significance(),
    )
