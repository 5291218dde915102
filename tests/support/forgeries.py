"""What somebody writes who has the right to write to a topic, and no key: records that control the system, with every kind of
wrong signature.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaProducer

from agents.policy import digest
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import FILES
from schemas import codec, ids
from schemas.headers import Headers
from schemas.keys import KEYLESS
from schemas.records import (
    Action,
    CrisisClosed,
    CrisisDeclared,
    CrisisOpened,
    OfferAnswered,
    OperatorChanged,
    PolicyChanged,
    Record,
    SourceIdle,
    Tick,
    Volume,
    WorkChanged,
)
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from streams.signatures import SIGNATURE, Signatures
from streams.signing_keys import KeyRing
from tests.support.any_record import example

AT = 1_795_176_000_000
FAR = 4_000_000_000_000
"""ms; in the year 2096."""


def key_files(folder: Path, *, id: str = "k1", seed: int = 1) -> dict[str, Path]:
    """New files of keys, one for each signer, by setting."""
    found = {}
    for n, (signer, setting) in enumerate(FILES.items()):
        found[setting] = folder / f"{signer}.{seed}.keys"
        found[setting].write_text(f"{id} {b64encode(bytes([seed + n]) * 32).decode()}\n")
    return found


def signatures(folder: Path, *, prefix: str = "", id: str = "k1", seed: int = 1, since: int | None = 0) -> Signatures:
    """Signatures with new keys, as a worker has them."""
    files = key_files(folder, id=id, seed=seed)
    return Signatures(prefix, {signer: KeyRing(str(files[setting])) for signer, setting in FILES.items()}, since)


class Forgery(NamedTuple):
    """The bytes of a record for a partition of a topic, which is named without the prefix."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: Headers


def records(brand: str, channel: str, author_id: str) -> dict[type[Record], Record]:
    """A record of each kind that needs a signature; each would change something if it were taken."""
    action = Action(
        id=ids.make("action", brand, channel, "a1"),
        brand=brand,
        channel=channel,
        author_id=author_id,
        action_id="a1",
        action="forget",
        created_at=AT,
        operator="somebody else",
    )
    crisis = CrisisDeclared(
        id=ids.make("crisis", brand, AT, "open"), brand=brand, change="open", by="nobody", reason="forged", at=AT
    )
    return {
        Tick: Tick(clock="event", time=FAR, role="clock", partition=0),
        PolicyChanged: PolicyChanged(version=99, hash=digest("no text"), applied_at=AT),
        SourceIdle: SourceIdle(role="classify", partition=0, silent_ms=1),
        Action: action,
        CrisisDeclared: crisis,
        **{
            kind: example(kind)
            for kind in (Volume, WorkChanged, CrisisOpened, CrisisClosed, OperatorChanged, OfferAnswered)
        },
    }


def headers_without_a_key(folder: Path) -> dict[str, Headers]:
    """What an attacker may put into the headers, by what it is. They know the form, and no key."""
    own = signatures(folder, seed=101).of(PIPELINE.topic("mentions"))
    _, value = own.header(next(iter(own.rings.values())), 0, None, b"value")
    return {
        "none": [],
        "cut off": [(SIGNATURE, value[:20])],
        "empty": [(SIGNATURE, b"")],
        "no text": [(SIGNATURE, b"\xff\x00")],
        "a key of their own": [(SIGNATURE, value)],
        "an id that is not known": [(SIGNATURE, value.replace(b"k1", b"k2"))],
        "another scheme": [(SIGNATURE, b"0" + value[1:])],
        "two": [(SIGNATURE, value), (SIGNATURE, value)],
    }


def forgeries(folder: Path, partitions: int, brand: str, channel: str, author_id: str) -> Iterator[Forgery]:
    """Every kind of record that needs a signature, in each topic that takes it, with each of these headers."""
    made = records(brand, channel, author_id)
    for topic in PIPELINE.topics:
        for kind in topic.signed:
            record = made[kind]
            key = None if kind in KEYLESS else topic.key(record)
            number = 0 if key is None else partition_of(key, partitions)
            for headers in headers_without_a_key(folder).values():
                yield Forgery(topic.name, number, key, codec.encode(record), headers)


@contextmanager
def attackers(
    as_user: Callable[[str], KafkaConnection], stolen: KafkaConnection
) -> Iterator[Callable[[str, Forgery], None]]:
    """Plain clients that may write to the topics into which others than roles write: gateways to `mentions`, counters of
    contacts to `volumes`; whoever writes to `desk` has stolen the right. Yields what writes a forgery under a prefix.
    """
    users = {"mentions": as_user("gateway"), "volumes": as_user("contacts"), "desk": stolen}
    producers = {topic: KafkaProducer(**kafka.for_kafka_python()) for topic, kafka in users.items()}
    sent: list[Any] = []

    def write(prefix: str, one: Forgery) -> None:
        topic, partition, key, value, headers = one
        sent.append(producers[topic].send(prefix + topic, partition=partition, key=key, value=value, headers=headers))

    try:
        yield write
        for producer in producers.values():
            producer.flush(60)
        for future in sent:
            future.get(0)
    finally:
        for producer in producers.values():
            producer.close(timeout=10)
