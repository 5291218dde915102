"""The output of the demo at its end: figures and tables from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

from rich.console import Console
from rich.text import Text

from sinks.postgres.connecting import connect

COUNTS = {
    "mentions": "select count(*) from mentions",
    "replies": "select count(*) from replies",
    "dead_letters": "select count(*) from dead_letters",
    "cases": "select count(*) from cases",
    "breaches": (
        "select count(*) from clocks where breached_at is not null and rescinded_at is null and metric <> 'resolution'"
    ),
    "assignments": "select count(*) from assignments where type = 'Assigned'",
    "surges": "select count(*) from surges",
    "alerts_opened": "select count(distinct (fingerprint, starts_at)) from alert_events where state = 'firing'",
    "alerts_resolved": "select count(distinct (fingerprint, starts_at)) from alert_events where state = 'resolved'",
}
LABELS = "select label, count(*) from mentions where not own group by label order by 2 desc"
QUERIES = {
    "How fast was the first answer, and how many were in time?": (
        "select brand, channel, answered, round(median_ms / 6e4, 1) as median_min, round(p90_ms / 6e4, 1) as p90_min,\n"
        "       round(100 * sla_attainment) || ' %' as in_target\n  from first_response_time order by brand, channel"
    ),
    "Which floods were there, and what were they about?": (
        "select brand, name as root, to_char(started_at, 'DD HH24:MI') as since, lasted_ms / 60000 as minutes,\n"
        "       round(peak::numeric, 1) as peak, round(excess) as extra, crisis\n  from surge_history order by started_at"
    ),
    "When did questions and complaints come, and how many clocks were overdue?": (
        "select to_char(started_at, 'DD HH24:00') as hour, count(*) as clocks, count(breached_at) as overdue\n"
        "  from clocks where metric <> 'resolution' and not non_sla group by 1 order by 2 desc limit 5"
    ),
}


def summary(postgres: str, seconds: float) -> dict[str, Any]:
    """The figures of `COUNTS` and the count of each label, by name. postgres: a URI. seconds: how long the demo
    took.
    """
    figures: dict[str, Any] = {}
    with closing(connect(postgres)) as connection, connection.cursor() as cursor:
        for name, query in COUNTS.items():
            cursor.execute(query)
            figures[name] = _only(cursor.fetchone())
            if name == "dead_letters":
                cursor.execute(LABELS)
                figures["labels"] = dict(cursor.fetchall())
    return {**figures, "seconds": seconds}


def show(console: Console, postgres: str, figures: dict[str, Any], verified: int, rejected: int) -> None:
    """Prints the figures in sentences, and the tables of `QUERIES` with their SQL.

    verified, rejected: deliveries of the webhook that its receiver accepted, and refused.
    """
    say = console.print
    labels = ", ".join(f"{count:,} {label}" for label, count in figures["labels"].items())
    say(
        f"\n[bold]{figures['mentions']:,} mentions[/bold] ({labels}) and {figures['replies']:,} replies went through Kafka."
    )
    say(
        f"{figures['cases']:,} cases, {figures['assignments']:,} taken by an operator, {figures['breaches']:,} answered late or never; "
        f"{_counted(figures['surges'], 'surge')}; {_counted(figures['dead_letters'], 'dead letter')}."
    )
    say(
        f"{figures['alerts_opened']} alerts opened, {figures['alerts_resolved']} resolved; the webhook receiver verified "
        f"{verified} signed deliveries and rejected {rejected}.\n"
    )
    with closing(connect(postgres)) as connection, connection.cursor() as cursor:
        for title, query in QUERIES.items():
            cursor.execute(query)
            say(f"[bold]{title}[/bold]")
            show_rows(console, [column.name for column in cursor.description or ()], cursor.fetchall())
            say(f"[dim]{query};[/dim]\n", highlight=False)
    say(f"{figures['seconds']} s in all.")


def show_rows(console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table. A row that is wider than the console goes over its edge, because an id that is cut leads nowhere."""
    lines = [list(columns), *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        told = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        console.print(Text(told, style="bold" if number == 0 else ""), soft_wrap=True, highlight=False)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _only(row: tuple[Any, ...] | None) -> Any:
    return row[0] if row else None
