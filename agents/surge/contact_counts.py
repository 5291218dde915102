"""Contacts that other programs count, such as calls: each source of a brand has a load of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from agents.decider import At, State, StateNote, Unusable
from agents.policy.surge_policy import SurgePolicy
from agents.surge import expected_events
from agents.surge.burst import BIN
from agents.surge.checks import check_contacts
from agents.surge.lifecycle import Situation, judge
from agents.surge.load import Load
from agents.surge.state import SOURCES, BrandNoted, BrandSeries, Contacts, WatchedBrand, contacts_key, series_key
from agents.surge.tally import MINUTE
from schemas.records import ContactCount, Decided


def contacts_counted(state: State[Any], fact: ContactCount, at: At) -> Iterator[Decided | StateNote]:
    """Yields a note and the events that follow from a count; nothing for minutes that are already counted. A count is
    complete when it arrives, so its source is judged at once. Skipped minutes count as not known. Raises Unusable for
    an impossible count, and for a new source when a brand has too many.

    The contacts of several minutes are spread over them, evenly but for what an expected event explains.
    """
    check_contacts(fact, at)
    name = fact.brand
    brand = _with_source(state.get(name) or WatchedBrand(name), fact)
    key = contacts_key(name, fact.source)
    known: Contacts | None = state.get(key)
    before = known.load if known else Load.new(fact.minute)
    if fact.minute < before.until:
        return
    rule, surge = at.policy.surge, brand.surge
    of_brand = at.policy.brand(name)
    expected = [of_brand.expected(fact.minute + n * MINUTE) for n in range(fact.minutes)]
    usual = fact.count / sum(map(expected_events.factor, expected))
    load = _up_to(fact.minute, before, fact.minutes, rule, in_surge=surge is not None)
    settled = False
    for _ in range(fact.minutes):
        was, load = load, load.step(usual, rule, in_surge=surge is not None)
        settled = settled or (was.open and load.settled(rule))
    if surge is not None and settled:
        brand = replace(brand, surge=replace(surge, settled=True))
    brand = replace(brand, heard_until=max(brand.heard_until, load.until))
    own = Contacts(name, fact.source, load, fact.minutes)
    others = [state.get(contacts_key(name, source)) for source in ["", *brand.sources] if source != fact.source]
    series: BrandSeries = state.get(series_key(name)) or BrandSeries.new(name)
    told = next(filter(None, reversed(expected)), [])
    brand, events = judge(Situation(brand, series, [*filter(None, others), own], told), at)
    yield BrandNoted({name: brand, key: own})
    yield from events


def without_old_load(contacts: Contacts, until: int, at: At) -> Contacts:
    """The contacts at `until` (ms); their load is closed if no count has come for as long as a load takes to end, or as
    the next count takes to come.
    """
    if not contacts.load.open or until - contacts.load.until < _missed(contacts.minutes, at.policy.surge):
        return contacts
    return replace(contacts, load=contacts.load.skip(contacts.load.until))


def _missed(minutes: int, rule: SurgePolicy) -> int:
    """ms without a count after which its minutes are missed: a count of several minutes comes when all of them are over."""
    return rule.calm + (minutes - 1) * MINUTE


def _with_source(brand: WatchedBrand, fact: ContactCount) -> WatchedBrand:
    if not brand.judged_until:
        brand = replace(brand, judged_until=fact.minute - fact.minute % BIN)
    if fact.source in brand.sources:
        return brand
    if len(brand.sources) >= SOURCES:
        raise Unusable(f"brand {fact.brand} has {SOURCES} sources of contacts already: no more are followed")
    return replace(brand, sources=[*brand.sources, fact.source])


def _up_to(minute: int, load: Load, minutes: int, rule: SurgePolicy, *, in_surge: bool) -> Load:
    """The load after the skipped minutes before `minute` (ms). minutes: how many minutes a count holds."""
    if minute - load.until >= _missed(minutes, rule):
        load = load.skip(minute)
    while load.until < minute:
        load = load.step(None, rule, in_surge=in_surge)
    return load
