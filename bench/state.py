"""A fold's partition with a million records and timers: bytes a key, cost of a read and a write, a burst of timers."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import msgspec
import psutil  # type: ignore[import-untyped]
from msgspec.structs import replace

from agents.decider import At, State, StateNote, Timer
from agents.policy import Policy, digest, parse
from netcenter.policies import DEFAULT_POLICY
from schemas import codec, ids, keys
from schemas.records import CaseChanged, Decided, PolicyChanged, Record, SourceIdle, Tick
from streams.core import Fact
from streams.fold import FoldCore
from streams.topology import Fold, Pipeline, Role, Topic

#: 2026-11-20T12:00:00Z
NOON = 1_795_176_000_000
_WEEK = 7 * 86_400_000
_PACKED = 220
_BURST = 10_000
_COMMIT_EVERY = 5_000
_HOT = 2_000
_PASSES = 5
POLICY = DEFAULT_POLICY.read_text()
TIME = (Tick, SourceIdle, PolicyChanged)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A record of 220 bytes when packed."""

    case_id: str
    desk: str
    label: str
    seq: int
    opened_at: int
    last_at: int
    wake: int | None
    posts: tuple[str, ...]


class ChangeNoted(StateNote, msgspec.Struct, frozen=True, gc=False):
    """Note: a customer's last change."""

    change: CaseChanged


class Keeper:
    """A decider that remembers a customer's last change and fires one timer after it."""

    record_types: ClassVar[Any] = Kept

    def initial(self) -> State[Kept]:
        """Return an empty state."""
        return State()

    def decide(self, state: State[Kept], fact: Record | Timer, at: At) -> Iterator[Decided | StateNote]:
        """Yield a note of a change, and an event for each timer."""
        if isinstance(fact, CaseChanged):
            yield ChangeNoted(fact)
        elif isinstance(fact, Timer):
            yield changed(fact.key, state[fact.key].seq + 1, at.time, None)

    def evolve(self, state: State[Kept], noted: CaseChanged | ChangeNoted) -> dict[str, Kept]:
        """Return the customer's new record."""
        event = noted.change if isinstance(noted, ChangeNoted) else noted
        key = f"{event.brand}|{event.channel}|{event.author_id}"
        return {key: kept(event.aggregate, event.seq, event.time, event.replied_at)}

    def due(self, record: Kept) -> int | None:
        """Return the time of the timer that the change has set."""
        return record.wake


PIPELINE = Pipeline(
    topics=(
        Topic("changes", (CaseChanged, *TIME), key=keys.customer),
        Topic("told", (CaseChanged,), key=keys.customer),
        Topic("policy", (), key=keys.version, kept=None, public=False, partitions=1),
    ),
    roles=(Role("keeper", Fold(Keeper), ("changes",), ("told",)),),
)


def key_of(number: int) -> str:
    """Return a key `brand|channel|author_id` of 27 characters."""
    return f"andina|twitter|u{number:011d}"


def kept(case_id: str, seq: int, at: int, wake: int | None) -> Kept:
    """Return a record of about `_PACKED` bytes."""
    post = "1" * (_PACKED - 137)
    return Kept(
        case_id=case_id, desk="care", label="complaint", seq=seq, opened_at=at, last_at=at, wake=wake, posts=(post,)
    )


def changed(key: str, seq: int, at: int, wake: int | None) -> CaseChanged:
    """Return a fact or event about a customer."""
    brand, channel, author = key.split("|")
    case = ids.make("case", key)
    return CaseChanged(
        id=ids.event(case, seq),
        aggregate=case,
        seq=seq,
        time=at,
        cause="",
        policy=1,
        reason="bench: changed",
        brand=brand,
        channel=channel,
        author_id=author,
        desk="care",
        change="post_added",
        label="complaint",
        priority=1,
        waiting=False,
        replied_at=wake,
    )


def wake_of(number: int) -> int:
    """Return when a key's timer is due (ms): the first `_BURST` keys in one minute, the others over the week after it."""
    return NOON + number % 60_000 if number < _BURST else NOON + 60_000 + number * 7_919_993 % _WEEK


def core() -> FoldCore:
    """Return an empty partition whose watermark is a minute before noon."""
    policies: Callable[[int, str], Policy] = lambda version, _: parse(POLICY, version)  # noqa: E731 - one expression
    made = FoldCore(PIPELINE, PIPELINE.role("keeper"), 0, 1, policies, Keeper())
    first = PolicyChanged(version=1, hash=digest(POLICY), applied_at=NOON)
    made.take([Fact(0, first), Fact(1, _tick(NOON - 60_000))])
    return made


