"""Whether a transaction whose commit has failed holds after all: the log says so, where the producer cannot know."""

from __future__ import annotations

import time

from kafka import TopicPartition
from kafka.errors import KafkaError

from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.errors import CommandError
from streams.kafka_connection import KafkaConnection

#: Seconds between two questions.
_POLL_S = 0.2


def committed(kafka: KafkaConnection, tp: TopicPartition, offset: int, seconds: float) -> bool | None:
    """Whether a record of a transaction is committed. None where the log does not say: the transaction is still open after
    these seconds, or Kafka does not answer. This user may read the topic.

    A broker that has committed a transaction may not be able to say so: the connection breaks, and what the client's next
    try is told depends on what came between. So an error of the commit, also that the producer was fenced, says nothing.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if committed_ranges_at(kafka, [tp])[tp][1] > offset:
                return any(record.offset == offset for record in records_of(kafka, {tp: (offset, offset + 1)}))
        except (CommandError, KafkaError):
            return None
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_S)
