"""Checks a program's output: each author's counts have no gap, under the author's key, on that key's partition."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

from schemas import codec
from schemas.records import CaseChanged
from streams.partitioner import partition_of

SAMPLED = 500
"""The number of authors whose counts are checked."""
RIGHT = "right"
Counts = Callable[[bytes], tuple[str, int]]
"""Returns (key, count) of a written record."""


def in_json(value: bytes) -> tuple[str, int]:
    """Return (key, count) of a JSON record, as all peers write it."""
    post = json.loads(value)
    return post["author"], post["count"]


def in_avro(value: bytes) -> tuple[str, int]:
    """Return (key, count) of an Avro record, as Netcenter writes it."""
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
    """Return `right`, or the number of wrong records by kind.

    written: (partition, key, value, offset), each partition's in order. sent: mentions by author.
    whole: whether all mentions must have been counted.
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
