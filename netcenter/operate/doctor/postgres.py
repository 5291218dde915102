"""PostgreSQL: whether it can be reached, whether it holds what the group was told, and who is in the sink's way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
from kafka import TopicPartition
from psycopg2.errors import UndefinedTable
from psycopg2.extensions import connection as Connection

from netcenter.broker.lag import Place
from netcenter.broker.reading import ends
from netcenter.errors import CommandError
from netcenter.operate.doctor.finding import Finding, Survey
from netcenter.pipeline import PROJECTION
from netcenter.runtime.endpoints import postgres_of
from netcenter.settings import Settings
from sinks.postgres import holding

_NAME = "netcenter doctor"
_WAITING = """
select pid from pg_stat_activity where application_name like 'netcenter%%' and application_name <> %s
    and cardinality(pg_blocking_pids(pid)) > 0 and clock_timestamp() - state_change > %s * interval '1 ms'
order by state_change limit 1
"""
WAITED_MS = 2_000


def postgres(settings: Settings, survey: Survey | None) -> Iterator[Finding]:
    """survey: None where Kafka has nothing to hold the stored offsets against."""
    try:
        with closing(_connected(postgres_of(settings))) as connection:
            version = connection.server_version
            pooled = ", through a pooler" if _pooled(connection) else ""
            yield Finding("PostgreSQL", True, f"version {version // 10000}.{version % 10000}{pooled}")
            yield _locks(connection)
            if survey is not None:
                yield _offsets(connection, survey)
    except CommandError as error:
        yield Finding("PostgreSQL", False, str(error))
    except psycopg2.Error as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield Finding("PostgreSQL", False, f"cannot be asked: {first}")


def _connected(uri: str) -> Connection:
    """In a transaction in which nothing can last."""
    connection = psycopg2.connect(uri, connect_timeout=5, application_name=_NAME)
    with connection.cursor() as cursor:
        cursor.execute("set local statement_timeout = '5s'")
    return connection


def _pooled(connection: Connection) -> bool:
    """A pooler tells a number of its own for the session."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return bool(cursor.fetchall() != [(connection.info.backend_pid,)])


def _locks(connection: Connection) -> Finding:
    what = "locks of PostgreSQL"
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, (_NAME, WAITED_MS))
        found = cursor.fetchone()
        if found is None:
            return Finding(what, True, "none is in the sink's way")
        return Finding(what, False, f"session {found[0]} of Netcenter {holding.held(cursor, found[0])}")


def _offsets(connection: Connection, survey: Survey) -> Finding:
    """What PostgreSQL stores is the truth, and is told to the group afterwards: read after that, it can only be further."""
    what, read = "offsets of PostgreSQL", [p for p in survey.places[PROJECTION] if p.told]
    try:
        with connection.cursor() as cursor:
            cursor.execute("select topic || '/' || partition, next from sink_offsets where next > 0")
            stored: dict[str, int] = dict(cursor.fetchall())
    except UndefinedTable:
        stored = {}
    if read and not stored:
        says = (
            f"it holds none, and the group has read {len(read)} partitions: it was emptied or is another database; run "
            "`netcenter rebuild`, which fills it from the log"
        )
        return Finding(what, False, says)
    for p in read:
        at = stored.get(p.name, 0)
        if at < p.first:
            says = f"{p.name} stands at {at} there and begins at {p.first}: what lies between is deleted; restore a newer copy"
            return Finding(what, False, says)
        if at < (p.told or 0):
            says = (
                f"{p.name} stands at {at} there and at {p.told} in the group: an older copy was restored; restart `netcenter "
                "worker postgres`, which goes on from there"
            )
            return Finding(what, False, says)
        if at > p.last and at > (last := _end(survey, p)):  # it may have grown since it was looked at
            says = f"{p.name} stands at {at} there and ends at {last}: it belongs to another log; give this one its own"
            return Finding(what, False, says)
    return Finding(what, True, f"{len(stored)} partitions")


def _end(survey: Survey, place: Place) -> int:
    """Where a partition ends by now."""
    tp = TopicPartition(survey.settings.prefix + place.topic, place.partition)
    return ends(survey.client, [tp])[tp]
