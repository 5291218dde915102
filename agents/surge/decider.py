"""A brand's surges, by the minute: what the Volumes say steps every series, and the series tell of a flood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from agents.decider import At, State, Timer, Unusable
from agents.policy.surge import ExpectedEvent
from agents.surge import crisis, expected
from agents.surge.brand import SOURCES, Brand, Contacts, Series
from agents.surge.burst import BIN
from agents.surge.expected import NOTHING
from agents.surge.judging import Seen, judged
from agents.surge.load import Load
from agents.surge.tally import ABSURD, MINUTE, Minute, Tally, check
from schemas import ids
from schemas.names import NAME, NAME_FORM
from schemas.records import ChannelChanged, ContactCount, CrisisDeclared, Decided, Record, Volume
from schemas.times import rfc3339

_Kept = Brand | Series | Contacts | Minute
_EMPTY = Tally()
#: ms; a count further ahead would make all that is true look late.
_AHEAD = 24 * 60 * MINUTE
#: Characters of a source's name.
_LONGEST = 64


class _Step(msgspec.Struct, frozen=True):
    """A note: the records as a step leaves them."""

    records: dict[str, Any]


class Brands(State[_Kept]):
    """All records, and how many conversations were left out."""

    def put(self, key: str, record: _Kept | None) -> None:
        """Set or remove a record, and count."""
        if isinstance(record, Brand) and record.conversations.beyond:
            before = self.get(key)
            if before is None or before.conversations is not record.conversations:  # type: ignore[union-attr]
                self.left_out += record.conversations.beyond
        super().put(key, record)


class SurgeDecider:
    """One brand, one open surge at most; judged on timers, when a minute or a bin of 5 minutes is complete."""

    record_types: ClassVar[Any] = _Kept

    def initial(self) -> Brands:
        """No brand is known."""
        return Brands()

    def due(self, record: _Kept) -> int | None:
        """The end of the oldest minute with posts; and of every bin, unless nothing has been heard for a day."""
        if not isinstance(record, Brand):
            return None
        ends = [record.waiting[0] + MINUTE] if record.waiting else []
        if record.until and record.awake():
            ends.append(record.until - record.until % BIN + BIN)
        return min(ends, default=None)

    def decide(self, state: State[Any], fact: Record | Timer, at: At) -> Iterator[Decided]:
        """Volumes are remembered until their minute is complete; then the brand goes on."""
        if isinstance(fact, Volume):
            check(fact)
            brand, minute = state.get(fact.brand), state.get(_key(fact.brand, fact.minute))
            late = brand is not None and fact.minute < brand.until
            if not late and (minute or Minute(fact.brand)).takes(fact):
                yield fact  # type: ignore[misc]  # only remembered
        elif isinstance(fact, Timer):
            yield from _on(state, fact, at)
        elif isinstance(fact, ContactCount):
            yield from _contacts(state, fact, at)
        elif isinstance(fact, CrisisDeclared):
            _check_name(fact.brand)
            brand = state.get(fact.brand) or Brand(fact.brand)
            after, events = crisis.declared(brand, fact, at)
            if events:
                yield _Step({fact.brand: after})  # type: ignore[misc]
                yield from events

    def evolve(self, state: State[Any], event: Record | Timer) -> dict[str, Any]:
        """A Volume's minute and its brand; else what the step has left."""
        if isinstance(event, Volume):
            key = _key(event.brand, event.minute)
            minute, brand = state.get(key) or Minute(event.brand), state.get(event.brand) or Brand(event.brand)
            waits = brand.awaits(event.minute)
            return {key: minute.with_(event)} | ({event.brand: waits} if waits is not brand else {})
        return event.records if isinstance(event, _Step) else {}


def _check_name(brand: str) -> None:
    """What classify has seen to for Volumes; these facts come from outside."""
    if NAME.fullmatch(brand) is None:
        raise Unusable(f"brand: use {NAME_FORM}")


def _key(brand: str, minute: int) -> str:
    return f"{brand}|{minute}"


def _series_key(brand: str) -> str:
    return f"{brand}|series"


def _contacts_key(brand: str, source: str) -> str:
    return f"{brand}|contacts|{source}"


# --- a brand goes on -------------------------------------------------------------------------------------


def _on(state: State[Any], due: Timer, at: At) -> Iterator[Decided]:
    """Minute by minute, up to the timer's."""
    brand: Brand = state[due.key]
    name = brand.brand
    series: Series = state.get(_series_key(name)) or Series.new(name)
    posts: Contacts | None = state.get(_contacts_key(name, ""))
    counted = [state[_contacts_key(name, source)] for source in brand.sources]
    changed: dict[str, Any] = {}
    if brand.waiting and not (brand.until and brand.awake()):
        start = max(brand.until, brand.waiting[0] - brand.waiting[0] % BIN)
        brand, series = brand.woken(start), series.woken()
        posts = replace(posts, load=posts.load.skip(start)) if posts else None
    load = posts.load if posts else Load.new(brand.until, posts=True)
    events: list[Decided] = []
    while brand.until < due.at:
        minute: Minute | None = state.get(_key(name, brand.until))
        holding = _holding(at, name, brand.until)
        before = series
        brand, load, series, closed = _minute(brand, load, series, minute, holding, at)
        if minute is not None:
            changed[_key(name, brand.until - MINUTE)] = None
        if closed:
            events += _hearing(series, before, brand, at)
            counted = [_unheard(one, brand.until, at) for one in counted]
        seen = Seen(brand, series, [Contacts(name, "", load), *counted], holding)
        brand, more = judged(seen, at)
        events += more
    changed |= {name: brand, _series_key(name): series, _contacts_key(name, ""): Contacts(name, "", load)}
    changed |= {_contacts_key(name, one.source): one for one in counted}
    yield _Step({key: record for key, record in changed.items() if record is not state.get(key)})  # type: ignore[misc]
    yield from events