def _tick(time_ms: int) -> Tick:
    return Tick(clock="event", time=time_ms, role="clock", partition=0)


def measure(keys: int = 1_000_000) -> dict[str, Any]:
    """Measure resident bytes a key and the cost of operations with this number of keys, in a process of its own."""
    command = [sys.executable, "-m", "bench.state", str(keys)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _measure(keys: int) -> dict[str, Any]:
    fold = core()
    pack, _ = codec.state_codec(Kept)
    before = resident()
    started = time.perf_counter()
    for number in range(keys):
        key = key_of(number)
        packed = pack(kept(ids.make("case", key), 1, NOON, wake_of(number)))
        fold.restore(key, bytes(memoryview(packed)))  # the same precision as a consumer has
    filled = time.perf_counter() - started
    sizes = {"packed_bytes": len(pack(fold.state[key_of(0)])), "recovered_bytes_a_key": _a_key(before, keys)}
    _live(fold, keys)
    steady = _a_key(before, keys)
    costs = _costs(fold, keys)
    burst, told = _burst(fold)
    return {
        "keys": keys,
        "timers": fold.timers(),
        **sizes,
        "steady_bytes_a_key": steady,
        "peak_bytes_a_key": round((peak() - before) / keys),
        "restored_per_s": round(keys / filled),
        **costs,
        "burst": told,
        "burst_s": burst,
    }


def resident() -> int:
    """Return the resident bytes of this process after a garbage collection."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """Return the peak of this process's resident bytes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def _a_key(before: int, keys: int) -> int:
    return round((resident() - before) / keys)


def _live(fold: FoldCore, keys: int) -> None:
    """Change a fifth of the keys one by one, with checkpoints; each change moves a timer."""
    random = Random(7)
    for start in range(0, keys // 5, _COMMIT_EVERY):
        facts = []
        for offset in range(start, start + _COMMIT_EVERY):
            number = random.randrange(min(_BURST, keys // 2), keys)
            wake = wake_of(number) + 600_000
            facts.append(Fact(2 + offset, changed(key_of(number), 2, NOON, wake)))
        fold.take(facts)
        _commit(fold)


def _commit(fold: FoldCore) -> None:
    for _ in fold.packed():
        pass
    fold.committed()


def _costs(fold: FoldCore, keys: int) -> dict[str, float]:
    """Measure nanoseconds to read hot keys, and for comparison from a dict, without the loop's own time; and the first
    read of a cold key.
    """
    numbers = Random(5).sample(range(min(_BURST, keys // 2), keys), min(_HOT, keys // 4))
    names = [key_of(number) for number in numbers]
    cold = _each(names, fold.state.get, 1)
    plain = {name: fold.state[name] for name in names}
    same = {name: fold.state[name] for name in names}
    hours = {n: replace(r, wake=(r.wake or 0) + 3_600_000) for n, r in same.items()}
    there = dict.fromkeys(names, False)

    def put(name: str, record: Kept) -> None:
        """Do the bookkeeping at the end of a step for each changed record."""
        fold.state.put(name, record)
        due = fold.decider.due(record)
        if due != fold._timers.get(name):
            fold._timers.set(name, due)

    def move(name: str) -> None:
        there[name] = not there[name]
        put(name, hours[name] if there[name] else same[name])

    figures = {
        "get_cold_ns": cold,
        "get_hot_ns": _each(names, fold.state.get),
        "get_dict_ns": _each(names, plain.get),
        "put_hot_ns": _each(names, lambda name: fold.state.put(name, same[name])),
        "put_dict_ns": _each(names, lambda name: plain.__setitem__(name, same[name])),
        "fold_put_ns": _each(names, lambda name: put(name, same[name])),
        "fold_put_timer_moved_ns": _each(names, move),
    }
    fold.touched.update(dict.fromkeys(names))
    _commit(fold)
    return figures


def _each(names: list[str], action: Callable[[str], Any], passes: int = _PASSES) -> float:
    """Return the best of a few passes, without the loop's own time."""
    best = 1e9
    for _ in range(passes):
        start = time.perf_counter()
        for name in names:
            action(name)
        middle = time.perf_counter()
        for _ in names:
            pass
        best = min(best, (middle - start) - (time.perf_counter() - middle))
    return round(best / len(names) * 1e9)


def _burst(fold: FoldCore) -> tuple[float, int]:
    """Return the seconds of one Tick that fires the first `_BURST` timers, and the number of events."""
    started = time.perf_counter()
    results = fold.take([Fact(1 << 40, _tick(NOON + 59_999))]).results
    return round(time.perf_counter() - started, 3), len(results)


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
