"""A million open cases with running clocks: memory, recovery, and how soon a clock that runs out is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from bench import broker
from bench.cases import changed, core, tick
from bench.flow import policy_text
from bench.latency import shares
from bench.role import Worker, log_of
from bench.run import Run
from netcenter.ingest import Log
from netcenter.settings import Settings
from schemas import codec, ids
from schemas.keys import customer
from schemas.records import ClassifiedMention, ClockChanged, Label, Mention
from streams.core import Fact

GATES = {"steady_mb": 700, "lag_p99_ms": 2_000}
SEED = 17
#: 2026-11-20T12:00:00Z, when the clocks are watched.
NOON = 1_795_176_000_000
MINUTE, HOUR = 60_000, 3_600_000
#: Clocks that run out in a second of the watching.
DUE = 200
_BRAND = '\n[[brands]]\nname = "andina"\nmode = "live"\nzone = "America/Bogota"\ndesk = "care"\n'
_SAMPLE = 1_000
_FILL_S, _OWN_S, _REST_S = 900.0, 300.0, 5.0
_POLL_MS = 10
_LATE_S = 30.0


def measure(run: Run) -> dict[str, Any]:
    """Bytes, keys/s and milliseconds with `run.mentions` open cases, watched for `run.seconds`."""
    text = policy_text() + _BRAND
    found: dict[str, Any] = {"open_cases": run.mentions, "packed_bytes": _packed_bytes(text)}
    with log_of(run, "clocks", text) as settings:
        run.say(f"opening {run.mentions:,} cases")
        due = min(DUE * run.seconds, run.mentions // 2)
        pairs = _pairs(run.mentions, due, run.seconds, text, settings.partitions)
        filled = broker.fill(run.kafka, settings.prefix + "classified", settings.partitions, pairs)
        with Worker(run, settings, "cases") as worker:
            worker.until(filled, _FILL_S)
            time.sleep(_REST_S)
            found |= {"filled_steady_mb": worker.resident_mb(), "filled_peak_mb": worker.peak_mb()}
        with Worker(run, settings, "cases") as worker:
            records, seconds = worker.recovered(settings.partitions, _OWN_S)
            time.sleep(_REST_S)
            found |= {
                "recovered_per_s": round(records / seconds),
                "steady_mb": worker.resident_mb(),
                "peak_mb": worker.peak_mb(),
            }
            run.say(f"{found}; watching {due:,} clocks run out in {run.seconds} s")
            found |= lags(_watch(run, settings, worker, due), due)
            found["steady_mb_after"] = worker.resident_mb()
    return {**found, "asked": GATES}


def posts(count: int, due: int, seconds: int) -> Iterator[ClassifiedMention]:
    """A post of each customer by time: complaints that run out while the clocks are watched, then questions that do not."""
    random = Random(SEED)
    urgent = sorted(NOON - HOUR + random.randrange(seconds * 1000) for _ in range(due))
    later = sorted(NOON - 55 * MINUTE + random.randrange(54 * MINUTE) for _ in range(count - due))
    for number, at in enumerate(urgent + later):
        yield _post(number, at, "complaint" if number < due else "question")


def _post(number: int, at: int, label: Label) -> ClassifiedMention:
    native = f"{at}{number:07d}"
    mention = Mention(
        id=ids.mention("andina", "twitter", native),
        brand="andina",
        channel="twitter",
        author_id=f"u{number:08d}",
        native_id=native,
        created_at=at,
        lang="en",
        author_followers=120,
        text="my flight was cancelled and nobody answers me",
    )
    return ClassifiedMention(
        label=label,
        confidence=0.93,
        uncertain=False,
        lang="en",
        own=False,
        probabilities=[0.93, 0.04, 0.02, 0.01],
        model="0" * 16,
        policy=1,
        mention=mention,
    )


def _pairs(count: int, due: int, seconds: int, text: str, partitions: int) -> Iterator[broker.Pair]:
    """The posts as they stand in `classified`, with a Tick a minute up to noon."""
    minute = (NOON - HOUR) // MINUTE
    for number in range(partitions):
        yield number, codec.encode(changed(text))
        yield number, codec.encode(tick(minute * MINUTE, number))
    for post in posts(count, due, seconds):
        while post.mention.created_at // MINUTE > minute:
            minute += 1
            for number in range(partitions):
                yield number, codec.encode(tick(minute * MINUTE, number))
        yield customer(post), codec.encode(post)
    for number in range(partitions):
        yield number, codec.encode(tick(NOON, number))


def _packed_bytes(text: str) -> int:
    """Of a case with one post, on average, as the changelog holds it."""
    fold = core(text, encodes=False)
    fold.take([Fact(0, tick(NOON - HOUR, 0)), *(Fact(n + 1, p) for n, p in enumerate(posts(_SAMPLE, 0, 1)))])
    return round(sum(len(value or b"") for _, value in fold.packed()) / _SAMPLE)


def _watch(run: Run, settings: Settings, worker: Worker, due: int) -> list[float]:
    """Seconds from each due to the moment its breach can be read; a Tick each second goes on meanwhile."""
    cases = [TopicPartition(settings.prefix + "cases", n) for n in range(settings.partitions)]
    consumer = KafkaConsumer(bootstrap_servers=run.kafka, isolation_level="read_committed", group_id=None)
    found: list[float] = []
    with closing(consumer), Log(settings, run.kafka) as log:
        consumer.assign(cases)
        consumer.seek_to_end(*cases)
        for tp in cases:
            consumer.position(tp)
        began, told = time.time(), 0
        while len(found) < due:
            now = time.time() - began
            if now > run.seconds + _LATE_S:
                raise RuntimeError(f"{len(found)} of {due} breaches told: {worker.end_of_log()}")
            if now >= told:
                for number in range(settings.partitions):
                    log.send("classified", tick(NOON + told * 1000, number), number)
                told += 1
            for rows in consumer.poll(_POLL_MS).values():
                seen = time.time() - began
                for event in (codec.decode(row.value) for row in rows):
                    if isinstance(event, ClockChanged) and event.change == "breached":
                        found.append(seen - (event.due_at - NOON) / 1000)
            worker.check()
    return found


def lags(found: list[float], due: int) -> dict[str, Any]:
    """Milliseconds of the shares. Raises ValueError when clocks are missing, told twice, or told before they ran out."""
    if len(found) != due:
        raise ValueError(f"{len(found)} breaches of {due} clocks")
    early = min(found)
    if early < 0:
        raise ValueError(f"a breach {-early * 1000:.0f} ms before its due")
    return {"breaches": due, **{f"lag_{name}": ms for name, ms in shares(found).items()}}
