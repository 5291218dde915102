"""Opens, updates and closes a brand's incident, by the series that stand above their usual after a minute."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from agents.decider import At
from agents.policy.surge import ExpectedEvent
from agents.surge import crisis
from agents.surge.brand import Brand, Contacts, Series
from agents.surge.burst import BIN, SUSTAINED
from agents.surge.conversations import WINDOW, Conversation
from agents.surge.evidence import evidence
from agents.surge.finding import Finding, about, found, narrowest
from agents.surge.incident import Incident
from schemas import ids
from schemas.records import Decided, SurgeClosed, SurgeOpened, SurgeUpdated

#: A surge is told of again when its ratio has grown by this factor since it was last told of.
_GROWN = 1.5
#: Series of a surge that are told of, at most.
_MOST = 60


class Seen(NamedTuple):
    """A brand after a minute, and what is to be known for judging it."""

    brand: Brand
    series: Series
    contacts: list[Contacts]
    events: list[ExpectedEvent]
    """of the policy, that hold"""


def judged(seen: Seen, at: At) -> tuple[Brand, list[Decided]]:
    """The brand with its incident as it is now, and what is told of it."""
    told = found(seen.brand, seen.series, seen.contacts, at.policy.surge)
    if seen.brand.incident is None:
        return _opened(seen, told, at) if told else (seen.brand, [])
    return _goes_on(seen, seen.brand.incident, told, at) if told else _closed(seen, seen.brand.incident, at)


def _opened(seen: Seen, told: list[Finding], at: At) -> tuple[Brand, list[Decided]]:
    brand, series = seen.brand, seen.series
    named = about(brand, series, at.policy.surge)
    lead = narrowest(told, series, named[0].root if named else None)
    named = named or _hot(brand, lead)
    started = max(_began(brand, series, lead), brand.closed_at)
    bins = max(0, (lead.until - started) // BIN)
    excess = sum(series.day[-bins:]) - series.posts.level * bins if bins else 0.0
    incident = Incident(
        ids.make("surge", brand.brand, started),
        started,
        1,
        [one.key for one in told][:_MOST],
        lead.ratio,
        lead.ratio,
        excess,
        named[0].root if named else None,
    )
    events: list[Decided] = [
        SurgeOpened(
            **at.envelope(incident.id, 1, f"{_said(lead)}; opens at {lead.threshold:.1f} times"),
            brand=brand.brand,
            mode=at.policy.brand(brand.brand).mode,
            started_at=started,
            evidence=evidence(lead, told, brand, series, named, seen.events),
        )
    ]
    brand = replace(brand, incident=incident)
    return _with_crisis(seen, brand, lead, named, events, at)


def _goes_on(seen: Seen, incident: Incident, told: list[Finding], at: At) -> tuple[Brand, list[Decided]]:
    brand, series = seen.brand, seen.series
    named = about(brand, series, at.policy.surge)
    lead = narrowest(told, series, named[0].root if named else None)
    named = named or _hot(brand, lead) or _known(brand, incident.root)
    new = [one.key for one in told if one.key not in incident.told][: _MOST - len(incident.told)]
    root = named[0].root if named else None
    news = [f"also {key}" for key in new]
    if root is not None and incident.root is None:
        news.append("about one post")
    if lead.ratio >= _GROWN * incident.reported:
        news.append(f"{incident.reported:.1f} times when last told of")
    incident = replace(incident, peak=max(incident.peak, lead.ratio), root=incident.root or root)
    events: list[Decided] = []
    if news:
        incident = replace(
            incident,
            seq=incident.seq + 1,
            told=[*incident.told, *new],
            reported=max(incident.reported, lead.ratio),
        )
        events.append(
            SurgeUpdated(
                **at.envelope(incident.id, incident.seq, f"{_said(lead)}; {', '.join(news)}"),
                brand=brand.brand,
                mode=at.policy.brand(brand.brand).mode,
                started_at=incident.started_at,
                evidence=evidence(lead, told, brand, series, named, seen.events),
            )
        )
    return _with_crisis(seen, replace(brand, incident=incident), lead, named, events, at)


def _closed(seen: Seen, incident: Incident, at: At) -> tuple[Brand, list[Decided]]:
    brand = seen.brand
    ended = max(brand.until, *(one.load.until for one in seen.contacts))
    why = "new_normal: it has lasted so long that it is the usual" if incident.settled else "over: nothing stands out"
    closed = SurgeClosed(
        **at.envelope(incident.id, incident.seq + 1, why),
        brand=brand.brand,
        mode=at.policy.brand(brand.brand).mode,
        started_at=incident.started_at,
        ended_at=ended,
        close_reason="new_normal" if incident.settled else "over",
        peak=incident.peak,
        excess=max(0.0, incident.excess),
    )
    brand = replace(brand, incident=None, closed_at=ended)
    brand, events = crisis.ended(brand, incident, at)
    return brand, [closed, *events]


def _with_crisis(
    seen: Seen,
    brand: Brand,
    lead: Finding,
    named: tuple[Conversation, float] | None,
    events: list[Decided],
    at: At,
) -> tuple[Brand, list[Decided]]:
    brand, opened = crisis.by_rule(brand, seen.series, lead, named[0] if named else None, seen.events, at)
    return brand, [*events, *opened]


def _hot(brand: Brand, lead: Finding) -> tuple[Conversation, float] | None:
    """The conversation that leads though most posts are about other things."""
    if lead.detector != "conversation":
        return None
    return _known(brand, lead.name)


def _known(brand: Brand, root: str | None) -> tuple[Conversation, float] | None:
    """The conversation of a root, while it is watched, and its share of the posts."""
    one = next((c for c in brand.conversations.known if c.root == root), None)
    return None if one is None else (one, min(1.0, one.joined / max(1, brand.last(WINDOW).posts)))


def _began(brand: Brand, series: Series, lead: Finding) -> int:
    """ms; for a burst the first of the bins up to now that stand above the usual level."""
    if lead.detector != "burst":
        return lead.until - lead.window
    bins = 0
    for posts in reversed(series.day[-SUSTAINED:]):
        if posts <= series.posts.level:
            break
        bins += 1
    return lead.until - max(bins, 1) * BIN


def _said(lead: Finding) -> str:
    what = "contacts" if lead.detector == "load" else "posts"
    minutes = lead.window // 60_000
    stretch = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    where = f" {lead.scope} {lead.name}".rstrip() if lead.scope != "brand" else ""
    usual = f"where {lead.baseline:.1f} are usual, {lead.ratio:.1f} times"
    return f"{lead.kind or lead.detector}:{where} {lead.actual:.0f} {what} in {stretch} {usual}"
