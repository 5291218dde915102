"""Posts that people relabelled, as rows for the training of a classifier: from PostgreSQL, or from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
from kafka import TopicPartition

from agents.classify.port import ANSWER_LANGUAGES, LABELS
from netcenter.broker.client import open_admin
from netcenter.broker.offsets import OffsetRange, committed_ranges
from netcenter.broker.reading import records_of
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError
from netcenter.runtime.postgres_connection import open_postgres
from netcenter.settings import Settings
from netcenter.training.training_rows import TrainingRows, made
from schemas import codec
from schemas.codec import WireError
from schemas.records import Action, ClassifiedMention, MentionUpdated, Record
from streams.kafka_connection import KafkaConnection

_RELABELLED = """
select distinct on (m.id) m.brand, m.text, m.classified_lang, a.label
from actions a join mentions m
  on m.brand = a.brand and m.channel = a.channel and m.author_id = a.author_id and m.native_id = a.native_id
where a.action = 'relabel' and a.label is not null and not m.deleted and m.text <> ''
order by m.id, a.created_at desc, a.id
"""
_Post = tuple[str, str, str, str]
"""The key of a post: brand, channel, author, native id."""


def relabels_of_projection(postgres: str) -> TrainingRows:
    """Each post with its last relabel in PostgreSQL. postgres: a URI. Raises Unreachable, and CommandError."""
    connection = open_postgres(postgres, "train")
    try:
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = '5min'")
            cursor.execute(_RELABELLED)
            return _rows(cursor.fetchall())
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {type(error).__name__} {error.pgcode or ''}: see `netcenter doctor`") from None


def relabels_of_log(settings: Settings, kafka: KafkaConnection) -> TrainingRows:
    """Each post with its last relabel in the topic `classified`, as far back as the topic is kept. Raises CommandError.

    The topic is read twice, first for the relabels and then for their posts, so that no other text is held in memory.
    """
    with closing(open_admin(kafka)) as client:
        count = settings_of_log(settings, client).partitions
        ranges = committed_ranges(client, [TopicPartition(settings.prefix + "classified", n) for n in range(count)])
    relabels, forgotten = _relabels(_decoded(kafka, ranges))
    texts = _texts(_decoded(kafka, ranges), relabels, forgotten)
    return _rows((post[0], text, lang, relabels[post].label or "") for post, (text, lang) in texts.items() if text)


def _relabels(records: Iterable[tuple[int, Record]]) -> tuple[dict[_Post, Action], dict[tuple[str, str, str], int]]:
    """The last relabel of each post; and the offset at which each forgotten customer was forgotten last."""
    relabels: dict[_Post, Action] = {}
    forgotten: dict[tuple[str, str, str], int] = {}
    for offset, record in records:
        if not isinstance(record, Action):
            continue
        if record.action == "forget":
            forgotten[record.brand, record.channel, record.author_id] = offset
        elif record.action == "relabel" and record.native_id and record.label:
            post = _post(record)
            before = relabels.get(post)
            if before is None or (-record.created_at, record.id) < (-before.created_at, before.id):
                relabels[post] = record
    return relabels, forgotten


def _texts(
    records: Iterable[tuple[int, Record]], relabels: dict[_Post, Action], forgotten: dict[tuple[str, str, str], int]
) -> dict[_Post, tuple[str, str]]:
    """(newest text, language) of each relabelled post that was not deleted and whose customer was not forgotten after it."""
    texts: dict[_Post, tuple[str, str]] = {}
    for offset, record in records:
        if isinstance(record, ClassifiedMention):
            mention = record.mention
            post = _post(mention)
            if post in relabels and offset > forgotten.get(post[:3], -1):
                texts[post] = (mention.text, record.classified_lang)
        elif isinstance(record, MentionUpdated):
            post = _post(record)
            if post in texts and record.deleted:
                del texts[post]
            elif post in texts and record.text is not None:
                texts[post] = (record.text, texts[post][1])
    return texts


def _post(record: Any) -> _Post:
    return record.brand, record.channel, record.author_id, record.native_id


def _decoded(kafka: KafkaConnection, ranges: dict[TopicPartition, OffsetRange]) -> Iterator[tuple[int, Record]]:
    """(offset, record) of each record. Bytes that cannot be decoded are left out: they are dead letters of the roles."""
    for raw in records_of(kafka, ranges):
        try:
            yield raw.offset, codec.decode(raw.value)
        except WireError:
            continue


def _rows(found: Iterable[tuple[str, str, str, str]]) -> TrainingRows:
    """The rows of (brand, text, language, label), without rows whose language or label no classifier knows."""
    return made(
        [
            {
                "text": text,
                "lang": ANSWER_LANGUAGES.index(lang),
                "label": LABELS.index(label),
                "source": "corrections",
                "brand": brand,
                "weight": 1.0,
            }
            for brand, text, lang, label in found
            if lang in ANSWER_LANGUAGES and label in LABELS
        ]
    )
