"""The operators of the demo: a thread that answers the offers of the desk, as the operators of the story would."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from kafka import TopicPartition

from netcenter.broker.log_writer import LogWriter
from netcenter.broker.reading import TopicFollower
from netcenter.demo.story import people
from netcenter.settings import Settings
from schemas import codec, ids
from schemas.records import OfferAnswered, Offered, Record
from streams.kafka_connection import KafkaConnection

_POLL_S = 0.02
_END_S = 10


class Operators:
    """Reads `assignments` and answers in `desk`. A context manager: at its end it raises the error of its thread, if
    there is one.
    """

    def __init__(self, settings: Settings, kafka: KafkaConnection, seed: int) -> None:
        """seed: the same seed gives the same answers."""
        self._settings, self._kafka, self._seed = settings, kafka, seed
        self._stop = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="operators", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_END_S)
        if error is None and self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            self._answer()
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failed = error

    def _answer(self) -> None:
        topic = self._settings.prefix + "assignments"
        tps = [TopicPartition(topic, n) for n in range(self._settings.partitions)]
        with TopicFollower(self._kafka, tps) as follower, LogWriter(self._settings, self._kafka, "operators") as log:
            while not self._stop.wait(_POLL_S):
                for raw in follower.new_records():
                    answer = answer_to(codec.decode(raw.value), self._seed)
                    if answer is not None:
                        log.send("desk", answer)


def answer_to(record: Record, seed: int) -> OfferAnswered | None:
    """The answer of an operator to an offer; None for any other record, and for an offer that nobody answers."""
    reaction = people.answer(record, seed) if isinstance(record, Offered) else None
    if reaction is None or not isinstance(record, Offered):
        return None
    said, delay = reaction
    return OfferAnswered(
        id=ids.make("answer", record.id, said),
        desk=record.desk,
        operator=record.operator,
        offer_id=record.id,
        answer=said,
        at=record.time + delay,
    )
