"""Opens the clients of kafka-python: the one place where an admin client, a producer and a consumer are constructed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from netcenter.errors import Unreachable
from streams import command_batches
from streams.kafka_connection import KafkaConnection
from streams.missing_rights import missing_right

#: The time in ms for which a command waits for the first answer of Kafka.
_FIRST_ANSWER_MS = 5_000
_LARGEST_REQUEST = 4 << 20
_CLOSE_S = 5
#: ms after which the broker aborts a transaction that its producer has left open.
TRANSACTION_TIMEOUT_MS = 10_000
#: The most ms for which the broker may delay a fetch to wait for more bytes. At the end of the log there are no more
#: bytes, and a longer wait would delay the reading of the next range.
FETCH_WAIT_MS = 50


def open_admin(kafka: KafkaConnection) -> KafkaAdminClient:
    """An admin client. Raises Unreachable."""
    with _opening(kafka) as connections:
        return KafkaAdminClient(
            **kafka.for_kafka_python(),
            kafka_client=connections,
            request_timeout_ms=10_000,
            bootstrap_timeout_ms=_FIRST_ANSWER_MS,
        )


def open_producer(
    kafka: KafkaConnection, transactional_id: str | None = None, *, transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS
) -> KafkaProducer:
    """An idempotent producer that waits for all replicas. Raises Unreachable.

    transactional_id: makes the producer transactional; a second producer of the same id fences the first one.
    """
    with _opening(kafka) as connections:
        return KafkaProducer(
            **kafka.for_kafka_python(),
            kafka_client=connections,
            acks="all",
            bootstrap_timeout_ms=_FIRST_ANSWER_MS,
            enable_idempotence=True,
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms,
            max_request_size=_LARGEST_REQUEST,
            linger_ms=5,
        )


def close_producer(producer: KafkaProducer) -> None:
    """Close a producer. What Kafka has not taken after some seconds is given up: whoever must know has flushed before."""
    try:
        producer.close(timeout=_CLOSE_S)
    except KafkaTimeoutError:
        producer.flush = lambda timeout=None: None  # its close flushes first, and would fail again when it is deleted
        producer.close(timeout=0)


def open_consumer(kafka: KafkaConnection, fetch_bytes: int = 4 << 20, reset: str = "earliest") -> KafkaConsumer:
    """A consumer without a group, which reads the records of committed transactions only. Raises Unreachable.

    fetch_bytes: the most bytes of a partition in one fetch. reset: where retention has deleted the next record,
    `earliest` goes on with the records that are left and `none` raises OffsetOutOfRangeError.
    """
    command_batches.install()
    with _opening(kafka) as connections:
        return KafkaConsumer(
            **kafka.for_kafka_python(),
            kafka_client=connections,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset=reset,
            max_partition_fetch_bytes=fetch_bytes,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )


@contextmanager
def _opening(kafka: KafkaConnection) -> Iterator[Callable[..., KafkaNetClient]]:
    """Gives the client that is made in this context its connections. Where that fails, closes them and raises Unreachable:
    kafka-python would leave them to the garbage collection, and an admin client would leave its thread for good.
    """
    made: list[KafkaNetClient] = []

    def connections(**config: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**config))
        return made[-1]

    try:
        yield connections
    except (KafkaError, ValueError) as error:
        for client in made:
            client.close()
        raise _unreachable(kafka, error) from None


def _unreachable(kafka: KafkaConnection, error: Exception) -> Unreachable:
    from streams.kafka_diagnosis import diagnose  # here, because it imports aiokafka, which commands do without

    why = missing_right(error, kafka.security) or diagnose(kafka)
    if why is not None:
        return Unreachable(f"Kafka cannot be used: {why}")
    return Unreachable(f"Kafka at {kafka} cannot be used ({type(error).__name__}), though it answers: try again")
