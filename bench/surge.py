"""Surge: cost of an update and bytes of each series, and ten thousand brands on one core."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from agents.classify.volumes import MinuteCounter
from agents.decider import Unusable
from agents.policy import Policy
from agents.policy.policy import ClassifierPolicy
from agents.policy.surge_policy import SurgePolicy
from agents.surge import SurgeDecider
from agents.surge.burst import Burst
from agents.surge.channel_silence import ChannelActivity
from agents.surge.conversations import Conversations
from agents.surge.load import Load
from agents.surge.tally import Joined
from bench.surge_data import BIN, MINUTE, START, volume
from netcenter.pipeline import PIPELINE
from schemas import ids
from schemas.records import AuthorCount, ClassifiedMention, Mention, PolicyChanged, Record, Tick, Volume
from streams.core import Fact
from streams.fold import FoldCore

BRANDS, MINUTES = 10_000, 15
"""Number of brands in the part `role`, each with a Volume in every minute."""
_STEPS = 20_000
_RULE = SurgePolicy()


def measure() -> dict[str, Any]:
    """Measure microseconds an update and changelog bytes of each series, then the role over ten thousand brands."""
    counts = np.random.default_rng(1).poisson(20, _STEPS).tolist()
    burst, load, channel, talks = Burst.new(), Load.new(START), ChannelActivity(START, START), Conversations()

    def bursts() -> None:
        nonlocal burst
        for n, count in enumerate(counts):
            burst = burst.step(float(count), n * BIN, _RULE)

    def loads() -> None:
        nonlocal load
        for count in counts:
            load = load.step(float(count), _RULE)

    def channels() -> None:
        nonlocal channel
        for n, count in enumerate(counts):
            channel = channel.step(
                count, START + n * BIN, _RULE.silent, pace=1.0, usually=1.0, partial=False, in_surge=False
            )

    def conversations() -> None:
        nonlocal talks
        for n in range(_STEPS // 40):
            joined = {f"r{n // 20}.{i}": Joined(1, 0, "twitter", None) for i in range(40)}
            talks = talks.step(joined, _RULE)

    return {
        "burst": {"us": _us(bursts, _STEPS), "bytes": _bytes(burst)},
        "load": {"us": _us(loads, _STEPS), "bytes": _bytes(load)},
        "channel": {"us": _us(channels, _STEPS), "bytes": _bytes(channel)},
        "conversation": {"us": _us(conversations, _STEPS), "bytes": round(_bytes(talks) / len(talks.known))},
        "counting_in_classify": {"us": _us(_counting(), 100_000)},
        "role": _role(),
    }


def _us(run: Callable[[], None], steps: int) -> float:
    gc.collect()
    started = time.process_time()
    run()
    return round((time.process_time() - started) / steps * 1e6, 2)


def _bytes(record: Any) -> int:
    return len(msgspec.msgpack.encode(record))


def _counting() -> Callable[[], None]:
    """Measure the counting of 100,000 labelled posts, as the role classify does it."""
    posts = []
    for n in range(1_000):
        post = Mention(
            id=ids.mention("andina", "twitter", str(n)), brand="andina", channel="twitter", author_id=f"u{n}",
            native_id=str(n), created_at=START, text="", conversation_id=f"c{n % 50}",
        )  # fmt: skip
        posts.append(
            ClassifiedMention(
                label="other", confidence=0.9, uncertain=False, classified_lang="es", own=False, probabilities=[], model="",
                policy=1, mention=post,
            )
        )  # fmt: skip
    minute = MinuteCounter(0, START)

    def run() -> None:
        for offset in range(100_000):
            minute.add(posts[offset % 1_000], offset)

    return run


def _volume(brand: str, minute: int, posts: int) -> Volume:
    """A Volume of a minute in which each post has an author of its own."""
    names = [f"{minute // MINUTE}.{n}" for n in range(posts)]
    return msgspec.structs.replace(
        volume(brand, minute, {"other": posts}),
        author_sample=sorted(crc32(name.encode()) for name in names),
        busiest=[AuthorCount(author_id=name, channel="twitter", posts=1, complaints=0, contacts=0) for name in names],
    )


def _role() -> dict[str, Any]:
    """Run the role over a quarter of an hour of ten thousand brands, with timers and events but without Kafka."""
    policy = Policy(version=1, classifier=ClassifierPolicy(model="0" * 64))
    role = PIPELINE.role("surge")
    core = FoldCore(PIPELINE, role, 0, 1, lambda version, hash: policy, SurgeDecider(), encodes=True)
    core.in_force(PolicyChanged(version=1, hash="", applied_at=0))
    writers = sorted(core.watermark.expected)
    core.take([Fact(n, Tick(clock="event", time=START, role=w, partition=p)) for n, (w, p) in enumerate(writers)])
    random = np.random.default_rng(1)
    posts = random.poisson(3, (MINUTES, BRANDS))
    offset, spent, committed = len(writers), 0.0, 0
    for m in range(MINUTES):
        at = START + m * MINUTE
        facts: list[Record] = [_volume(f"b{n}", at, int(count)) for n, count in enumerate(posts[m]) if count]
        ticks = [Tick(clock="event", time=at + MINUTE, role=writer, partition=number) for writer, number in writers]
        started = time.process_time()
        for result in core.take([Fact(offset + n, fact) for n, fact in enumerate([*facts, *ticks])]).results:
            if type(result).__name__ == "DeadLetter":
                raise Unusable(str(result))
        committed += sum(len(packed or b"") for _, packed in core.packed())
        core.committed()
        spent += time.process_time() - started
        offset += len(facts) + len(ticks)
    return {
        "brands": BRANDS,
        "us_a_brand_and_minute": round(spent / BRANDS / MINUTES * 1e6, 1),
        "share_of_a_core": round(spent / (MINUTES * 60), 4),
        "state_bytes_a_brand": round(sum(map(len, core.state._packed.values())) / BRANDS),
        "changelog_bytes_a_s": round(committed / (MINUTES * 60)),
    }
