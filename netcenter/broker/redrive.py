"""Redrives dead letters, or discards them: the record and the mark on its dead letter are in one Kafka transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass

from netcenter.broker.client import open_admin
from netcenter.broker.sole_producer import Overtaken, RawRecord, SoleProducer
from netcenter.broker.stored_dead_letters import Mark, StoredDeadLetter, read_dead_letters
from netcenter.broker.topics import settings_of_log
from netcenter.errors import UsageError
from netcenter.settings import Settings
from schemas.dead_letter_headers import DEAD_LETTER, ORIGIN, STATE
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of

#: The most dead letters in one transaction. After a crash each transaction is in the log completely or not at all.
_PER_TRANSACTION = 500


@dataclass(frozen=True)
class RedriveResult:
    """The result of `redrive` or `discard`."""

    done: int = 0
    """Dead letters redriven or discarded now."""
    left: tuple[StoredDeadLetter, ...] = ()
    """Dead letters that cannot be redriven and stay waiting."""


def redrive(
    settings: Settings, kafka: KafkaConnection, ids: Collection[str] | None, topic: str | None
) -> RedriveResult:
    """Sends each record again to the topic to which its producer wrote it, to the partition of its key.

    ids: of dead letters; None means every waiting one (of `topic`, if given) that can be redriven. If the role has
    handled a record meanwhile, it recognises the record's id and drops it. Raises UsageError before anything is sent,
    for an id that does not exist, does not wait or cannot be redriven; CommandError where another redrive or discard
    began meanwhile.
    """
    return _mark_all(settings, kafka, "redriven", ids, topic)


def discard(
    settings: Settings, kafka: KafkaConnection, ids: Collection[str] | None, topic: str | None
) -> RedriveResult:
    """Marks dead letters as discarded: they stay in the log and no longer wait. The arguments and errors are those of
    `redrive`.
    """
    return _mark_all(settings, kafka, "discarded", ids, topic)


def state_text(letter: StoredDeadLetter) -> str:
    """The state of a dead letter for people."""
    return f"failed again, as {letter.failed_again_as}" if letter.failed_again_as else letter.state


def _mark_all(
    settings: Settings, kafka: KafkaConnection, mark: Mark, ids: Collection[str] | None, topic: str | None
) -> RedriveResult:
    with closing(open_admin(kafka)) as client:
        partitions = settings_of_log(settings, client).partitions
    doing = "dead letters cannot be marked (see `netcenter dead list` for what was done)"
    with SoleProducer(kafka, f"{settings.prefix}dead-letters", doing) as producer:
        # Read the dead letters after the producer has fenced all others: from now on no other command can mark them.
        chosen, left = _chosen(read_dead_letters(settings, kafka), mark, ids, topic)
        sent: set[str] = set()
        for first in range(0, len(chosen), _PER_TRANSACTION):
            records: list[RawRecord] = []
            for letter in chosen[first : first + _PER_TRANSACTION]:
                if mark == "redriven" and letter.origin not in sent:
                    sent.add(letter.origin)
                    records.append(_again(settings, letter, partitions))
                records.append(_mark(settings, letter, mark))
            _write(producer, records)
    return RedriveResult(len(chosen), tuple(left))


def _chosen(
    letters: Iterable[StoredDeadLetter], mark: Mark, ids: Collection[str] | None, topic: str | None
) -> tuple[list[StoredDeadLetter], list[StoredDeadLetter]]:
    """The dead letters to mark; and, if the caller asked for all, the dead letters that cannot be redriven. Raises
    UsageError.
    """
    chosen, left, missing = list[StoredDeadLetter](), list[StoredDeadLetter](), set(ids or ())
    for letter in letters:
        if (topic is not None and letter.topic != topic) or (ids is not None and letter.id not in ids):
            continue
        missing.discard(letter.id)
        obstacle = letter.obstacle() if mark == "redriven" else None
        if letter.state != "waiting":
            if ids is not None:
                raise UsageError(f"{letter.id} does not wait: {state_text(letter)}")
        elif obstacle is None:
            chosen.append(letter)
        elif ids is None:
            left.append(letter)
        else:
            raise UsageError(f"{letter.id} cannot be redriven: {obstacle}")
    if missing:
        raise UsageError(f"there is no dead letter {min(missing)}: see `netcenter dead list`")
    return chosen, left


def _write(producer: SoleProducer, records: list[RawRecord]) -> None:
    try:
        producer.write(records)
    except Overtaken:
        raise Overtaken(
            "another `dead redrive` or `dead discard` began meanwhile, and what this one had not finished is undone: see "
            "`netcenter dead list`, then run it again"
        ) from None


def _again(settings: Settings, letter: StoredDeadLetter, partitions: int) -> RawRecord:
    """The record, for the topic to which its producer wrote it."""
    return RawRecord(
        settings.prefix + letter.topic,
        letter.partition if letter.key is None else partition_of(letter.key, partitions),
        letter.key,
        letter.value,
        [
            # kafka-python cannot write a header whose value is null.
            *((name, value or b"") for name, value in letter.headers if name != DEAD_LETTER),
            (DEAD_LETTER, letter.id.encode()),
        ],
    )


def _mark(settings: Settings, letter: StoredDeadLetter, mark: Mark) -> RawRecord:
    name, number, _ = letter.id.rsplit("/", 2)
    return RawRecord(
        settings.prefix + name,
        int(number),
        # Because of its key, a mark survives even if an operator has made the topic compacted.
        letter.id.encode(),
        b"",
        [(DEAD_LETTER, letter.id.encode()), (STATE, mark.encode()), (ORIGIN, letter.origin.encode())],
    )
