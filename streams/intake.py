"""Decodes and validates the raw records of an input topic partition; invalid records become dead letters. Free of Kafka."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas import headers, requirements
from schemas.codec import WireError
from schemas.keys import KEYLESS
from schemas.records import Tick
from streams.core import Fact, SetAside
from streams.partitioner import partitions_of
from streams.topology import Topic

#: Bytes that an input topic record's key may have: what is decided from it repeats the key beside its value.
_LONGEST_KEY = 1024
#: Bytes of a traceparent that is handed on; one of W3C's has 55.
_LONGEST_TRACE = 128
_NOTHING = Tick(clock="event", time=0, role="", partition=0)


class Intake:
    """Reads one partition of an input topic as its role does."""

    def __init__(self, input_topic: Topic, number: int, partitions: int) -> None:
        self.input_topic, self.number, self.partitions = input_topic, number, partitions
        self._records = frozenset(input_topic.records)
        self._inputs = frozenset(input_topic.inputs)
        self.here: set[bytes] = set()
        """Keys of the records read last, known to belong on this partition."""

    def facts(self, records: Iterable[Any]) -> tuple[list[Fact], list[SetAside]]:
        """Facts in order, and what is none. Of a record are read offset, timestamp, key, value and headers."""
        facts: list[Fact] = []
        aside: list[SetAside] = []
        keys: list[bytes] = []
        decode, allowed, key_of = self.input_topic.wire.decode, self._records, self.input_topic.key
        inputs, fault = self._inputs, requirements.fault
        for r in records:
            value, sent = r.value, r.headers
            fact = Fact(r.offset, _NOTHING, r.timestamp, value, _trace(sent) if sent else None)
            try:
                record = fact.record = decode(value)
            except WireError as error:
                aside.append(SetAside(fact, "decode", "WireError", str(error)))
                continue
            kind = type(record)
            if kind not in allowed:
                aside.append(
                    SetAside(
                        fact, "decode", "WrongRecord", f"{kind.__name__} does not belong in {self.input_topic.name}"
                    )
                )
            elif kind in KEYLESS:
                facts.append(fact)
            elif kind in inputs and (wrong := fault(record)) is not None:
                aside.append(SetAside(fact, "validate", "InvalidRecord", f"{kind.__name__}.{wrong}"))
            else:
                key = key_of(record)
                if r.key != key:
                    why = f"the key disagrees with the {kind.__name__}'s fields"
                    aside.append(SetAside(fact, "key", "WrongKey", why))
                elif len(key) > _LONGEST_KEY:
                    why = f"a key of {len(key)} bytes, the limit is {_LONGEST_KEY}"
                    aside.append(SetAside(fact, "key", "LongKey", why))
                else:
                    facts.append(fact)
                    keys.append(key)
        homes = partitions_of(keys, self.partitions)
        self.here = set(keys)
        if homes.count(self.number) == len(homes):
            return facts, aside
        self.here = {key for key, home in zip(keys, homes, strict=True) if home == self.number}
        keyed = [fact for fact in facts if type(fact.record) not in KEYLESS]
        stray = {fact.offset: home for fact, home in zip(keyed, homes, strict=True) if home != self.number}
        for fact in facts:
            if fact.offset in stray:
                why = f"this key belongs on partition {stray[fact.offset]}: produce with murmur2 as Java does"
                aside.append(SetAside(fact, "partition", "WrongPartition", why))
        return [fact for fact in facts if fact.offset not in stray], aside


def _trace(found: Any) -> bytes | None:
    return next((value for name, value in found if name == headers.TRACE and len(value or b"") <= _LONGEST_TRACE), None)
