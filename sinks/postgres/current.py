"""The current rows of cases, clocks and surges: pure folds over their events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from schemas import jsonform
from schemas.records import (
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ClockChanged,
    PostRef,
    Record,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)
from sinks.postgres import tables
from sinks.postgres.copytext import json
from sinks.postgres.table import ProjectionTable

Key = tuple[Any, ...]


class CaseRow(msgspec.Struct, kw_only=True):
    """A row of `cases`. A column that no event has set yet is None."""

    case_id: str
    brand: str
    channel: str
    author_id: str
    desk: str | None = None
    label: str | None = None
    priority: int | None = None
    mode: str | None = None
    state: str = "open"
    lang: str | None = None
    visibility: str | None = None
    conversation: str | None = None
    zone: str | None = None
    reach: int | None = None
    followers: int | None = None
    promoted: bool | None = None
    posts: int = 0
    first_mention_id: str | None = None
    last_mention_id: str | None = None
    url: str | None = None
    opened_at: int | None = None
    changed_at: int | None = None
    answered_at: int | None = None
    answers: int = 0
    answered_privately: bool = False
    operator: str | None = None
    closed_at: int | None = None
    close_reason: str | None = None
    reopened: int = 0
    muted_until: int | None = None
    policy: int | None = None
    reason: str | None = None
    seq: int = 0


class ClockRow(msgspec.Struct, kw_only=True):
    """A row of `clocks`."""

    case_id: str
    metric: str
    cycle: int
    brand: str
    channel: str
    author_id: str
    desk: str | None = None
    label: str | None = None
    state: str = "running"
    started_at: int | None = None
    due_at: int | None = None
    target_ms: int | None = None
    non_sla: bool = False
    warned: int | None = None
    met_at: int | None = None
    breached_at: int | None = None
    detected_at: int | None = None
    paused_at: int | None = None
    paused_ms: int = 0
    rescinded_at: int | None = None
    late_arrival: bool = False
    privately: bool = False
    seq: int = 0


class SurgeRow(msgspec.Struct, kw_only=True):
    """A row of `surges`."""

    surge_id: str
    brand: str
    mode: str | None = None
    state: str = "open"
    detector: str | None = None
    scope: str | None = None
    name: str | None = None
    started_at: int | None = None
    opened_at: int | None = None
    changed_at: int | None = None
    ended_at: int | None = None
    close_reason: str | None = None
    actual: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    peak: float | None = None
    excess: float | None = None
    evidence: bytes | None = None
    policy: int | None = None
    reason: str | None = None
    seq: int = 0


class RowFold(msgspec.Struct, frozen=True):
    """How the current rows of one table follow from events."""

    table: ProjectionTable
    row: type[msgspec.Struct]
    key: Callable[[Any], Key]
    fresh: Callable[[Any], Any]
    #: Changes the row in place. The caller has checked that the event is newer than the row.
    apply: Callable[[Any, Any], None]


def _case(row: CaseRow, event: CaseOpened | CaseChanged | CaseClosed | CaseReopened) -> None:
    row.desk, row.label, row.changed_at = event.desk, event.label, event.time
    row.policy, row.reason = event.policy, event.reason
    if isinstance(event, CaseOpened):
        row.opened_at, row.priority, row.mode = event.time, event.priority, event.mode
        row.lang, row.visibility, row.conversation = event.lang, event.visibility, event.conversation
        row.zone, row.reach, row.followers = event.zone, event.reach, event.followers
        row.state = "open"
        _count(row, event.post)
    elif isinstance(event, CaseChanged):
        row.priority = event.priority
        row.operator = event.operator or row.operator
        row.reach = row.reach if event.reach is None else event.reach
        row.promoted = row.promoted if event.promoted is None else event.promoted
        if row.state != "closed":
            row.state = "waiting" if event.waiting else "open"
        if event.change == "post_added":
            _count(row, event.post)
        if event.replied_at is not None:
            row.answers += 1
            # Keeps the earliest answer by the replies' own times, because replies may be read in another order.
            if row.answered_at is None or event.replied_at < row.answered_at:
                row.answered_at, row.answered_privately = event.replied_at, event.privately
        if event.change == "muted":
            row.muted_until = event.muted_until
    elif isinstance(event, CaseClosed):
        row.state, row.closed_at, row.close_reason = "closed", event.time, event.close_reason
        row.operator = event.operator or row.operator
    else:
        row.state, row.closed_at, row.close_reason, row.priority = "open", None, None, event.priority
        row.reopened += 1
        _count(row, event.post)


def _count(row: CaseRow, post: PostRef | None) -> None:
    """Count a post once, also where both the event that reopens the case and the event that adds the post name it."""
    if post is None or post.mention_id == row.last_mention_id:
        return
    row.posts += 1
    row.first_mention_id = row.first_mention_id or post.mention_id
    row.last_mention_id = post.mention_id
    row.url = post.url or row.url


def _clock(row: ClockRow, event: ClockChanged) -> None:
    row.desk, row.label, row.started_at, row.non_sla = event.desk, event.label, event.started_at, event.non_sla
    row.due_at, row.target_ms = event.due_at, event.target_ms
    row.late_arrival = row.late_arrival or event.late_arrival
    row.paused_ms = event.paused_ms
    if event.warned is not None:
        row.warned = event.warned
    if event.change in ("started", "resumed"):  # a met resolution clock runs again when its case is reopened
        row.met_at, row.privately = None, False
    elif event.met_at is not None:
        row.met_at, row.privately = event.met_at, event.privately
    if event.change == "breached":
        row.breached_at = event.due_at if event.breached_at is None else event.breached_at
        row.detected_at = event.time if event.detected_at is None else event.detected_at
        row.rescinded_at = None
    elif event.change == "rescinded":
        # Removes the breach from the row; case_events keeps the history.
        row.breached_at = row.detected_at = None
        row.rescinded_at = event.time
    elif event.change == "paused":
        row.state, row.paused_at = "paused", event.time if event.paused_at is None else event.paused_at
    elif event.change in ("started", "resumed", "met"):
        row.state, row.paused_at = "running", None
    elif event.change == "voided":
        row.state, row.paused_at = "void", None
    if row.met_at is not None and row.state != "void":
        row.state = "met" if row.due_at is None or row.met_at <= row.due_at else "met_late"


def _surge(row: SurgeRow, event: SurgeOpened | SurgeUpdated | SurgeClosed) -> None:
    row.mode, row.started_at, row.changed_at = event.mode, event.started_at, event.time
    row.policy, row.reason = event.policy, event.reason
    if isinstance(event, SurgeClosed):
        row.state, row.ended_at, row.close_reason = "closed", event.ended_at, event.close_reason
        row.peak, row.excess = event.peak, event.excess
        return
    if isinstance(event, SurgeOpened):
        row.opened_at = event.time
    seen = event.evidence
    row.state = "open"
    row.detector, row.scope, row.name = seen.detector, seen.scope, seen.name
    row.actual, row.baseline, row.ratio = seen.actual, seen.baseline, seen.ratio
    row.peak = seen.ratio if row.peak is None else max(row.peak, seen.ratio)
    row.evidence = json(jsonform.fields(seen))


_CASES = RowFold(
    table=tables.CASES,
    row=CaseRow,
    key=lambda e: (e.aggregate,),
    fresh=lambda e: CaseRow(case_id=e.aggregate, brand=e.brand, channel=e.channel, author_id=e.author_id),
    apply=_case,
)
_CLOCKS = RowFold(
    table=tables.CLOCKS,
    row=ClockRow,
    key=lambda e: (e.aggregate, e.metric, e.cycle),
    fresh=lambda e: ClockRow(
        case_id=e.aggregate,
        metric=e.metric,
        cycle=e.cycle,
        brand=e.brand,
        channel=e.channel,
        author_id=e.author_id,
    ),
    apply=_clock,
)
_SURGES = RowFold(
    table=tables.SURGES,
    row=SurgeRow,
    key=lambda e: (e.aggregate,),
    fresh=lambda e: SurgeRow(surge_id=e.aggregate, brand=e.brand),
    apply=_surge,
)

FOLDS = (_CASES, _CLOCKS, _SURGES)
#: The fold that a record belongs to. A record without a fold changes no current row.
FOLD_OF: dict[type[Record], RowFold] = {
    **dict.fromkeys((CaseOpened, CaseChanged, CaseClosed, CaseReopened), _CASES),
    ClockChanged: _CLOCKS,
    **dict.fromkeys((SurgeOpened, SurgeUpdated, SurgeClosed), _SURGES),
}


def fold(how: RowFold, events: list[Any], rows: dict[Key, Any]) -> dict[Key, Any]:
    """The rows that the events change, by key, starting from the stored `rows`. An event that a row already contains is
    skipped.
    """
    changed: dict[Key, Any] = {}
    for event in events:
        key = how.key(event)
        row = changed.get(key) or rows.get(key) or how.fresh(event)
        if event.seq <= row.seq:
            continue
        how.apply(row, event)
        row.seq = event.seq
        changed[key] = row
    return changed
