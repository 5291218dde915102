"""`status`: one screen of whether the pipeline works, and what it has found: roles, cases, surges and alerts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import psycopg2
from kafka.errors import KafkaError

from netcenter.broker.alert_log import alert_histories
from netcenter.broker.client import open_admin
from netcenter.broker.desk_state import desk_standing
from netcenter.broker.lag import LagMonitor
from netcenter.broker.stored_dead_letters import count_waiting
from netcenter.errors import CommandError, Unreachable
from netcenter.operate.desk_report import summary_line
from netcenter.operate.operator_records import desks_of
from netcenter.operate.pipeline_check import PipelineCheck
from netcenter.runtime.endpoints import kafka_of, postgres_of
from netcenter.runtime.kafka_security import in_words
from netcenter.runtime.postgres_connection import open_postgres
from netcenter.settings import HeartbeatSettings, Settings, read
from sinks.readable import counted
from streams.kafka_connection import KafkaConnection

_SHOWN = 5
"""The most alerts and surges that are named."""
_SEVERITIES = ("page", "warning", "info", "unknown")
_CASES = """
select count(*) filter (where state = 'open'), count(*) filter (where state = 'waiting'),
    (select count(*) from clocks c join cases k using (case_id)
     where k.state = 'open' and c.metric <> 'resolution' and not c.non_sla and c.met_at is null
        and c.breached_at is not null and c.state in ('running', 'paused'))
from cases
"""
_SURGES = "select surge_id::text, brand, scope, coalesce(name, ''), ratio from surges where state = 'open' order by started_at"


class OpenSurgeLine(msgspec.Struct, frozen=True):
    """A surge that is open."""

    surge_id: str
    brand: str
    scope: str
    name: str
    ratio: float


class FiringAlert(msgspec.Struct, frozen=True):
    """An alert that fires."""

    fingerprint: str
    severity: str
    summary: str


class PipelineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `netcenter status` says; None where it cannot be known, for which `faults` has the reason."""

    kafka: str
    roles: list[dict[str, Any]]
    """As `netcenter lag --json` has them."""
    desks: list[str]
    """Each in a line."""
    alerts: list[FiringAlert] | None
    postgres: bool | None
    """Whether PostgreSQL answers; None: none is set."""
    cases_open: int | None
    """Cases that wait for an answer."""
    cases_waiting: int | None
    """Cases that are answered and wait for their customer."""
    clocks_overdue: int | None
    """Clocks of cases that wait for an answer, which are overdue."""
    surges: list[OpenSurgeLine] | None
    dead_letters: int | None
    """Those that wait for somebody to redrive or discard them."""
    faults: list[str]
    """Each with what to do; empty when all is well."""

    @property
    def well(self) -> bool:
        """Whether the pipeline works. An alert that fires is its work, and no fault."""
        return not self.faults


def status_of(settings: Settings) -> PipelineStatus:
    """The status now. Raises Unreachable where there is no Kafka, KafkaError, and UsageError for a wrong setting."""
    kafka = kafka_of(settings)
    with closing(open_admin(kafka)) as client:
        roles = LagMonitor(settings, kafka, client).report()
    faults = PipelineCheck(settings, kafka, read(HeartbeatSettings).heartbeat_behind_s).faults()
    desks, alerts, dead_letters = _of_log(settings, kafka, roles, faults)
    projected: tuple[int | None, int | None, int | None, list[OpenSurgeLine] | None] = (None, None, None, None)
    postgres: bool | None = None
    try:
        uri = postgres_of(settings)
    except Unreachable:
        pass  # none is set: then the log alone is told
    else:
        try:
            projected, postgres = _projected(uri), True
        except CommandError as error:
            postgres = False
            faults.append(str(error))
    return PipelineStatus(
        kafka=str(kafka),
        roles=roles,
        desks=desks,
        alerts=alerts,
        postgres=postgres,
        cases_open=projected[0],
        cases_waiting=projected[1],
        clocks_overdue=projected[2],
        surges=projected[3],
        dead_letters=dead_letters,
        faults=faults,
    )


