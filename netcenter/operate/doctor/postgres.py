"""Checks PostgreSQL: whether it answers, who blocks the sink, and whether it has the records that its group has read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import psycopg2
from kafka import TopicPartition
from psycopg2.errors import UndefinedTable
from psycopg2.extensions import connection as Connection

from netcenter.broker.lag import RolePosition
from netcenter.broker.offsets import log_ends
from netcenter.errors import CommandError
from netcenter.operate.doctor.finding import Finding, findings
from netcenter.operate.doctor.survey import Survey
from netcenter.pipeline import PROJECTION
from netcenter.runtime.endpoints import postgres_of
from netcenter.settings import Settings
from sinks.postgres import holding
from sinks.postgres.connecting import connect

_NAME = "netcenter doctor"
_WAITING = """
select pid from pg_stat_activity where application_name like 'netcenter%%' and application_name <> %s
    and cardinality(pg_blocking_pids(pid)) > 0 and clock_timestamp() - state_change > %s * interval '1 ms'
order by state_change limit 1
"""
WAITED_MS = 2_000
"""The most ms for which a session of Netcenter may wait for a lock."""


def postgres(settings: Settings, survey: Survey | None) -> Iterator[Finding]:
    """The findings about PostgreSQL. survey: None where Kafka gives no offsets with which to compare the stored
    offsets.
    """
    try:
        with closing(_connected(postgres_of(settings))) as connection:
            version = connection.server_version
            pooled = ", through a pooler" if _pooled(connection) else ""
            yield Finding("PostgreSQL", True, f"version {version // 10000}.{version % 10000}{pooled}")
            yield _locks(connection)
            if survey is not None:
                yield from _offsets(connection, survey)
    except CommandError as error:
        yield Finding("PostgreSQL", False, str(error))
    except psycopg2.Error as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        yield Finding("PostgreSQL", False, f"cannot be asked: {first}")


def _connected(uri: str) -> Connection:
    """A connection in an open transaction; its statements are cancelled after five seconds."""
    connection = connect(uri, connect_timeout=5, application_name=_NAME)
    with connection.cursor() as cursor:
        cursor.execute("set local statement_timeout = '5s'")
    return connection


def _pooled(connection: Connection) -> bool:
    """Whether there is a pooler in between: it gives the session a process number of its own."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return bool(cursor.fetchall() != [(connection.info.backend_pid,)])


def _locks(connection: Connection) -> Finding:
    subject = "locks of PostgreSQL"
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, (_NAME, WAITED_MS))
        found = cursor.fetchone()
        if found is None:
            return Finding(subject, True, "none is in the sink's way")
        return Finding(subject, False, f"session {found[0]} of Netcenter {holding.held(cursor, found[0])}")


def _offsets(connection: Connection, survey: Survey) -> Iterator[Finding]:
    """Whether the offsets that PostgreSQL stores fit the log and the group.

    The sink stores an offset with the rows, and commits it to the group afterwards. The stored offsets are read after the
    group's, so a stored offset below the group's can only mean another state of the database.
    """
    committed = [p for p in survey.positions[PROJECTION] if p.committed]
    try:
        with connection.cursor() as cursor:
            cursor.execute("select topic || '/' || partition, next from sink_offsets where next > 0")
            stored: dict[str, int] = dict(cursor.fetchall())
    except UndefinedTable:
        stored = {}
    # Report only the first fault, because the other partitions have the same fault.
    faults = islice(_offset_faults(survey, committed, stored), 1)
    yield from findings("offsets of PostgreSQL", faults, f"{len(stored)} partitions")


def _offset_faults(survey: Survey, committed: list[RolePosition], stored: dict[str, int]) -> Iterator[str]:
    if committed and not stored:
        yield (
            f"it holds none, and the group has read {len(committed)} partitions: it was emptied or is another database; run "
            "`netcenter rebuild`, which fills it from the log"
        )
    for position in committed:
        fault = _offset_fault(survey, position, stored.get(position.name, 0))
        if fault is not None:
            yield fault


def _offset_fault(survey: Survey, p: RolePosition, stored: int) -> str | None:
    """What is wrong with the stored offset of one partition, and the remedy; None where it is right."""
    if stored < p.first:
        return f"{p.name} stands at {stored} there and begins at {p.first}: what lies between is deleted; restore a newer copy"
    if stored < (p.committed or 0):
        return (
            f"{p.name} stands at {stored} there and at {p.committed} in the group: an older copy was restored; restart "
            "`netcenter worker postgres`, which goes on from there"
        )
    if stored > p.log_end and stored > (end := _end_now(survey, p)):  # the log may have grown since the survey
        return f"{p.name} stands at {stored} there and ends at {end}: it belongs to another log; give this one its own"
    return None


def _end_now(survey: Survey, position: RolePosition) -> int:
    tp = TopicPartition(survey.settings.prefix + position.topic, position.partition)
    return log_ends(survey.client, [tp])[tp]
