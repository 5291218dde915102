"""How notes change the records of brands. Pure: the result depends on the arguments alone."""

from __future__ import annotations

from typing import Any

from agents.decider import State, StateNote
from agents.surge.state import BrandNoted, OpenMinute, VolumeNoted, WatchedBrand, minute_key
from schemas.records import Decided, Volume


def evolve(state: State[Any], event: Decided | StateNote) -> dict[str, Any]:
    """The records that a note changes, by key; None for a removed record. Events change nothing.

    The note BrandNoted comes before the events of its step and holds everything that the events say.
    """
    match event:
        case VolumeNoted():
            return _remembered(state, event.volume)
        case BrandNoted():
            return event.records
    return {}


def _remembered(state: State[Any], volume: Volume) -> dict[str, Any]:
    """The record of the Volume's minute; and the brand's record, where the brand has not seen the minute before."""
    key = minute_key(volume.brand, volume.minute)
    minute = state.get(key) or OpenMinute(volume.brand)
    brand = state.get(volume.brand) or WatchedBrand(volume.brand)
    waits = brand.awaits(volume.minute)
    return {key: minute.with_volume(volume)} | ({volume.brand: waits} if waits is not brand else {})