def _minute(
    brand: Brand, load: Load, series: Series, minute: Minute | None, holding: list[ExpectedEvent], at: At
) -> tuple[Brand, Load, Series, bool]:
    """With the next minute, and whether it closes a bin."""
    rule, was = at.policy.surge, brand.incident
    tally, offsets = (minute.tally(), minute.offsets()) if minute is not None else (_EMPTY, {})
    beyond = expected.counts(tally, holding)
    before = load
    load = load.step(None if at.partial else beyond.contacts, rule, incident=was is not None)
    brand = brand.minute(tally, beyond, offsets, rule, holding, partial=at.partial)
    settled = before.open and load.settled(rule)
    talks = brand.conversations.settled(rule)
    if talks is not brand.conversations:
        settled, brand = True, replace(brand, conversations=talks)
    closed = brand.until % BIN == 0
    if closed:
        bursts = series.bursts()
        series = series.bin(brand, rule)
        brand = replace(brand, bin=NOTHING)
        now = dict(series.bursts())
        settled = settled or any(b.kind and now[name].settled(rule) for name, b in bursts)
    if was is not None:
        above = series.day[-1] - series.posts.level if closed else 0.0
        brand = replace(brand, incident=replace(was, excess=was.excess + above, settled=was.settled or settled))
    return brand, load, series, closed


def _holding(at: At, brand: str, time: int) -> list[ExpectedEvent]:
    return at.policy.brand(brand).expected(time)


def _hearing(series: Series, was: Series, brand: Brand, at: At) -> Iterator[Decided]:
    """Channels that have fallen silent, or are heard again."""
    for name, channel in series.hearing.items():
        before = was.hearing.get(name)
        if before is None or before.silent == channel.silent:
            continue
        missed = channel.expected if channel.silent else before.expected
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
            since=before.heard,
        )


# --- contacts counted outside ----------------------------------------------------------------------------


def _contacts(state: State[Any], fact: ContactCount, at: At) -> Iterator[Decided]:
    """A count is whole when it comes: its source goes on at once, and a minute that is left out is not known."""
    _check_name(fact.brand)
    if len(fact.source) > _LONGEST:
        raise Unusable(f"the source's name has {len(fact.source)} characters: use {_LONGEST} at most")
    if fact.minute < 0 or fact.minute % MINUTE:
        raise Unusable(f"minute {fact.minute} is not the start of one")
    if at.time and fact.minute > at.time + _AHEAD:
        raise Unusable(f"minute {rfc3339(fact.minute)} is more than a day ahead of {rfc3339(at.time)}")
    if not 0 <= fact.count <= ABSURD:
        raise Unusable(f"{fact.count} contacts in a minute")
    name = fact.brand
    brand: Brand = state.get(name) or Brand(name)
    if not brand.until:
        brand = replace(brand, until=fact.minute - fact.minute % BIN)
    if fact.source not in brand.sources:
        if len(brand.sources) >= SOURCES:
            raise Unusable(f"brand {name} has {SOURCES} sources of contacts already: no more are followed")
        brand = replace(brand, sources=[*brand.sources, fact.source])
    key = _contacts_key(name, fact.source)
    kept: Contacts | None = state.get(key)
    load = kept.load if kept else Load.new(fact.minute)
    if fact.minute < load.until:
        return  # told already, or too late
    rule, was = at.policy.surge, brand.incident
    if fact.minute - load.until >= rule.calm:
        load = load.skip(fact.minute)
    while load.until < fact.minute:
        load = load.step(None, rule, incident=was is not None)
    holding = _holding(at, name, fact.minute)
    before, load = load, load.step(fact.count / expected.factor(holding), rule, incident=was is not None)
    if was is not None and before.open and load.settled(rule):
        brand = replace(brand, incident=replace(was, settled=True))
    brand = replace(brand, heard=max(brand.heard, load.until))
    mine = Contacts(name, fact.source, load)
    others = [state.get(_contacts_key(name, source)) for source in ["", *brand.sources] if source != fact.source]
    series: Series = state.get(_series_key(name)) or Series.new(name)
    brand, events = judged(Seen(brand, series, [*filter(None, others), mine], holding), at)
    yield _Step({name: brand, key: mine})  # type: ignore[misc]
    yield from events


def _unheard(one: Contacts, until: int, at: At) -> Contacts:
    """A source of which nothing has come for so long that a load would be over tells of none."""
    if not one.load.open or until - one.load.until < at.policy.surge.calm:
        return one
    return replace(one, load=one.load.skip(one.load.until))
