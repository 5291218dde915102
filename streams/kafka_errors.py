"""Translates the errors of a Kafka client into the errors of `errors.py`, which say what must happen next."""

from __future__ import annotations

import asyncio

from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    ProducerFenced,
    RecordListTooLargeError,
    RequestTimedOutError,
    UnknownProducerId,
)

from streams.errors import Fenced, Stop, Unavailable
from streams.missing_rights import is_refusal

REFUSALS = (KafkaError, ConnectionError, IllegalOperation, AssertionError)
"""The errors of aiokafka when a transaction cannot go on. It raises the last two when the transaction had failed
before.
"""
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


def translate(error: BaseException, doing: str) -> Exception:
    """The error in `errors.py` that says what must happen next: Fenced, Unavailable or Stop. `doing` says what failed,
    and where.
    """
    if type(error) is KafkaError and isinstance(error.__cause__, KafkaError):
        error = error.__cause__  # "Unexpected error during batch delivery" and similar errors say less than their cause
    if isinstance(error, (ProducerFenced, InvalidProducerEpoch)):
        return Fenced(f"{doing}: another worker owns it now ({type(error).__name__})")
    if isinstance(error, (InvalidProducerIdMapping, UnknownProducerId)):
        return Unavailable(
            f"{doing}: Kafka has forgotten this transactional id, as it does after transactional.id.expiration.ms without "
            f"a write ({type(error).__name__}): nothing is lost, starting over"
        )
    if is_refusal(error):
        refused = Stop(f"{doing}: Kafka refuses it")
        refused.__cause__ = error  # the worker says who lacks which right
        return refused
    if isinstance(error, TOO_LARGE):
        return Stop(f"{doing}: too large for the topic: raise its max.message.bytes ({type(error).__name__})")
    if isinstance(
        error, (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, ConnectionError, asyncio.TimeoutError)
    ):
        return Unavailable(f"{doing}: Kafka does not answer ({type(error).__name__})")
    if isinstance(error, KafkaError) and getattr(error, "retriable", False):
        return Unavailable(f"{doing}: {type(error).__name__}")
    return Stop(f"{doing}: {type(error).__name__}: {error}")
