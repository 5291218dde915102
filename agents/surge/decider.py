"""The Decider over `volumes`: the surges, crises and silent channels of each brand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from agents.decider import At, State, StateNote, Timer
from agents.surge import crisis, minutes
from agents.surge.burst import BIN
from agents.surge.checks import check_brand, check_volume
from agents.surge.contact_counts import contacts_counted
from agents.surge.evolve import evolve
from agents.surge.state import BrandNoted, BrandRecord, Brands, OpenMinute, VolumeNoted, WatchedBrand, minute_key
from agents.surge.tally import MINUTE
from schemas.records import ContactCount, CrisisDeclared, Decided, Record, Volume

Events = Iterator[Decided | StateNote]


def _volume(state: State[Any], fact: Volume, _at: At) -> Events:
    """Yields a note of the Volume, unless its minute is judged already or a newer Volume of its partition is known."""
    check_volume(fact)
    brand, minute = state.get(fact.brand), state.get(minute_key(fact.brand, fact.minute))
    late = brand is not None and fact.minute < brand.judged_until
    if not late and (minute or OpenMinute(fact.brand)).takes(fact):
        yield VolumeNoted(fact)


def _crisis(state: State[Any], fact: CrisisDeclared, at: At) -> Events:
    check_brand(fact.brand)
    brand = state.get(fact.brand) or WatchedBrand(fact.brand)
    after, events = crisis.declared(brand, fact, at)
    if after != brand:
        yield BrandNoted({fact.brand: after})
        yield from events


_RULES: dict[type[Record], Callable[[State[Any], Any, At], Events]] = {
    Volume: _volume,
    ContactCount: contacts_counted,
    CrisisDeclared: _crisis,
}


class SurgeDecider:
    """Decides over `volumes`. State: the records of each brand. A brand has at most one open surge.

    Volumes are remembered until a timer says that their minute is complete, and the brand is judged then.
    """

    record_types: ClassVar[Any] = BrandRecord
    reads: ClassVar[tuple[type[Record], ...]] = tuple(_RULES)

    def initial(self) -> Brands:
        """A state without brands."""
        return Brands()

    def due(self, record: BrandRecord) -> int | None:
        """ms; the end of the oldest minute with posts; or, while every bin of the brand is judged, the end of the open
        bin.
        """
        if not isinstance(record, WatchedBrand):
            return None
        ends = [record.waiting[0] + MINUTE] if record.waiting else []
        if record.judged_until and record.awake():
            ends.append(record.judged_until - record.judged_until % BIN + BIN)
        return min(ends, default=None)

    def decide(self, state: State[Any], fact: Record | Timer, at: At) -> Events:
        """Yields the notes and events that follow from a fact or a timer; nothing for a fact of another type.

        Raises Unusable for a fact that fails a check.
        """
        if isinstance(fact, Timer):
            return minutes.judge_until(state, fact, at)
        rule = _RULES.get(type(fact))
        return iter(()) if rule is None else rule(state, fact, at)

    def evolve(self, state: State[Any], event: Decided | StateNote) -> dict[str, Any]:
        """The records that a note changes, by key; None for a removed record."""
        return evolve(state, event)
