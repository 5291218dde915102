"""Checks for transactions that stay open: no role can read a partition beyond its first open transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import TopicPartition
from kafka.admin import TransactionState
from kafka.errors import KafkaError

from netcenter.broker.lag import RolePosition
from netcenter.operate.doctor.finding import Finding, duration_text, findings
from netcenter.operate.doctor.survey import Survey

LONG_MS = 15_000
"""A longer transaction is a fault: a worker's transaction lasts ten seconds at most."""


def open_for_long(survey: Survey) -> Iterator[Finding]:
    """Every partition that a transaction blocks for longer than a worker's transaction can last, with its producer."""
    yield from findings("transactions", _open_for_long(survey), "none holds a topic back")


def _open_for_long(survey: Survey) -> Iterator[str]:
    held_back = {p.name: p for p in survey.all_positions() if p.held_back}
    tps = {TopicPartition(survey.settings.prefix + p.topic, p.partition): p for p in held_back.values()}
    for tp, producers in survey.client.describe_producers(tps).items() if tps else ():
        opened = [p for p in producers.active_producers if p.current_transaction_start_offset >= 0]
        if not opened:
            continue
        oldest = min(opened, key=lambda p: p.current_transaction_start_offset)
        age = survey.now - oldest.last_timestamp
        if age > LONG_MS:
            yield _message(survey, tp, tps[tp], oldest, age)


def _message(survey: Survey, tp: TopicPartition, position: RolePosition, producer: Any, age: int) -> str:
    id, epoch = producer.producer_id, producer.producer_epoch
    begun = f"--topic {tp.topic} --partition {tp.partition}"
    name = _transactional_id(survey, id)
    who = (
        f"producer {name!r} (id {id})"
        if name is not None
        else f"a producer that its coordinator no longer knows (id {id})"
    )
    return (
        f"{who} has left a transaction open in {position.name} for {duration_text(age)}, and {position.held_back:,} records "
        f"behind it cannot be read: end that producer; then `kafka-transactions.sh --bootstrap-server {survey.kafka} abort "
        f"{begun} --start-offset {producer.current_transaction_start_offset}`, or `python -m kafka.admin -b {survey.kafka} "
        f"transactions abort {begun} --producer-id {id} --producer-epoch {epoch}`"
    )


def _transactional_id(survey: Survey, producer_id: int) -> str | None:
    """None where the coordinator does not know the producer, or the broker does not answer (before Kafka 3.0)."""
    try:
        found = survey.client.list_transactions(producer_id_filters=[producer_id])
    except KafkaError:
        return None
    names = [one.transactional_id for some in found.values() for one in some if one.state is TransactionState.ONGOING]
    return next(iter(names), None)
