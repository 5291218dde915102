"""Checks the positions of the roles in the log, and the changelogs that hold their state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from kafka import TopicPartition

from netcenter.broker.lag import RolePosition
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.reading import records_of
from netcenter.operate.doctor.finding import Finding, findings
from netcenter.operate.doctor.survey import Survey
from netcenter.pipeline import PIPELINE
from schemas.state_forms import FormError
from streams.checkpoint import PROGRESS, read_progress

#: The last progress record is searched in this many records at the end of a changelog. Every checkpoint writes one.
_TAIL = 10_000


def positions(survey: Survey) -> Iterator[Finding]:
    """Whether every position is within the log, and no record was deleted before it was read."""
    yield from findings("positions", _misplaced(survey), "all within the log")


def changelogs(survey: Survey) -> Iterator[Finding]:
    """Whether every role that has read has a changelog with its state."""
    yield from findings("changelogs", _without_state(survey), "each holds its role's progress")


def _misplaced(survey: Survey) -> Iterator[str]:
    for p in (*survey.all_positions(), *_from_changelogs(survey)):
        if p.beyond_end:
            yield (
                f"{p.role} has read {p.name} up to offset {p.committed}, and the log ends at {p.log_end}: the topic was "
                "deleted, made again or cut since, and new records would be passed over; restore it, or give the new log a "
                "prefix of its own (NETCENTER_PREFIX, then `netcenter topics apply`)"
            )
        elif p.lost:
            yield (
                f"retention has deleted {p.name} {p.committed} to {p.first - 1} before {p.role} had read it: restore these, or "
                "set NETCENTER_ON_LOST=continue to go on without them; a longer retention.ms keeps it from coming again"
            )


def _from_changelogs(survey: Survey) -> Iterator[RolePosition]:
    """The positions without a committed offset, filled with the offset from the role's changelog.

    When a topic is deleted, Kafka deletes the committed offsets in it as well; the changelog still has the position.
    """
    names = {r.name: survey.settings.prefix + r.changelog for r in PIPELINE.roles if r.decides}
    uncommitted = {
        TopicPartition(names[p.role], p.partition): p
        for p in survey.all_positions()
        if p.committed is None and p.role in names
    }
    for tp, (first, end) in committed_ranges(survey.client, uncommitted).items() if uncommitted else ():
        for record in records_of(survey.kafka, {tp: (max(first, end - _TAIL), end)}):
            if record.key == PROGRESS and record.value is not None:
                with suppress(FormError, ValueError):  # the role's worker reports an unreadable progress record
                    uncommitted[tp] = replace(uncommitted[tp], committed=read_progress(record.value).position)
    yield from (p for p in uncommitted.values() if p.committed is not None)


def _without_state(survey: Survey) -> Iterator[str]:
    tps = {
        TopicPartition(survey.settings.prefix + role.changelog, p.partition): p
        for role in PIPELINE.roles
        if role.decides
        for p in survey.positions[role.name]
        if p.committed and not p.beyond_end
    }
    for tp, (first, end) in committed_ranges(survey.client, tps).items() if tps else ():
        if first == end:
            p = tps[tp]
            yield (
                f"{p.role} has read {p.name} up to offset {p.committed}, and {PIPELINE.role(p.role).changelog}/{p.partition} is "
                "empty: its state is lost; restore that topic from a copy, or make the state again from the log: "
                f"`netcenter rebuild {p.role}`"
            )
