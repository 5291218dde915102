"""What the demo played, over time: posts, answers, overdue clocks, surges and alerts, read from PostgreSQL."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Any, NamedTuple

import psycopg2.extensions

from sinks.postgres.connecting import connect

LABELS = ("complaint", "question", "praise", "other")
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
#: The lengths of a bin, ms; and the most bins of a timeline.
_BINS = (
    *(n * _MINUTE for n in (1, 5, 15, 30)),
    *(n * _HOUR for n in (1, 3, 6, 12)),
    *(n * _DAY for n in (1, 7, 30, 365, 3_650)),
)
_MOST_BINS = 200

_MS = "(extract(epoch from {}) * 1000)::bigint"
_SPAN = (
    "select {}, {} from (select created_at as t from mentions where not own union all select created_at from replies "
    "union all select breached_at from clocks where breached_at is not null) as all_times"
).format(_MS.format("min(t)"), _MS.format("max(t)"))
_POSTS = "select {} / %(bin)s, label, count(*) from mentions where not own group by 1, 2".format(
    _MS.format("created_at")
)
_ANSWERS = "select {} / %(bin)s, count(*) from replies where kind = 'human' group by 1".format(_MS.format("created_at"))
# A clock is overdue until it is answered, or until its case is closed without an answer.
_OVERDUE = """
with late as (
    select c.breached_at, coalesce(c.met_at, case when c.state = 'void' then k.closed_at end) as over_at
    from clocks c left join cases k using (case_id)
    where c.breached_at is not null and c.rescinded_at is null and c.metric <> 'resolution' and not c.non_sla
)
select {} / %(bin)s, count(*) from late group by 1
union all select {} / %(bin)s, -count(*) from late where over_at is not null group by 1
""".format(_MS.format("breached_at"), _MS.format("greatest(over_at, breached_at)"))
_SURGES = (
    "select surge_id::text, brand, scope, coalesce(name, ''), {}, {}, peak, crisis from surge_history order by started_at"
).format(_MS.format("started_at"), _MS.format("ended_at"))
# Its words are those of the newest version that fired: the last one says that it is over.
_ALERTS = """
select distinct on (fingerprint, starts_at) kind, brand, summary, {}, {},
    max(case severity when 'page' then 2 when 'warning' then 1 else 0 end) over of_alert
from alert_events window of_alert as (partition by fingerprint, starts_at)
order by fingerprint, starts_at, state <> 'firing', version desc
""".format(_MS.format("starts_at"), _MS.format("max(ends_at) over of_alert"))
_SEVERITIES = ("info", "warning", "page")
# The case with the longest way through the desks, of those that were overdue where there are any; else one that still waits.
_CASE = """
select k.case_id::text from cases k
left join (select case_id, count(*) as events from assignments group by case_id) a using (case_id)
left join (select distinct case_id from clocks where breached_at is not null) late using (case_id)
where a.events > 0 or k.state = 'open'
order by a.events > 0 desc nulls last, late.case_id is not null desc, a.events desc nulls last, k.case_id limit 1
"""


class TimelineBin(NamedTuple):
    """A bin of the timeline."""

    start: int
    """ms"""
    posts: dict[str, int]
    """by label"""
    answers: int
    overdue: int
    """clocks that are overdue at the end of the bin"""


class SurgeSpan(NamedTuple):
    """A surge; times in ms."""

    surge_id: str
    brand: str
    scope: str
    name: str
    start: int
    end: int | None
    peak: float
    crisis: bool


class AlertSpan(NamedTuple):
    """An alert from its beginning to its end; times in ms."""

    kind: str
    brand: str
    summary: str
    start: int
    end: int | None
    severity: str
    """the highest that it had"""


class PlayedTimeline(NamedTuple):
    """What was played."""

    bin: int
    """ms"""
    bins: list[TimelineBin]
    """without a gap, oldest first; empty where there was neither a post nor an answer"""
    surges: list[SurgeSpan]
    alerts: list[AlertSpan]
    brands: list[str]
    case: str | None
    """the id of a case worth a look; None where no desk had one"""

    @property
    def surge(self) -> SurgeSpan | None:
        """The surge worth a look: a crisis before others, then the highest; None where there is none."""
        return max(self.surges, key=lambda one: (one.crisis, one.peak), default=None)


def read_timeline(postgres: str) -> PlayedTimeline:
    """The timeline of all that a PostgreSQL of the demo holds. postgres: a URI."""
    with closing(connect(postgres)) as connection, connection.cursor() as cursor:
        first, last = _rows(cursor, _SPAN)[0]
        length = next((b for b in _BINS if first is None or (last - first) // b < _MOST_BINS), _BINS[-1])
        given = {"bin": length}
        posts: dict[int, Counter[str]] = {}
        for at, label, count in _rows(cursor, _POSTS, given):
            posts.setdefault(at, Counter())[label if label in LABELS else "other"] += count
        answers = dict(_rows(cursor, _ANSWERS, given))
        changes: Counter[int] = Counter()
        for at, count in _rows(cursor, _OVERDUE, given):
            changes[at] += count
        surges = [SurgeSpan(*row) for row in _rows(cursor, _SURGES)]
        alerts = [
            AlertSpan(kind, brand, summary, start, end, _SEVERITIES[severity])
            for kind, brand, summary, start, end, severity in _rows(cursor, _ALERTS)
        ]
        brands = [brand for (brand,) in _rows(cursor, "select distinct brand from mentions where not own order by 1")]
        found = _rows(cursor, _CASE)
    bins, overdue = [], 0
    for at in range(first // length, last // length + 1) if first is not None else ():
        overdue += changes[at]
        counted = {label: posts.get(at, Counter())[label] for label in LABELS}
        bins.append(TimelineBin(at * length, counted, answers.get(at, 0), overdue))
    alerts.sort(key=lambda one: (one.start, one.kind, one.brand))
    return PlayedTimeline(length, bins, surges, alerts, brands, found[0][0] if found else None)


def _rows(cursor: psycopg2.extensions.cursor, query: str, given: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    cursor.execute(query, given)
    return cursor.fetchall()
