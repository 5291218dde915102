"""Microseconds of each stage of the work on one mention, measured in process: the best of several rounds."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder
from fastavro import schemaless_reader, schemaless_writer

from agents.classify.model import Model
from bench.classifier import loaded
from bench.counting import Counted, Json, Post
from bench.whole_path import mentions
from schemas import codec, headers, ids
from schemas.keys import customer
from schemas.records import ClassifiedMention, Mention
from streams.partitioner import murmur2_of, partition_of

ITEMS = 5_000
ROUNDS = 7
_BATCH = 500
_FRAME = 5
_PARTITIONS = 8


def measure() -> dict[str, float]:
    """Return microseconds a mention by stage."""
    posts = list(mentions(ITEMS))
    model = loaded()
    found = model.classify([post.text for post in posts], [post.lang for post in posts], [post.brand for post in posts])
    classified = [
        ClassifiedMention(
            label=answer.label,  # type: ignore[arg-type]
            confidence=answer.confidence,
            uncertain=False,
            classified_lang=answer.lang,  # type: ignore[arg-type]
            own=False,
            probabilities=list(answer.probabilities),
            model=model.hash[:16],
            policy=1,
            mention=post,
        )
        for post, answer in zip(posts, found, strict=True)
    ]
    return {
        **_avro("Mention", posts),
        **_avro("ClassifiedMention", classified),
        "ClassifiedMention, encode around the Mention's own bytes": _spliced(classified),
        f"classify, in batches of {_BATCH}": _best(lambda: _in_batches(model, posts), ITEMS),
        **_small(posts),
        **_json(),
    }


def _best(work: Callable[[], Any], items: int) -> float:
    """Return microseconds an item in the fastest round."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - began)
    return round(least / items * 1e6, 2)


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> float:
    def through() -> None:
        for item in items:
            work(item)

    return _best(through, len(items))


def _avro(name: str, records: Sequence[Mention] | Sequence[ClassifiedMention]) -> dict[str, float]:
    schema = codec.layout_of(type(records[0])).schema
    values = [codec.encode(record) for record in records]
    plain = [codec.plain(record) for record in records]

    def write(record: Any) -> None:
        schemaless_writer(io.BytesIO(), schema, record)

    def read(value: bytes) -> None:
        schemaless_reader(io.BytesIO(value[_FRAME:]), schema, None)

    return {
        f"{name}, decode": _each(codec.decode, values),
        f"{name}, decode by fastavro to a dict": _each(read, values),
        f"{name}, encode": _each(codec.encode, records),
        f"{name}, encode by fastavro from a dict": _each(write, plain),
    }


def _spliced(classified: Sequence[ClassifiedMention]) -> float:
    values = [(record, codec.encode(record.mention)) for record in classified]

    def splice(pair: tuple[ClassifiedMention, bytes]) -> None:
        record, value = pair
        mention = codec.verbatim(value, Mention)
        if mention is None:  # the bytes of a number may look like the bytes of a lone surrogate
            codec.encode(record)
        else:
            codec.encode_classified(record, mention)

    return _each(splice, values)


def _in_batches(model: Model, posts: Sequence[Mention]) -> None:
    for start in range(0, len(posts), _BATCH):
        part = posts[start : start + _BATCH]
        model.classify([post.text for post in part], [post.lang for post in part], [post.brand for post in part])


def _small(posts: Sequence[Mention]) -> dict[str, float]:
    keys = [customer(post) for post in posts]
    values = [codec.encode(post) for post in posts]
    head = headers.of(posts[0], "classify", posts[0].created_at, b"mentions/0/1", None)

    def append(head: headers.Headers) -> None:
        batch = BatchBuilder(64 << 20, 0, is_transactional=True)
        for key, value in zip(keys, values, strict=True):
            batch.append(timestamp=0, key=key, value=value, headers=head)
        batch.close()

    return {
        "id of a mention (UUIDv5)": _each(lambda post: ids.mention(post.brand, post.channel, post.native_id), posts),
        "headers of a record": _each(
            lambda post: headers.of(post, "classify", post.created_at, b"mentions/0/1", None), posts
        ),
        "append to a Kafka batch": _best(lambda: append([]), len(posts)),
        "append to a Kafka batch with headers": _best(lambda: append(head), len(posts)),
        f"partitions of keys not seen before, in batches of {_BATCH}": _best(
            lambda: [murmur2_of(keys[start : start + _BATCH]) for start in range(0, len(keys), _BATCH)], len(keys)
        ),
        "partition_of a key not seen before": _each(lambda key: partition_of.__wrapped__(key, _PARTITIONS), keys),
        "partition_of a key seen before": _each(lambda key: partition_of(key, _PARTITIONS), keys),
    }


def _json() -> dict[str, float]:
    wire = Json()
    posts = [
        Post(
            id=n,
            author=f"u{n % 1000}",
            text="my flight was cancelled and nobody answers me",
            created_at=n,
            channel="twitter",
        )
        for n in range(ITEMS)
    ]
    counted = [Counted(post=post, count=n) for n, post in enumerate(posts)]
    values = [wire.encode(record) for record in counted]
    return {
        "JSON of the peers' job, decode": _each(wire.decode, values),
        "JSON of the peers' job, encode": _each(wire.encode, counted),
    }
