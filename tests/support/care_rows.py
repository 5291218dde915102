"""The rows of cases and clocks that events lead to, as far as the order of arrival must not change them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from schemas.records import CaseChanged, CaseClosed, CaseOpened, CaseReopened, ClockChanged


class ClockRow(NamedTuple):
    """An SLA clock at the end, but for warnings and when things were seen."""

    state: str
    label: str
    started_at: int
    due_at: int | None
    met_at: int | None
    breached_at: int | None
    paused_at: int | None
    paused_ms: int
    non_sla: bool
    privately: bool


class CaseRow(NamedTuple):
    """A case at the end, but for its id, its opening post and when things were decided."""

    state: str
    why: str | None
    label: str
    priority: int
    desk: str
    posts: int
    answers: int
    answered_at: int | None
    reopened: int
    reach: int | None
    muted_until: int | None


def clock_rows(events: Iterable[Any]) -> dict[tuple[str, str, int], ClockRow]:
    """By case, metric and cycle."""
    rows: dict[tuple[str, str, int], ClockRow] = {}
    for e in events:
        if isinstance(e, ClockChanged):
            rows[e.aggregate, e.metric, e.cycle] = ClockRow(
                _state(e), e.label, e.started_at, e.due_at, e.met_at, e.breached_at, e.paused_at, e.paused_ms, e.non_sla,
                e.privately,
            )  # fmt: skip
    return rows


def _state(e: ClockChanged) -> str:
    if e.change == "voided":
        return "void"
    if e.met_at is not None:
        return "met" if e.due_at is None or e.met_at <= e.due_at else "met_late"
    return "running" if e.paused_at is None else "paused"


def case_rows(events: Iterable[Any]) -> dict[str, CaseRow]:
    """By case."""
    rows: dict[str, CaseRow] = {}
    for e in events:
        if isinstance(e, CaseOpened):
            rows[e.aggregate] = CaseRow("open", None, e.label, e.priority, e.desk, 1, 0, None, 0, e.reach, None)
        elif isinstance(e, CaseChanged):
            row = rows[e.aggregate]
            answered = [at for at in (row.answered_at, e.replied_at) if at is not None]
            rows[e.aggregate] = row._replace(
                state=row.state if row.state == "closed" else "waiting" if e.waiting else "open",
                label=e.label,
                priority=e.priority,
                desk=e.desk,
                posts=row.posts + (e.change == "post_added"),
                answers=row.answers + (e.replied_at is not None),
                answered_at=min(answered, default=None),
                reach=row.reach if e.reach is None else e.reach,
                muted_until=row.muted_until if e.muted_until is None else e.muted_until,
            )
        elif isinstance(e, CaseClosed):
            rows[e.aggregate] = rows[e.aggregate]._replace(state="closed", why=e.close_reason, label=e.label)
        elif isinstance(e, CaseReopened):
            row = rows[e.aggregate]
            rows[e.aggregate] = row._replace(
                state="open", why=None, label=e.label, priority=e.priority, reopened=row.reopened + 1,
                posts=row.posts + (e.post is not None),
            )  # fmt: skip
    return rows
