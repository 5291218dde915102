"""What people said of posts by relabelling them, as rows to learn from: of the projection, or of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
from kafka import TopicPartition

from agents.classify.port import LABELS, LANGUAGES
from netcenter.broker.reading import Span, records, spans
from netcenter.broker.topics import admin, as_in_log
from netcenter.errors import CommandError, Unreachable
from netcenter.settings import Settings
from netcenter.training.training_rows import TrainingRows, made
from schemas import codec
from schemas.codec import WireError
from schemas.records import Action, ClassifiedMention, MentionUpdated, Record

_RELABELLED = """
select distinct on (m.id) m.brand, m.text, m.classified_lang, a.label
from actions a join mentions m
  on m.brand = a.brand and m.channel = a.channel and m.author_id = a.author_id and m.native_id = a.native_id
where a.action = 'relabel' and a.label is not null and not m.deleted and m.text <> ''
order by m.id, a.created_at desc, a.id
"""
_Post = tuple[str, str, str, str]
"""Brand, channel, author, native id."""


def of_projection(postgres: str) -> TrainingRows:
    """Each post's last relabel in PostgreSQL. Raises Unreachable."""
    try:
        connection = psycopg2.connect(postgres, connect_timeout=5)
    except psycopg2.OperationalError:
        raise Unreachable("PostgreSQL cannot be reached: see NETCENTER_POSTGRES") from None
    try:
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = '5min'")
            cursor.execute(_RELABELLED)
            return _rows(cursor.fetchall())
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {type(error).__name__} {error.pgcode or ''}: see `netcenter doctor`") from None


def of_log(settings: Settings, kafka: str) -> TrainingRows:
    """Each post's last relabel in the topic `classified`, as far back as it is kept. Raises CommandError.

    The log is read twice, for the relabels and then for their posts, so that memory holds no other text.
    """
    with closing(admin(kafka)) as client:
        count = as_in_log(settings, client).partitions
        stretches = spans(client, [TopicPartition(settings.prefix + "classified", n) for n in range(count)])
    said: dict[_Post, Action] = {}
    forgotten: dict[tuple[str, str, str], int] = {}
    for offset, record in _decoded(kafka, stretches):
        if not isinstance(record, Action):
            continue
        if record.action == "forget":
            forgotten[record.brand, record.channel, record.author_id] = offset
        elif record.action == "relabel" and record.native_id and record.label:
            post = _post(record)
            before = said.get(post)
            if before is None or (-record.created_at, record.id) < (-before.created_at, before.id):
                said[post] = record
    found: dict[_Post, tuple[str, str]] = {}
    for offset, record in _decoded(kafka, stretches):
        if isinstance(record, ClassifiedMention):
            mention = record.mention
            post = _post(mention)
            if post in said and offset > forgotten.get(post[:3], -1):
                found[post] = (mention.text, record.lang)
        elif isinstance(record, MentionUpdated):
            post = _post(record)
            if post in found and record.deleted:
                del found[post]
            elif post in found and record.text is not None:
                found[post] = (record.text, found[post][1])
    return _rows((post[0], text, lang, said[post].label or "") for post, (text, lang) in found.items() if text)


def _post(record: Any) -> _Post:
    return record.brand, record.channel, record.author_id, record.native_id


def _decoded(kafka: str, stretches: dict[TopicPartition, Span]) -> Iterator[tuple[int, Record]]:
    """Offsets and records; bytes that are no record of ours are dead letters elsewhere, and passed over here."""
    for raw in records(kafka, stretches):
        try:
            yield raw.offset, codec.decode(raw.value)
        except WireError:
            continue


def _rows(found: Iterable[tuple[str, str, str, str]]) -> TrainingRows:
    """Of brands, texts, languages and labels."""
    return made(
        [
            {
                "text": text,
                "lang": LANGUAGES.index(lang),
                "label": LABELS.index(label),
                "source": "corrections",
                "brand": brand,
                "weight": 1.0,
            }
            for brand, text, lang, label in found
            if lang in LANGUAGES and label in LABELS
        ]
    )
