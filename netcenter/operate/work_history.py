"""`desk explain`: a case's way through the desks, from PostgreSQL or from the log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extras import RealDictCursor

from netcenter.broker.work_log import work_of_cases
from netcenter.errors import CommandError, Unreachable, UsageError
from netcenter.runtime.postgres_connection import open_postgres
from netcenter.settings import Settings
from schemas import jsonform
from schemas.records import BY_NAME, WorkEvent
from streams.kafka_connection import KafkaConnection

_LEFT_OUT = {"author_id": "", "native_id": ""}
_ROWS = "select * from assignments where starts_with(case_id::text, %s)"


class WorkHistory(NamedTuple):
    """What the desks did about one case."""

    case_id: str
    rounds: list[list[WorkEvent]]
    """The events of each round of work, the earliest round first."""


def history_of(events: Iterable[WorkEvent], beginning: str, at_desks: Iterable[str] = ()) -> WorkHistory:
    """The history of the only case among these events. beginning: of its id. at_desks: the ids of the cases that are at a desk
    now; one that was never offered to anybody has no round yet. Raises UsageError where there is none or several.
    """
    cases: dict[str, list[WorkEvent]] = {case_id: [] for case_id in at_desks if case_id.startswith(beginning)}
    for event in events:
        cases.setdefault(event.case_id, []).append(event)  # type: ignore[attr-defined]  # every event about work has it
    if not cases:
        raise UsageError(
            f"no desk has done anything about a case {beginning}: `netcenter desk show` shows what is at the desks"
        )
    if len(cases) > 1:
        raise UsageError(f"{beginning} is the beginning of several: {', '.join(sorted(cases)[:5])}: write more of it")
    [(case_id, found)] = cases.items()
    found.sort(key=attrgetter("aggregate", "seq"))
    rounds = [list(events) for _, events in groupby(found, key=attrgetter("aggregate"))]
    return WorkHistory(case_id, sorted(rounds, key=lambda events: events[0].time))


def find_history(
    settings: Settings, kafka: KafkaConnection, uri: str | None, beginning: str, at_desks: Iterable[str]
) -> WorkHistory:
    """The history of the case whose id begins so: from PostgreSQL, which has an index of cases; where that cannot be reached or
    does not know the case, from the log. uri: of PostgreSQL. at_desks: as for `history_of`. Raises UsageError, Unreachable, CommandError.
    """
    events: Sequence[WorkEvent] = ()
    if uri is not None:
        try:
            events = work_in_postgres(uri, beginning)
        except Unreachable as error:
            print(f"{error}; reading the whole of `assignments` in Kafka", file=sys.stderr)
    return history_of(events or work_of_cases(settings, kafka, beginning), beginning, at_desks)


def work_in_postgres(uri: str, beginning: str) -> list[WorkEvent]:
    """The desk's events about every case whose id begins so. uri: of PostgreSQL. Raises Unreachable, CommandError."""
    with closing(open_postgres(uri, "desk explain")) as connection:
        try:
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(_ROWS, (beginning,))
                return [event_of(row) for row in cursor.fetchall()]
        except psycopg2.Error as error:
            raise CommandError(
                f"PostgreSQL: {str(error).splitlines()[0]}: is it ours? See `netcenter doctor`"
            ) from None


def event_of(row: Mapping[str, Any]) -> WorkEvent:
    """The event of a row of `assignments`. Authors and posts, which the table leaves out, are empty."""
    known = {name: _plain(value) for name, value in row.items() if name != "detail"} | dict(row["detail"]) | _LEFT_OUT
    if "work" in known:
        known["work"] |= _LEFT_OUT
    found = jsonform.record_of(BY_NAME[row["type"]], known)
    assert isinstance(found, WorkEvent)
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