def _of_log(
    settings: Settings, kafka: KafkaConnection, roles: list[dict[str, Any]], faults: list[str]
) -> tuple[list[str], list[FiringAlert] | None, int | None]:
    """The desks, the firing alerts and the number of waiting dead letters.

    What cannot be read becomes a fault; a desk that has never decided is none.
    """
    desks, alerts, dead_letters = [], None, None
    try:
        dead_letters = count_waiting(settings, kafka)
        if any(row["role"] == "desk" and row["time"] for row in roles):
            standing = desk_standing(settings, kafka)
            names = sorted({*desks_of(standing.policy), *standing.desks()})
            desks = [summary_line(standing.state, standing.outlook(name, 1)) for name in names]
        alerts = [
            FiringAlert(one.last.fingerprint, one.last.severity, one.last.summary)
            for one in alert_histories(settings, kafka).values()
            if one.fires
        ]
    except (KafkaError, CommandError) as error:
        faults.append(f"the log: {in_words(error, settings)}")
    return desks, alerts, dead_letters


def _projected(uri: str) -> tuple[int, int, int, list[OpenSurgeLine]]:
    """(open cases, waiting cases, overdue clocks, open surges) of PostgreSQL. Raises CommandError."""
    with closing(open_postgres(uri, "status")) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(_CASES)
            cases, waiting, overdue = cursor.fetchall()[0]
            cursor.execute(_SURGES)
            return cases, waiting, overdue, [OpenSurgeLine(*row) for row in cursor.fetchall()]
        except psycopg2.Error as error:
            said = str(error).splitlines()[0]
            raise CommandError(f"PostgreSQL: {said}: its tables come with the worker postgres") from None


def status_text(status: PipelineStatus) -> str:
    """The status as lines of at most 100 characters, but for what is told of a fault."""
    return "\n".join(_lines(status))


def _lines(status: PipelineStatus) -> Iterator[str]:
    running = [row for row in status.roles if row["running"]]
    behind = ", ".join(f"{row['role']} {row['behind']:,}" for row in running if row["behind"])
    idle = [row["role"] for row in status.roles if not row["running"]]
    times = [row["time"] for row in running if row["time"]]
    yield f"Kafka       {status.kafka}"
    yield f"workers     {counted(len(running), 'role has', 'roles have')} a worker; {'behind: ' + behind if behind else 'none is behind'}"
    if idle:
        yield f"            without: {', '.join(idle)}"
    yield f"event time  {min(times) if times else 'not known yet'}"
    if status.cases_open is not None:
        waits = counted(status.cases_open, "waits", "wait")
        yield f"cases       {waits} for an answer, {status.clocks_overdue:,} overdue; {status.cases_waiting:,} for the customer"
    yield from _listed("desks", status.desks or ["none has had work"])
    if status.surges is not None:
        surges = [
            f"{one.surge_id[:8]}  {one.brand}, {one.scope} {one.name}".rstrip() + f": {one.ratio:.1f} times the usual"
            for one in status.surges
        ]
        yield from _listed("surges", surges[:_SHOWN] or ["none is open"], len(surges) - _SHOWN)
    if status.alerts is not None:
        by = Counter(one.severity for one in status.alerts)
        heads = ", ".join(f"{by[name]} {name}" for name in _SEVERITIES if by[name])
        yield (
            f"alerts      {counted(len(status.alerts), 'fires', 'fire')}: {heads}"
            if heads
            else "alerts      none fires"
        )
        gravest = sorted(status.alerts, key=lambda one: _SEVERITIES.index(one.severity))
        for one in gravest[:_SHOWN]:
            yield f"            {one.severity}: {one.summary}"
        if len(gravest) > _SHOWN:
            yield f"            and {len(gravest) - _SHOWN:,} more: netcenter alert list"
    if status.dead_letters:
        yield f"dead        {counted(status.dead_letters, 'letter waits', 'letters wait')}: netcenter dead list"
    yield "" if status.faults else "\nall is well"
    for fault in status.faults:
        yield f"wrong: {fault}"


def _listed(head: str, rows: list[str], more: int = 0) -> Iterator[str]:
    for n, row in enumerate(rows):
        yield f"{head if n == 0 else '':<12}{row}"
    if more > 0:
        yield f"{'':<12}and {more:,} more"
