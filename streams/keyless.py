"""A worker without keys: whether its log is signed, so that others would refuse what it writes."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from streams.signatures import SIGNATURE

#: The newest offsets of each partition that are looked at; some are markers of transactions.
_LOOKED_AT = 200


async def signed_record(reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> str | None:
    """`topic/partition/offset` of a signed record among the newest of these partitions; None where there is none.

    A topic that this user may not read is left out: a role has the right to write there only.
    """
    for topic, tps in _by_topic(partitions).items():
        try:
            found = await _signed(reader, tps)
        except TopicAuthorizationFailedError:
            continue
        if found is not None:
            return f"{topic}/{found}"
    return None


def _by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[TopicPartition]]:
    found: dict[str, list[TopicPartition]] = {}
    for tp in partitions:
        found.setdefault(tp.topic, []).append(tp)
    return found


async def _signed(reader: AIOKafkaConsumer, tps: list[TopicPartition]) -> str | None:
    """`partition/offset` of a signed record."""
    reader.assign(tps)
    first, ends = await reader.beginning_offsets(tps), await reader.end_offsets(tps)
    for tp in tps:
        reader.seek(tp, max(first[tp], ends[tp] - _LOOKED_AT))
    while any([await reader.position(tp) < ends[tp] for tp in tps]):
        for tp, records in (await reader.getmany(timeout_ms=100)).items():
            for r in records:
                if any(name == SIGNATURE for name, _ in r.headers):
                    return f"{tp.partition}/{r.offset}"
    return None
