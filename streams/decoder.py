"""Decodes and validates the raw records of an input partition; invalid records become dead letters. It works without
Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas import headers, requirements
from schemas.codec import NewerRecord, WireError
from schemas.keys import KEYLESS
from schemas.records import Record, Tick
from streams.core import DeadLetter, Fact
from streams.errors import Misconfigured
from streams.partitioner import partitions_of
from streams.received_batches import Withheld
from streams.signatures import STAGE, SignatureCheck
from streams.topology import Topic

#: The most bytes of a record's key, because every decided record repeats its fact's key.
_LONGEST_KEY = 1024
#: The most bytes of a traceparent that is passed on; the W3C form has 55.
_LONGEST_TRACE = 128
_NOTHING = Tick(clock="event", time=0, role="", partition=0)


class Decoder:
    """Decodes the records of one partition of an input topic, in a worker and in a replay alike."""

    def __init__(self, input_topic: Topic, number: int, partitions: int, signatures: SignatureCheck) -> None:
        """partitions: how many partitions the topic has."""
        self.input_topic, self.number, self.partitions = input_topic, number, partitions
        self._records = frozenset((*input_topic.records, *input_topic.earlier))
        self._inputs = frozenset(input_topic.inputs)
        self._check = signatures.of(input_topic)
        self.here: set[bytes] = set()
        """Keys of the last batch of decoded records; all of them belong to this partition."""

    def facts(self, records: Iterable[Any]) -> tuple[list[Fact], list[DeadLetter]]:
        """Returns the valid records in order, and the dead letters. Reads offset, timestamp, key, value and headers of a record.

        Raises Misconfigured for a record of a newer release in a topic into which only roles write: it is sound, and the
        role can decide on it once it is upgraded. In other topics such a record is a dead letter.
        """
        facts: list[Fact] = []
        dead: list[DeadLetter] = []
        keys: list[bytes] = []
        decode, allowed, key_of = self.input_topic.wire.decode, self._records, self.input_topic.key
        inputs, fault = self._inputs, requirements.fault
        signed, forged = self._check.kinds, self._check.fault
        for r in records:
            value, sent = r.value, r.headers
            fact = Fact(r.offset, _NOTHING, r.timestamp, value, _trace(sent) if sent else None)
            try:
                record = fact.record = decode(value)
            except WireError as error:
                if isinstance(error, NewerRecord) and not inputs:
                    raise Misconfigured(newer_record(self.input_topic.name, self.number, r.offset, error)) from None
                dead.append(_unread(fact, error))
                continue
            kind = type(record)
            if kind not in allowed:
                dead.append(
                    DeadLetter(
                        fact, "decode", "WrongRecord", f"{kind.__name__} does not belong in {self.input_topic.name}"
                    )
                )
            elif kind in signed and (refused := forged(kind, self.number, r)) is not None:
                dead.append(DeadLetter(fact, STAGE, *refused))
            elif kind in KEYLESS:
                facts.append(fact)
            elif kind in inputs and (wrong := fault(record)) is not None:
                dead.append(DeadLetter(fact, "validate", "InvalidRecord", f"{kind.__name__}.{wrong}"))
            else:
                key = key_of(record)
                if r.key != key and self._is_of_earlier_release(r.key, record):
                    facts.append(fact)
                    keys.append(r.key)
                elif r.key != key or len(key) > _LONGEST_KEY:
                    dead.append(_wrong_key(fact, r.key, key))
                else:
                    facts.append(fact)
                    keys.append(key)
        homes = partitions_of(keys, self.partitions)
        self.here = set(keys)
        if homes.count(self.number) == len(homes):
            return facts, dead
        return self._without_strays(facts, dead, keys, homes)

    def _is_of_earlier_release(self, key: bytes | None, record: Record) -> bool:
        """Whether a role of an earlier release wrote a record, with the key that it has there. From outside only today's key is taken."""
        earlier = self.input_topic.earlier_key
        return earlier is not None and type(record) not in self.input_topic.inputs and key == earlier(record)

    def _without_strays(
        self, facts: list[Fact], dead: list[DeadLetter], keys: list[bytes], homes: list[int]
    ) -> tuple[list[Fact], list[DeadLetter]]:
        """Moves facts whose key belongs to another partition to the dead letters."""
        self.here = {key for key, home in zip(keys, homes, strict=True) if home == self.number}
        keyed = [fact for fact in facts if type(fact.record) not in KEYLESS]
        stray = {fact.offset: home for fact, home in zip(keyed, homes, strict=True) if home != self.number}
        for fact in facts:
            if fact.offset in stray:
                why = f"this key belongs on partition {stray[fact.offset]}: produce with murmur2 as Java does"
                dead.append(DeadLetter(fact, "partition", "WrongPartition", why))
        return [fact for fact in facts if fact.offset not in stray], dead


def _unread(fact: Fact, error: WireError) -> DeadLetter:
    if isinstance(fact.value, Withheld):
        return DeadLetter(fact, "decode", Withheld.__name__, fact.value.why)
    return DeadLetter(fact, "decode", type(error).__name__, str(error))


def _wrong_key(fact: Fact, given: bytes | None, key: bytes) -> DeadLetter:
    """given: the record's own key. key: as its fields make it."""
    if given != key:
        why = f"the key disagrees with the {type(fact.record).__name__}'s fields"
        return DeadLetter(fact, "key", "WrongKey", why)
    return DeadLetter(fact, "key", "LongKey", f"a key of {len(key)} bytes, the limit is {_LONGEST_KEY}")


def newer_record(topic: str, partition: int, offset: int, error: NewerRecord) -> str:
    """One line about a record that only a newer release can read, with what to do."""
    return (
        f"{topic}/{partition} has at offset {offset} a record that this release cannot read: {error}; nothing is lost: "
        "start the newer release of this role, then it goes on from here (docs/upgrade.md)"
    )


def _trace(found: Any) -> bytes | None:
    return next((value for name, value in found if name == headers.TRACE and len(value or b"") <= _LONGEST_TRACE), None)
