"""Promises of a partition's state: records at rest are bytes, and nobody who asks for one can tell."""

from __future__ import annotations

from unittest import mock

import msgspec
import pytest

from agents.alerts.state import Incidents, SurgeIncident
from agents.decider import State


class Count(msgspec.Struct, frozen=True):
    """A record."""

    n: int


def cold(**counts: int) -> State[Count]:
    """A state that a changelog was read into."""
    state: State[Count] = State()
    state.decode_with(msgspec.msgpack.Decoder(Count).decode)
    for key, n in counts.items():
        state.restore(key, Count(n), msgspec.msgpack.encode(Count(n)))
    return state


def test_a_restored_record_is_kept_as_the_very_bytes_and_decoded_once_when_asked_for() -> None:
    """The object is then the same each time."""
    state = cold(a=1)
    assert not state._live
    assert state.get("a") == Count(1)
    assert state["a"] is state.get("a")


def test_a_cold_record_is_there_like_any_other() -> None:
    """By key, by number, in a walk, in a comparison; a removed or unknown one is not."""
    state = cold(a=1, b=2, c=3)
    state.put("b", None)
    state.put("d", Count(4))
    assert "a" in state and "b" not in state and "d" in state and "e" not in state
    assert (len(state), list(state)) == (3, ["a", "c", "d"])
    assert state == {"a": Count(1), "c": Count(3), "d": Count(4)}
    assert state.get("b") is None and state.get("e") is None
    for key in ("b", "e"):
        with pytest.raises(KeyError):
            state[key]


def test_a_removed_record_that_is_put_back_is_whole_again() -> None:
    """As the undo of a failed step does."""
    state = cold(a=1)
    old = state.get("a")
    state.put("a", None)
    state.put("a", old)
    assert state == {"a": Count(1)}
    state.put("new", Count(5))
    state.put("new", None)
    assert len(state) == 1


def test_after_a_checkpoint_no_more_stays_live_than_the_limit() -> None:
    """What changed since comes back as it was left, from the bytes that the changelog was given."""
    with mock.patch("agents.decider._MOST_LIVE", 100):
        state = cold(**{f"k{n}": n for n in range(200)})
        for n in range(200):
            state.put(f"k{n}", Count((state[f"k{n}"].n) + 1))
            state.keep(f"k{n}", msgspec.msgpack.encode(state[f"k{n}"]))
        state.put("k0", None)
        state.keep("k0", None)
        assert len(state._live) == 199
        state.cool()
        assert not state._live
        assert [state["k1"], state["k199"], state.get("k0"), len(state)] == [Count(2), Count(200), None, 199]


def test_a_few_live_records_stay_live_however_often_they_are_sealed() -> None:
    """Their bytes count once."""
    with mock.patch("agents.decider._MOST_LIVE", 100):
        state = cold(a=1)
        for n in range(1_000):
            state.get("a")
            state.put("a", Count(n))
            state.keep("a", msgspec.msgpack.encode(Count(n)))
            state.cool()
            assert list(state._live) == ["a"]


def test_an_index_over_records_is_rebuilt_as_they_are_restored_and_follows_cold_ones() -> None:
    """A State that overrides `put` sees every record."""
    state = Incidents()
    state.decode_with(msgspec.msgpack.Decoder(SurgeIncident).decode)
    surge = SurgeIncident("andina", "s1", "shadow", {}, [])
    state.restore(surge.fingerprint, surge, msgspec.msgpack.encode(surge))
    assert state.of("andina", SurgeIncident) == [surge]
    state.put(surge.fingerprint, None)
    assert state.of("andina", SurgeIncident) == []
