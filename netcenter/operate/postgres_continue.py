"""`postgres continue`: the tables of a log go on with the log that continues it."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from netcenter.broker.client import open_admin
from netcenter.broker.groups import ConsumerGroups
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.reading import any_record
from netcenter.broker.topics import partition_counts, settings_of_log
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.runtime.postgres_connection import open_postgres
from netcenter.settings import Settings
from sinks.postgres.continued import begin_next_log, belong_to, stored_offsets
from streams.kafka_connection import KafkaConnection

_ROLE = PIPELINE.role(PROJECTION)


def go_on(settings: Settings, kafka: KafkaConnection, uri: str, old: str | None) -> int | None:
    """Makes the tables ready for the log of the settings. Returns the number of changed rows; None where that was done before.

    old: the prefix of the log that was read into the tables: all of it must be in them. None: that log is gone.
    Raises CommandError where a worker writes to the tables or has begun with the new log, or records of the old log are
    missing in them; Unreachable.
    """
    connection = open_postgres(uri, "postgres continue")
    try:
        with closing(connection), connection, connection.cursor() as cursor:
            stored = stored_offsets(cursor)
            if not stored:
                belong_to(cursor, settings.prefix)
                return None
            with closing(open_admin(kafka)) as client:
                _check_new(settings, client)
                if old is not None:
                    _check_old(settings.model_copy(update={"prefix": old}), kafka, client, stored)
            return begin_next_log(cursor, settings.prefix)
    except psycopg2.errors.UndefinedTable:
        raise CommandError("the tables are not there: restore them first, see docs/backup.md") from None
    except psycopg2.errors.UndefinedColumn:
        raise CommandError(
            "the tables are of an older release: run `netcenter postgres migrate`, then this again"
        ) from None
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {str(error).splitlines()[0]}: see `netcenter doctor`") from None


def _check_new(settings: Settings, client: KafkaAdminClient) -> None:
    settings_of_log(settings, client)
    groups = ConsumerGroups(settings.prefix, client)
    if groups.members([_ROLE])[_ROLE.name] or groups.positions([_ROLE]).get(_ROLE.name):
        raise CommandError(
            f"a worker of {settings.prefix}{_ROLE.name} has begun to fill these tables: they go on with that log already"
        )


def _check_old(
    settings: Settings, kafka: KafkaConnection, client: KafkaAdminClient, stored: dict[tuple[str, int], int]
) -> None:
    settings_of_log(settings, client)
    prefix = settings.prefix
    if ConsumerGroups(prefix, client).members([_ROLE])[_ROLE.name]:
        raise CommandError(f"a worker of {prefix}{_ROLE.name} runs: stop it first")
    counts = partition_counts(client, [prefix + name for name in _ROLE.reads])
    places = [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
    for tp, (first, end) in committed_ranges(client, places).items():
        following = stored.get((tp.topic.removeprefix(prefix), tp.partition), first)
        if following > end or any_record(kafka, {tp: (max(first, following), end)}):
            raise CommandError(
                f"{tp.topic}/{tp.partition} is read up to offset {following} and ends at {end}: let the worker of "
                f"{prefix}{_ROLE.name} run until `netcenter lag` shows nothing behind; or these tables are of another log"
            )
