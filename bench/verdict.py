"""Whether what a program wrote is right: each author's counts without a gap, under his key, on his key's partition."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

from schemas import codec
from schemas.records import CaseChanged
from streams.partitioner import partition_of

SAMPLED = 500
"""Authors whose counts are checked."""
RIGHT = "right"
Counts = Callable[[bytes], tuple[str, int]]
"""(key, count) in a written record."""


def in_json(value: bytes) -> tuple[str, int]:
    """As all peers write it."""
    post = json.loads(value)
    return post["author"], post["count"]


def in_avro(value: bytes) -> tuple[str, int]:
    """As Netcenter's own records hold it."""
    event = codec.decode(value)
    if not isinstance(event, CaseChanged):
        raise TypeError(f"{type(event).__name__} is no count")
    return event.aggregate, event.seq


def verdict(
    written: Iterable[tuple[int, bytes | None, bytes | None, int]],
    counts: Counts,
    sent: Counter[str],
    partitions: int,
    *,
    whole: bool,
) -> str:
    """`right`, or how many records are wrong in which way.

    written: (partition, key, value, offset), each partition's in order. sent: mentions by author.
    whole: all of them must have come out.
    """
    sampled = {author.encode(): author for author in sorted(sent)[:SAMPLED]}
    last: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for partition, key, value, _ in written:
        if key not in sampled or value is None:
            continue
        author, count = counts(value)
        faults["count"] += count != last[author] + 1
        faults["key"] += author != sampled[key]
        faults["partition"] += partition_of(key, partitions) != partition
        last[author] = count
    if not last:
        return "WRONG: nothing of the sampled authors"
    if whole:
        faults["end"] = sum(last[author] != sent[author] for author in sampled.values())
    wrong = [f"{n} by {fault}" for fault, n in faults.items() if n]
    return "WRONG: " + ", ".join(wrong) if wrong else RIGHT
