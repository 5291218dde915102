"""A crisis is a decision: by the policy's rule when a surge is complaint-led, or by a person."""

from __future__ import annotations

import math

from msgspec.structs import replace

from agents.decider import At
from agents.policy.surge import ExpectedEvent
from agents.surge.brand import Brand, Series
from agents.surge.conversations import WINDOW, Conversation
from agents.surge.finding import Finding
from agents.surge.incident import Crisis, Incident
from schemas import ids
from schemas.records import CrisisClosed, CrisisDeclared, CrisisOpened, Decided

_RULE = "rule"


def by_rule(
    brand: Brand,
    series: Series,
    lead: Finding,
    about: Conversation | None,
    events: list[ExpectedEvent],
    at: At,
) -> tuple[Brand, list[Decided]]:
    """Opens one when the brand's surge is led by complaints, once in a surge."""
    incident, crisis, policy = brand.incident, brand.crisis, at.policy
    if incident is None or not policy.brand(brand.brand).care or policy.surge.crisis != "open" or events:
        return brand, []
    if crisis is not None and (crisis.by or crisis.surge == incident.id):
        return brand, []
    why = _complaint_led(brand, series, lead, about, at)
    if why is None:
        return brand, []
    return _opened(brand, _RULE, f"rule: {why}", incident.id, incident.root, at)


def ended(brand: Brand, incident: Incident, at: At) -> tuple[Brand, list[Decided]]:
    """The rule's crisis ends with its surge; a person's stays until a person closes it."""
    crisis = brand.crisis
    if crisis is None or crisis.by != _RULE or crisis.surge != incident.id:
        return brand, []
    return _closed(brand, crisis, _RULE, "rule: its surge is over", at)


def declared(brand: Brand, fact: CrisisDeclared, at: At) -> tuple[Brand, list[Decided]]:
    """What a person says holds; what was said before something newer, or says nothing new, changes nothing."""
    crisis = brand.crisis
    if crisis is not None and fact.at <= crisis.declared:
        return brand, []
    running = crisis is not None and bool(crisis.by)
    if fact.change == "open" and not running:
        incident = brand.incident
        surge, root = (incident.id, incident.root) if incident else (None, None)
        brand, events = _opened(brand, fact.by, f"declared: {fact.reason}", surge, root, at)
    elif fact.change == "close" and crisis is not None and running:
        brand, events = _closed(brand, crisis, fact.by, f"declared: {fact.reason}", at)
    else:
        return brand, []
    return replace(brand, crisis=replace(brand.crisis, declared=fact.at)), events  # type: ignore[type-var]


def _complaint_led(brand: Brand, series: Series, lead: Finding, about: Conversation | None, at: At) -> str | None:
    """Why it is: complaints stand far above their own usual, and are a large part of the posts that say something."""
    rule = at.policy.surge
    seen = brand.last(WINDOW)
    complaints = seen.labels[0]
    if complaints < rule.minimum or not (series.complaints.kind or series.complaints.far(complaints, WINDOW)):
        return None
    shares = [_surely(complaints, seen.posts - seen.bare)]
    if about is not None:
        shares.append(_surely(sum(about.complaints), about.joined))
    share = max(shares)
    if share < rule.complaint_share:
        return None
    percent = f"at least {100 * share:.0f} % of the posts complain, {100 * rule.complaint_share:g} % make a crisis"
    return f"{percent}, and {complaints} complaints in {WINDOW} min are far above the usual"


def _surely(complaints: int, posts: int) -> float:
    """The share less what chance may have added to it: a standard deviation."""
    share = min(1.0, complaints / max(1, posts))
    return share - math.sqrt(share * (1 - share) / max(1, posts))


def _opened(
    brand: Brand, by: str, reason: str, surge: str | None, root: str | None, at: At
) -> tuple[Brand, list[Decided]]:
    policy = at.policy.brand(brand.brand)
    id_ = ids.make("crisis", brand.brand, at.cause)
    event = CrisisOpened(
        **at.envelope(id_, 1, reason),
        brand=brand.brand,
        mode=policy.mode,
        by=by,
        surge=surge,
        root=root,
        dry_run=policy.mode == "shadow",
        desk=policy.desk,
    )
    said = brand.crisis.declared if brand.crisis else 0
    return replace(brand, crisis=Crisis(id_, 1, by, surge, said)), [event]


def _closed(brand: Brand, crisis: Crisis, by: str, reason: str, at: At) -> tuple[Brand, list[Decided]]:
    policy = at.policy.brand(brand.brand)
    event = CrisisClosed(
        **at.envelope(crisis.id, crisis.seq + 1, reason),
        brand=brand.brand,
        mode=policy.mode,
        by=by,
        dry_run=policy.mode == "shadow",
        desk=policy.desk,
    )
    return replace(brand, crisis=replace(crisis, seq=crisis.seq + 1, by="")), [event]
