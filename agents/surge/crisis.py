"""Opens and closes a brand's crisis: by the policy's rule when complaints lead a surge, or because a person declares
it.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from agents.decider import At
from agents.policy.surge_policy import ExpectedEvent
from agents.surge.conversations import WINDOW, Conversation
from agents.surge.detections import Detection, lately
from agents.surge.state import BrandSeries, LastCrisis, OpenSurge, WatchedBrand
from schemas import ids
from schemas.records import CrisisClosed, CrisisDeclared, CrisisOpened, Decided

_RULE = "rule"


def by_rule(
    brand: WatchedBrand,
    series: BrandSeries,
    conversation: Conversation | None,
    expected: list[ExpectedEvent],
    found: list[Detection],
    at: At,
) -> tuple[WatchedBrand, list[Decided]]:
    """(brand, events) after the rule: it opens a crisis when complaints lead the surge, once in each surge.

    It opens no crisis during an expected event, where the policy waits for a person, for a brand with `care = false`, or where a
    few accounts or texts make the surge.
    """
    surge, crisis, policy = brand.surge, brand.crisis, at.policy
    if surge is None or not policy.brand(brand.brand).care or policy.surge.crisis != "open" or expected:
        return brand, []
    if all(one.crowd != "many" for one in found):
        return brand, []
    if crisis is not None and (crisis.by or crisis.surge == surge.id):
        return brand, []
    why = _complaint_led(brand, series, conversation, found, at)
    if why is None:
        return brand, []
    return _opened(brand, _RULE, f"rule: {why}", surge.id, surge.root, at)


def closed_with_surge(brand: WatchedBrand, surge: OpenSurge, at: At) -> tuple[WatchedBrand, list[Decided]]:
    """(brand, events) after a surge closed: a crisis by rule closes with its surge, a declared crisis stays open."""
    crisis = brand.crisis
    if crisis is None or crisis.by != _RULE or crisis.surge != surge.id:
        return brand, []
    return _closed(brand, crisis, _RULE, "rule: its surge is over", at)


def declared(brand: WatchedBrand, fact: CrisisDeclared, at: At) -> tuple[WatchedBrand, list[Decided]]:
    """(brand, events) after a person's declaration. A declaration that is older than the last or repeats it changes
    nothing, also where the last one led to no event: so a copy that is written later changes nothing either.
    """
    crisis = brand.crisis
    if (crisis is not None and fact.at <= crisis.declared_at) or fact.change == "unknown":
        return brand, []
    running, events = crisis is not None and bool(crisis.by), list[Decided]()
    if fact.change == "open" and not running:
        surge, root = (brand.surge.id, brand.surge.root) if brand.surge else (None, None)
        brand, events = _opened(brand, fact.by, f"declared: {fact.reason}", surge, root, at)
    elif fact.change == "open" and crisis is not None and crisis.by == _RULE:
        # From now on it is this person's: it does not end with its surge.
        brand = replace(brand, crisis=replace(crisis, by=fact.by))
    elif fact.change == "close" and crisis is not None and running:
        brand, events = _closed(brand, crisis, fact.by, f"declared: {fact.reason}", at)
    last = brand.crisis or LastCrisis("", 0, "", None)
    return replace(brand, crisis=replace(last, declared_at=fact.at)), events


def _complaint_led(
    brand: WatchedBrand, series: BrandSeries, conversation: Conversation | None, found: list[Detection], at: At
) -> str | None:
    """Why complaints lead the surge; None where they do not.

    They lead where they are far above their own usual level and a large share of the posts that have words. Posts beyond a crowd's
    share of one author, or of one text, are counted on neither side.
    """
    rule = at.policy.surge
    seen, who = brand.last(WINDOW), lately(brand, series, WINDOW)
    complaints = who.voices(seen.labels[0], "complaints")
    burst = any(one.scope == "complaints" and one.crowd == "many" for one in found)
    if complaints < rule.minimum or not (burst or series.complaints.far(complaints, WINDOW)):
        return None
    shares = [_least_share(complaints, who.voices(seen.posts - seen.bare, "posts"))]
    if conversation is not None:
        shares.append(_least_share(sum(conversation.complaints), conversation.with_words))
    share = max(shares)
    if share < rule.complaint_share:
        return None
    percent = f"at least {100 * share:.0f} % of the posts complain, {100 * rule.complaint_share:g} % make a crisis"
    return f"{percent}, and {complaints} complaints in {WINDOW} min are far above the usual"


def _least_share(complaints: int, posts: int) -> float:
    """The share of complaints minus one standard deviation, because chance may have added that much."""
    share = min(1.0, complaints / max(1, posts))
    return share - math.sqrt(share * (1 - share) / max(1, posts))


def _opened(
    brand: WatchedBrand, by: str, reason: str, surge: str | None, root: str | None, at: At
) -> tuple[WatchedBrand, list[Decided]]:
    policy = at.policy.brand(brand.brand)
    id_ = ids.make("crisis", brand.brand, at.cause)
    event = CrisisOpened(
        **at.envelope(id_, 1, reason),
        brand=brand.brand,
        mode=policy.mode,
        by=by,
        surge_id=surge,
        root=root,
        dry_run=policy.mode == "shadow",
        desk=policy.desk,
    )
    declared_at = brand.crisis.declared_at if brand.crisis else 0
    return replace(brand, crisis=LastCrisis(id_, 1, by, surge, declared_at)), [event]


def _closed(
    brand: WatchedBrand, crisis: LastCrisis, by: str, reason: str, at: At
) -> tuple[WatchedBrand, list[Decided]]:
    policy = at.policy.brand(brand.brand)
    event = CrisisClosed(
        **at.envelope(crisis.id, crisis.seq + 1, reason),
        brand=brand.brand,
        mode=policy.mode,
        by=by,
        dry_run=policy.mode == "shadow",
        desk=policy.desk,
    )
    # In the surge that runs now, no rule opens another one.
    surge = brand.surge.id if brand.surge is not None else crisis.surge
    return replace(brand, crisis=replace(crisis, seq=crisis.seq + 1, by="", surge=surge)), [event]
