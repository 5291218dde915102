"""Cases: the decider alone, the role over Kafka, a million open cases, and the delay of a breach.

`python -m bench.cases PART N` runs one part that measures its own process.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from agents.cases import CasesDecider
from agents.decider import At, stepper
from agents.policy import Policy, digest, parse
from bench import broker, past, usage, window
from bench.run import Run
from bench.state import peak, resident
from netcenter.broker import provisioning
from netcenter.broker.client import open_admin
from netcenter.broker.lag import LagMonitor
from netcenter.broker.reading import TopicFollower
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings, load
from schemas import codec, ids
from schemas.keys import customer
from schemas.records import ClassifiedMention, ClockChanged, Decided, Mention, PolicyChanged, Record, Tick
from streams.core import Fact, Output
from streams.fold import FoldCore
from streams.supervisor import command_of

FACTS = 300_000
"""The number of mentions in the parts `decider` and `role`."""
CLOCKS = 1_000_000
"""The number of open cases, each with a running clock."""
_MINUTE = 60_000
_NOON = 1_795_176_000_000
_SPREAD_MS = 3_600_000
"""The dues of the million cases are spread over this time: 278 in a second."""
_LATER_MS = 300_000
_SEEN_S = 45
"""Seconds in which a Tick is sent every second and breaches are read."""
_CHECKPOINT = 4_000
_LOADED_S = 900.0


def measure(run: Run) -> dict[str, Any]:
    """Measure all parts; their sizes follow `--mentions`."""
    scale = run.mentions / 1_000_000
    facts, clocks = int(FACTS * scale), int(CLOCKS * scale)
    alone = _apart("decider", facts)
    run.say(f"the decider alone: {alone}")
    role = _over_kafka(run, facts)
    run.say(f"the role over Kafka: {role}")
    held = _apart("held", clocks)
    run.say(f"open cases: {held}")
    seen = _breaches(run, clocks)
    run.say(f"breaches: {seen}")
    return {"decider": alone, "role": role, "held": held, "breaches": seen}


def _apart(part: str, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.cases", part, str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


# --- the decider alone ------------------------------------------------------------------------------------------------


def _facts(count: int) -> Iterator[Record]:
    """Return records of `classified` in the order of play, with a Tick for every minute."""
    minute = 0
    for line in past.lines(count):
        if line.topic == "desk":
            continue
        while line.at >= minute:
            minute = line.at // _MINUTE * _MINUTE
            yield Tick(clock="event", time=minute, role="classify", partition=0)
            minute += _MINUTE
        yield line.record


def _decider(count: int) -> dict[str, Any]:
    """Measure decide and evolve on posts, replies and actions, ids and reasons included; then also with state and timers."""
    policy, facts = parse(past.policy_text(count), 1), list(_facts(count))
    gc.collect()
    gc.freeze()
    decider = CasesDecider()
    take, events, now = stepper(decider, decider.initial()), [0], 0
    started = time.perf_counter()
    for fact in facts:
        if type(fact) is Tick:
            now = fact.time
            continue
        id = fact.mention.id if type(fact) is ClassifiedMention else fact.id  # type: ignore[attr-defined]
        take(fact, At(now, now, policy, id), _count, None, events)
    alone = time.perf_counter() - started
    core = _core(policy)
    started = time.perf_counter()
    written = _through(core, facts)
    timed = time.perf_counter() - started
    return {
        "facts": count,
        "per_s": round(count / alone),
        "events_a_fact": round(events[0] / count, 2),
        "per_s_with_timers": round(count / timed),
        "events_a_fact_with_timers": round(written / count, 2),
    }


def _count(event: Decided, source: object, into: list[int]) -> None:
    into[0] += 1


def _core(policy: Policy, number: int = 0, encodes: bool = False) -> FoldCore:
    role = PIPELINE.role("cases")
    core = FoldCore(PIPELINE, role, number, 1, lambda version, hash: policy, CasesDecider(), encodes=encodes)
    core.in_force(PolicyChanged(version=1, hash="", applied_at=0))
    return core


def _through(core: FoldCore, facts: list[Record]) -> int:
    """Return the number of records of `cases` that follow from the facts, with checkpoints in between."""
    written = 0
    for start in range(0, len(facts), 500):
        left = [Fact(start + n, record) for n, record in enumerate(facts[start : start + 500])]
        while left:
            taken = core.take(left)
            left = taken.left
            written += sum(type(result) is Output and result.topic == "cases" for result in taken.results)
        if len(core.touched) > _CHECKPOINT:
            _checkpoint(core)
    return written


def _checkpoint(core: FoldCore) -> int:
    """Pack the changed records, as a checkpoint does, and return the number of bytes."""
    packed = sum(len(key) + len(value or b"") for key, value in core.packed())
    core.committed()
    return packed


# --- a million open cases ---------------------------------------------------------------------------------------------


def _waiting(count: int) -> Iterator[ClassifiedMention]:
    """Return one complaint of each of `count` customers, with times that spread the dues evenly."""
    for number in range(count):
        native = f"{number:012d}"
        mention = Mention(
            id=ids.mention("andina", "twitter", native),
            brand="andina",
            channel="twitter",
            author_id=f"u{number:09d}",
            native_id=native,
            created_at=_NOON + number * _SPREAD_MS // count,
            lang="es",
            author_followers=180,
            text="Nobody answers",
        )
        yield ClassifiedMention(
            label="complaint",
            confidence=0.9,
            uncertain=False,
            classified_lang="es",
            own=False,
            probabilities=[0.9, 0.05, 0.03, 0.02],
            model=past.MODEL,
            policy=1,
            mention=mention,
        )


def _held(count: int) -> dict[str, Any]:
    """Measure the memory of open cases with a running clock each, and how fast they are recovered."""
    policy = parse(_one_brand(), 1)
    # Use each kind of record and event once, so that modules and compiled readers are loaded before memory is measured.
    for record in _waiting(1):
        codec.decode(codec.encode(record))
    before = resident()
    core = _core(policy)
    core.take([Fact(0, Tick(clock="event", time=_NOON, role="classify", partition=0))])
    packed, chunk = 0, list[Fact]()
    for number, record in enumerate(_waiting(count), 1):
        chunk.append(Fact(number, record))
        if len(chunk) == 500:
            core.take(chunk)
            chunk = []
            if len(core.touched) > _CHECKPOINT:
                packed += _checkpoint(core)
    core.take(chunk)
    packed += _checkpoint(core)
    gc.collect()
    steady, most, timers = resident(), peak(), core.timers()
    rows = [(key, core.state._packed[key]) for key in core.state._packed]
    again = _core(policy)
    started = time.perf_counter()
    for key, value in rows:
        again.restore(key, value)
    took = time.perf_counter() - started
    return {
        "open": count,
        "timers": timers,
        "packed_bytes": round(packed / count),
        "steady_mb": round((steady - before) / 2**20),
        "peak_mb": round((most - before) / 2**20),
        "restored_per_s": round(len(rows) / took),
    }


def _one_brand() -> str:
    return DEFAULT_POLICY.read_text() + ('\n[[brands]]\nname = "andina"\nmode = "live"\n')


# --- over Kafka -------------------------------------------------------------------------------------------------------


@contextmanager
def _input_topic(run: Run, policy: str, fill: Callable[[Settings], None]) -> Iterator[tuple[Settings, Any, Path]]:
    """Start a worker of `cases` on a filled topic `classified` under a new prefix; at the end stop it and delete its
    topics.
    """
    prefix = run.name("cases") + "."
    settings = load().model_copy(update={"kafka": str(run.kafka), "prefix": prefix})
    provisioning.apply(settings, run.kafka, "event", policy)
    changed = codec.encode(PolicyChanged(version=1, hash=digest(policy), applied_at=_NOON))
    for number in range(settings.partitions):
        broker.append(run.kafka, f"{prefix}classified", number, changed)
    fill(settings)
    log = run.folder / f"{prefix}log"
    given = {**os.environ, "NETCENTER_KAFKA": str(run.kafka), "NETCENTER_PREFIX": prefix}
    with log.open("wb") as said:
        worker = subprocess.Popen(command_of("cases"), env=given, stdout=said, stderr=said)
    try:
        yield settings, worker, log
    finally:
        usage.end(worker)
        broker.delete(run.kafka, broker.names(run.kafka, prefix))


def _over_kafka(run: Run, count: int) -> dict[str, Any]:
    """Measure facts/s and CPU of one worker of `cases`, from a fifth of its output to nearly all."""
    policy = past.policy_text(count)
    facts = list(_facts(count))
    written = _through(_core(parse(policy, 1)), facts)

    def fill(settings: Settings) -> None:
        broker.fill(run.kafka, f"{settings.prefix}classified", settings.partitions, _pairs(facts, settings.partitions))

    with _input_topic(run, policy, fill) as (settings, worker, log):
        ends = broker.Ends(run.kafka)
        try:
            watch = window.Watch(
                worker, log, run.broker, lambda: ends.of(f"{settings.prefix}cases", settings.partitions)
            )
            seen = watch.window(written)
        finally:
            ends.close()
    each = written / count
    return {
        "facts": count,
        "per_s": round(seen.per_s / each),
        "events_a_fact": round(each, 2),
        "cpu_us": round(seen.cpu_us * each, 1),
        "broker_cpu_us": round(seen.broker_cpu_us * each, 1),
        "resident_mb": seen.resident_mb,
        "others_cores": seen.others_cores,
    }


def _pairs(facts: list[Record], partitions: int) -> Iterator[broker.Pair]:
    for fact in facts:
        if type(fact) is Tick:
            for number in range(partitions):
                tick = Tick(clock="event", time=fact.time, role="classify", partition=number)
                yield number, codec.encode(tick)
        else:
            yield customer(fact), codec.encode(fact)


# --- how soon a breach is seen ----------------------------------------------------------------------------------------


def _breaches(run: Run, count: int) -> dict[str, Any]:
    """Measure ms from a due to its breach in `cases`, as a reader of committed records sees it, with a Tick every second."""

    def fill(settings: Settings) -> None:
        told: list[Record] = [Tick(clock="event", time=_NOON, role="classify", partition=0)]
        broker.fill(run.kafka, f"{settings.prefix}classified", settings.partitions, _pairs(told, settings.partitions))
        pairs = ((customer(record), codec.encode(record)) for record in _waiting(count))
        broker.fill(run.kafka, f"{settings.prefix}classified", settings.partitions, pairs)

    with _input_topic(run, _one_brand(), fill) as (settings, worker, log):
        cases = [TopicPartition(f"{settings.prefix}cases", n) for n in range(settings.partitions)]
        _await(run, settings, _NOON, worker, log)
        # The first due is an hour after the first post; from that time on several clocks are due in every second.
        base = _NOON + _SPREAD_MS + _LATER_MS
        _tick(run, settings, base)
        _await(run, settings, base, worker, log)
        with TopicFollower(run.kafka, cases, from_end=True) as follower:
            lags = _lags(run, settings, follower, base)
        held = usage.resident(worker.pid)
    lags.sort()
    return {
        "clocks": count,
        "breaches": len(lags),
        "p50_ms": lags[len(lags) // 2],
        "p99_ms": lags[len(lags) * 99 // 100],
        "most_ms": lags[-1],
        "resident_mb": round(held / 2**20),
    }


def _await(run: Run, settings: Settings, time_ms: int, worker: Any, log: Path) -> None:
    """Wait until the worker has read everything and its event time is at `time_ms`."""
    deadline, client = time.monotonic() + _LOADED_S, open_admin(run.kafka)
    try:
        monitor, role = LagMonitor(settings, run.kafka, client), PIPELINE.role("cases")
        while not (monitor.slowest([role])[0] >= time_ms and monitor.is_drained(role)):
            if worker.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"not at {time_ms}: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.5)
    finally:
        client.close()


def _tick(run: Run, settings: Settings, at: int) -> None:
    broker.fill(
        run.kafka,
        f"{settings.prefix}classified",
        settings.partitions,
        (
            (n, codec.encode(Tick(clock="event", time=at, role="classify", partition=n)))
            for n in range(settings.partitions)
        ),
    )


def _lags(run: Run, settings: Settings, follower: TopicFollower, base: int) -> list[int]:
    lags: list[int] = []
    started, told = time.time() * 1000, 0
    while told < _SEEN_S or time.time() * 1000 < started + (_SEEN_S + 5) * 1000:
        now = time.time() * 1000 - started
        if told < _SEEN_S and now >= (told + 1) * 1000:
            told += 1
            _tick(run, settings, base + told * 1000)
        rows = follower.new_records()
        if not rows:
            time.sleep(0.005)
        at = time.time() * 1000 - started
        for row in rows:
            record = codec.decode(row.value)
            if isinstance(record, ClockChanged) and record.change == "breached":
                lags.append(round(at - ((record.due_at or 0) - base)))
    return lags


_PARTS = {"decider": _decider, "held": _held}

if __name__ == "__main__":
    print(json.dumps(_PARTS[sys.argv[1]](int(sys.argv[2]))))
