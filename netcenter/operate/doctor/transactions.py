"""Transactions that nobody ends: behind the first of them a partition cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import TopicPartition
from kafka.admin import TransactionState
from kafka.errors import KafkaError

from netcenter.broker.lag import Place
from netcenter.operate.doctor.finding import Finding, Survey, span

LONG_MS = 15_000
"""A worker's own last ten seconds at most."""


def open_for_long(survey: Survey) -> Iterator[Finding]:
    """Each that holds a partition back for longer than ours can, with the producer that began it."""
    held = {p.name: p for places in survey.places.values() for p in places if p.held}
    tps = {TopicPartition(survey.settings.prefix + p.topic, p.partition): p for p in held.values()}
    found = survey.client.describe_producers(tps) if tps else {}
    wrong = False
    for tp, producers in found.items():
        opened = [p for p in producers.active_producers if p.current_transaction_start_offset >= 0]
        if not opened:
            continue
        oldest = min(opened, key=lambda p: p.current_transaction_start_offset)
        age = survey.now - oldest.last_timestamp
        if age > LONG_MS:
            wrong = True
            yield Finding("transactions", False, _says(survey, tp, tps[tp], oldest, age))
    if not wrong:
        yield Finding("transactions", True, "none holds a topic back")


def _says(survey: Survey, tp: TopicPartition, place: Place, producer: Any, age: int) -> str:
    id, epoch = producer.producer_id, producer.producer_epoch
    begun = f"--topic {tp.topic} --partition {tp.partition}"
    name = _name(survey, id)
    who = (
        f"producer {name!r} (id {id})"
        if name is not None
        else f"a producer that its coordinator no longer knows (id {id})"
    )
    return (
        f"{who} has left a transaction open in {place.name} for {span(age)}, and {place.held:,} records behind it cannot be "
        f"read: end that producer; then `kafka-transactions.sh --bootstrap-server {survey.kafka} abort {begun} --start-offset "
        f"{producer.current_transaction_start_offset}`, or `python -m kafka.admin -b {survey.kafka} transactions abort {begun} "
        f"--producer-id {id} --producer-epoch {epoch}`"
    )


def _name(survey: Survey, producer_id: int) -> str | None:
    """Its transactional id."""
    try:
        found = survey.client.list_transactions(producer_id_filters=[producer_id])
    except KafkaError:
        return None  # a broker before 3.0, or one that may not be asked
    names = [one.transactional_id for some in found.values() for one in some if one.state is TransactionState.ONGOING]
    return next(iter(names), None)
