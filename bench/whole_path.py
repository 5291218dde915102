"""The whole path: mentions -> classified -> PostgreSQL, with the broker and PostgreSQL on the same cores."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from bench import broker
from bench.flow import Flow, Progress, flow, posts
from bench.run import Run
from schemas import codec, ids
from schemas.keys import customer
from schemas.records import Mention, Tick

SEED = 11
WINDOWS = 5
"""Number of equal parts of a run: a rate that falls from part to part cannot be sustained."""
EARLY = 200_000
"""Memory is measured after this many mentions, and compared with the memory at the end."""
_APART_MS = 10
"""ms of event time between two mentions: 6,000 mentions a minute."""
_LOOK_S = 0.2
_START_S = 60.0
_END_S = 900.0


def mentions(count: int) -> Iterator[Mention]:
    """Yield the story's posts repeatedly, each with its own time, id and author from a seed."""
    random, told = Random(SEED), posts()
    first = told[0].created_at
    for number in range(count):
        post, native = told[number % len(told)], f"{SEED}{number:09d}"
        yield msgspec.structs.replace(
            post,
            id=ids.mention(post.brand, post.channel, native),
            author_id=f"u{random.randrange(100_000)}",
            native_id=native,
            created_at=first + number * _APART_MS,
            conversation_id=None,
            in_reply_to=None,
            share_of=None,
            post_id=ids.post(post.channel, native),
        )


@dataclass(frozen=True)
class _Look:
    at: float
    rows: int
    cpu: dict[str, float]
    resident: dict[str, int]


def measure(run: Run) -> dict[str, Any]:
    """Measure mentions/s from the first visible row in PostgreSQL to the last, on a log that was filled before."""
    with flow(run, "event") as path:
        run.say(f"filling the whole path with {run.mentions:,} mentions")
        _fill(path, run.mentions)
        path.start({})
        looks = _watch(path, run.mentions)
    return _figures(looks, run.mentions)


def _fill(path: Flow, count: int) -> None:
    partitions = path.settings.partitions
    broker.fill(path.run.kafka, path.topic("mentions"), partitions, _with_ticks(mentions(count), partitions))


def _with_ticks(told: Iterable[Mention], partitions: int) -> Iterator[broker.Pair]:
    """Yield each mention, and for every minute a Tick to every partition."""
    minute = 0
    for mention in told:
        if mention.created_at // 60_000 > minute:
            minute = mention.created_at // 60_000
            for number in range(partitions):
                tick = Tick(clock="event", time=minute * 60_000, role="clock", partition=number)
                yield number, codec.encode(tick)
        yield customer(mention), codec.encode(mention)


def _watch(path: Flow, count: int) -> list[_Look]:
    """Read the progress repeatedly, from the first visible rows until all are visible."""
    progress, looks, deadline = Progress(path), list[_Look](), time.monotonic() + _START_S + _END_S
    try:
        while True:
            path.check()
            stored = sum(progress.offsets().values())
            at = time.perf_counter()
            # Offsets include Ticks and markers, a few in a thousand; at the end, rows are counted.
            rows = progress.rows() if stored >= count else stored
            if rows:
                looks.append(_Look(at, rows, path.cpu_s(), path.resident_mb()))
            if rows >= count and stored >= count:
                return looks
            if time.monotonic() > deadline:
                raise RuntimeError(f"{rows} of {count} rows after {_START_S + _END_S:.0f} s: see {path.log}")
            time.sleep(_LOOK_S)
    finally:
        progress.close()


def _figures(looks: list[_Look], count: int) -> dict[str, Any]:
    first, last = looks[0], looks[-1]
    rows = last.rows - first.rows
    windows = [next(look for look in looks if look.rows >= count * n // WINDOWS) for n in range(1, WINDOWS + 1)]
    rates = [
        round((end.rows - start.rows) / (end.at - start.at))
        for start, end in zip([first, *windows], windows, strict=False)
        if end.at > start.at
    ]
    early = next(look for look in looks if look.rows >= min(EARLY, count))
    return {
        "per_s": round(rows / (last.at - first.at)),
        "mentions": count,
        "seconds": round(last.at - first.at, 1),
        "per_s_by_window": rates,
        "processes": {
            name: {
                "cpu_us": round((last.cpu[name] - first.cpu[name]) / rows * 1e6, 1),
                **(
                    {
                        "resident_mb_early": early.resident[name],
                        "resident_mb": last.resident[name],
                        "resident_mb_most": max(look.resident[name] for look in looks),
                    }
                    if name in last.resident
                    else {}
                ),
            }
            for name in last.cpu
        },
    }
