"""The cases role over a day of classified records: its decisions alone, and as a worker over Kafka."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from agents.policy import digest, parse
from bench import broker, past
from bench.role import Worker, log_of
from bench.run import Run
from bench.window import Watch
from netcenter.pipeline import PIPELINE
from netcenter.player import TICK, with_ticks
from schemas import codec
from schemas.files import Line
from schemas.records import PolicyChanged, Record, Tick
from streams.core import Fact, Output
from streams.fold import FoldCore
from streams.shapes import Fold

GATES = {"decider_per_s": 30_000, "per_s": 10_000}
_MOST = 300_000
"""Records over Kafka: half a minute at the gate."""
_ALONE = 100_000
_ROUNDS = 3
_CHUNK = 500
_FIRST = PIPELINE.roles[0].name


def measure(run: Run) -> dict[str, Any]:
    """Facts/s, CPU and events a fact; beside them what is asked for."""
    return {
        **_alone(min(_ALONE, run.mentions)),
        **_over_kafka(run, min(_MOST, run.mentions)),
        "asked": GATES,
    }


def facts(lines: Iterable[Line]) -> Iterator[Record | int]:
    """What a day brings to cases, and the times (ms) of its Ticks."""
    for item in with_ticks(lines, interval=TICK, until=0):
        if isinstance(item, int):
            yield item
        elif item.topic != "desk":
            yield item.record


def tick(time_ms: int, partition: int) -> Tick:
    """As `classified` holds it."""
    return Tick(clock="event", time=time_ms, role=_FIRST, partition=partition)


def changed(policy_text: str) -> PolicyChanged:
    """That the policy holds, as the log tells it."""
    return PolicyChanged(version=1, hash=digest(policy_text), applied_at=0)


def core(policy_text: str, *, encodes: bool) -> FoldCore:
    """The role's one partition, without Kafka."""
    role, policy = PIPELINE.role("cases"), parse(policy_text)
    shape = role.shape
    if not isinstance(shape, Fold):
        raise TypeError(f"{role.name} folds nothing")
    made = FoldCore(PIPELINE, role, 0, lambda _: 1, lambda *_: policy, shape.decider(), encodes=encodes)
    made.in_force(changed(policy_text))
    return made


def _alone(count: int) -> dict[str, float]:
    text, day = past.policy_text(count), list(facts(past.lines(count)))
    runs = [_through(core(text, encodes=False), day) for _ in range(_ROUNDS)]
    encoded = min(_through(core(text, encodes=True), day)[0] for _ in range(_ROUNDS))
    seconds, written = min(runs, key=lambda run: run[0])
    told = sum(not isinstance(item, int) for item in day)
    return {
        "decider_facts": told,
        "decider_per_s": round(told / seconds),
        "decider_us": round(seconds / told * 1e6, 2),
        "decider_us_encoded": round(encoded / told * 1e6, 2),
        "decider_events_a_fact": round(written["cases"] / told, 2),
        "decider_records_a_fact": round(written.total() / told, 2),
    }


def _through(fold: FoldCore, day: list[Record | int]) -> tuple[float, Counter[str]]:
    """CPU seconds in all decisions, ids and timers among them, and the records by topic."""
    written: Counter[str] = Counter()
    spent = 0.0
    for start in range(0, len(day), _CHUNK):
        told = [
            Fact(start + n, tick(item, 0) if isinstance(item, int) else item)
            for n, item in enumerate(day[start : start + _CHUNK])
        ]
        began = time.process_time()
        results = fold.take(told)
        spent += time.process_time() - began
        written.update(result.topic for result in results if isinstance(result, Output))
    return spent, written


def _over_kafka(run: Run, count: int) -> dict[str, Any]:
    text = past.policy_text(count)
    with log_of(run, "cases", text) as settings:
        run.say(f"filling `classified` with {count:,} records of a day")
        day = _pairs(past.lines(count), text, settings.partitions)
        filled = broker.fill(run.kafka, settings.prefix + "classified", settings.partitions, day)
        with Worker(run, settings, "cases") as worker:
            seen = Watch(worker.process, worker.log, worker.broker, worker.facts).window(filled)
            worker.until(filled, 60)
            told = worker.metrics()
    outputs = {topic: round(n) for (name, topic), n in told.items() if name == "netcenter_outputs_total"}
    aside = round(told.get(("netcenter_dead_letters_total", ""), 0))
    if aside:
        raise RuntimeError(f"{aside} of {filled} records were set aside: {worker.end_of_log()}")
    figures: dict[str, Any] = msgspec.to_builtins(seen)
    return {
        **figures,
        "facts": count,
        "ticks": filled - count,
        "events_a_fact": round(outputs["cases"] / count, 2),
        "records_a_fact": round(sum(outputs.values()) / count, 2),
    }


def _pairs(lines: Iterable[Line], policy_text: str, partitions: int) -> Iterator[broker.Pair]:
    """A day as it stands in `classified`, partition by partition ticked."""
    key = PIPELINE.topic("classified").key
    for number in range(partitions):
        yield number, codec.encode(changed(policy_text))
    for item in facts(lines):
        if isinstance(item, int):
            for number in range(partitions):
                yield number, codec.encode(tick(item, number))
        else:
            yield key(item), codec.encode(item)
