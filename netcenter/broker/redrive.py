"""Putting dead letters back, or discarding them: the record and the mark on its letter are one Kafka transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from netcenter.broker.dead_letters import Letter, Mark, letters
from netcenter.broker.topics import admin, as_in_log
from netcenter.errors import CommandError, Unreachable, UsageError
from netcenter.settings import Settings
from schemas.dead_letters import DEAD_LETTER, ORIGIN, STATE
from streams.partitioner import partition_of

#: Letters of one transaction: a crash leaves whole ones behind, and none of them half.
_AT_ONCE = 500
_TIMEOUT_MS = 10_000
_FENCED = (ProducerFencedError, InvalidProducerEpochError)


@dataclass(frozen=True)
class Settled:
    """What was done."""

    done: int = 0
    """Letters put back or discarded now."""
    stay: tuple[Letter, ...] = ()
    """Those that wait still, for they cannot be put back."""


def put_back(settings: Settings, kafka: str, ids: Collection[str] | None, topic: str | None) -> Settled:
    """Send the records of letters to the topics where their producers wrote them, each on its key's own partition, once.

    ids: of letters; None: every one that waits (of `topic`) and can be put back. A record that was handled meanwhile is
    dropped by its id. Raises UsageError for an id that is not there, was settled before or cannot be put back, before
    anything is done; CommandError where somebody else began to settle letters meanwhile.
    """
    return _settle(settings, kafka, "put back", ids, topic)


def discard(settings: Settings, kafka: str, ids: Collection[str] | None, topic: str | None) -> Settled:
    """Mark letters as discarded: they stay in the log and wait no more. As `put_back`."""
    return _settle(settings, kafka, "discarded", ids, topic)


def _settle(settings: Settings, kafka: str, mark: Mark, ids: Collection[str] | None, topic: str | None) -> Settled:
    with closing(admin(kafka)) as client:
        partitions = as_in_log(settings, client).partitions
    with _alone(settings, kafka) as producer:
        # Read only now: nobody else can settle one that waits here.
        chosen, stay = _chosen(letters(settings, kafka), mark, ids, topic)
        sent: set[str] = set()
        for first in range(0, len(chosen), _AT_ONCE):
            producer.begin_transaction()
            futures = []
            for letter in chosen[first : first + _AT_ONCE]:
                if mark == "put back" and letter.origin not in sent:
                    sent.add(letter.origin)
                    futures.append(_send_back(producer, settings, letter, partitions))
                futures.append(_mark(producer, settings, letter, mark))
            producer.flush(_TIMEOUT_MS / 1000)
            for future in futures:
                future.get(0)
            producer.commit_transaction()
    return Settled(len(chosen), tuple(stay))


def _chosen(
    found: Iterator[Letter], mark: Mark, ids: Collection[str] | None, topic: str | None
) -> tuple[list[Letter], list[Letter]]:
    """Those to settle, and those of `all` that cannot be put back. Raises UsageError."""
    chosen, stay, missing = list[Letter](), list[Letter](), set(ids or ())
    for letter in found:
        if (topic is not None and letter.topic != topic) or (ids is not None and letter.id not in ids):
            continue
        missing.discard(letter.id)
        why = letter.stays() if mark == "put back" else None
        if letter.state != "waiting":
            if ids is not None:
                raise UsageError(f"{letter.id} does not wait: {told_state(letter)}")
        elif why is None:
            chosen.append(letter)
        elif ids is None:
            stay.append(letter)
        else:
            raise UsageError(f"{letter.id} cannot be put back: {why}")
    if missing:
        raise UsageError(f"there is no dead letter {min(missing)}: see `netcenter dead list`")
    return chosen, stay


def told_state(letter: Letter) -> str:
    """Its state for people."""
    return f"failed again, as {letter.came_back}" if letter.came_back else letter.state


@contextmanager
def _alone(settings: Settings, kafka: str) -> Iterator[KafkaProducer]:
    """A producer that ends whoever has it already: two who settle letters at once would put one back twice."""
    try:
        producer = KafkaProducer(
            bootstrap_servers=kafka.split(","),
            transactional_id=f"{settings.prefix}dead-letters",
            transaction_timeout_ms=_TIMEOUT_MS,
            bootstrap_timeout_ms=5_000,
            max_request_size=4 << 20,
        )
    except (KafkaError, ValueError) as error:
        raise Unreachable(f"Kafka at {kafka} cannot be reached ({type(error).__name__}): see `netcenter up`") from None
    try:
        producer.init_transactions()
        yield producer
    except KafkaError as error:
        raise CommandError(_why(error)) from None
    finally:
        # A transaction that was begun and not committed ends with its time, or with the next of our name.
        producer.close(timeout=5)


def _why(error: KafkaError) -> str:
    if any(isinstance(one, _FENCED) for one in (error, *error.args)):
        return (
            "another `dead replay` or `dead discard` began meanwhile, and what this one had not finished is undone: see "
            "`netcenter dead list`, then run it again"
        )
    return f"letters cannot be settled: {type(error).__name__}: {error}; see `netcenter dead list` for what was done"


def _send_back(producer: KafkaProducer, settings: Settings, letter: Letter, partitions: int) -> Any:
    return producer.send(
        settings.prefix + letter.topic,
        key=letter.key,
        value=letter.value,
        partition=letter.partition if letter.key is None else partition_of(letter.key, partitions),
        headers=[
            # This client writes no null.
            *((name, value or b"") for name, value in letter.headers if name != DEAD_LETTER),
            (DEAD_LETTER, letter.id.encode()),
        ],
    )


def _mark(producer: KafkaProducer, settings: Settings, letter: Letter, mark: Mark) -> Any:
    name, number, _ = letter.id.rsplit("/", 2)
    return producer.send(
        settings.prefix + name,
        # A key: where somebody compacts the topic, a mark is not dropped.
        key=letter.id.encode(),
        value=b"",
        partition=int(number),
        headers=[
            (DEAD_LETTER, letter.id.encode()),
            (STATE, mark.encode()),
            (ORIGIN, letter.origin.encode()),
        ],
    )
