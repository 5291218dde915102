"""How events and notes change the record of a customer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agents.cases.state import CaseForgotten, Customer, CustomerNoted, Emitted, Observed, SlaClock, settled
from schemas.records import CaseChanged, CaseClosed, CaseOpened, CaseReopened, ClockChanged, WorkChanged


def evolve(customer: Customer, event: Any) -> Customer | None:
    """Returns the customer's record after an event or a note; None: nothing is left to remember.

    Raises LookupError for an event about a case that the record does not have.
    """
    kind = type(event)
    if kind is CustomerNoted:
        return _noted(event, _unsettled(customer, event.observed))
    if kind is CaseForgotten:
        return _noted(event, None)
    if kind is CaseOpened:
        return Customer(customer.observed, _opened(event), customer.wake)
    emitted = customer.emitted
    if emitted is None:
        raise LookupError(f"{kind.__name__} for a customer without a case: the log and the state disagree")
    if kind is ClockChanged:
        emitted = replace(emitted, seq=event.seq, clocks=_clocks(emitted.clocks, event))
    elif kind is WorkChanged:
        emitted = _work(emitted, event)
    elif kind is CaseChanged:
        emitted = _changed(emitted, event)
    elif kind is CaseClosed:
        emitted = replace(
            emitted, seq=event.seq, label=event.label, close_reason=event.close_reason, closed_at=event.time
        )
    elif kind is CaseReopened:
        emitted = replace(
            emitted,
            seq=event.seq,
            label=event.label,
            priority=event.priority,
            close_reason=None,
            waiting=False,
            escalated=False,
            reopened=emitted.reopened + 1,
        )
    else:
        raise TypeError(f"cases cannot apply {kind.__name__}")
    return Customer(customer.observed, emitted, customer.wake)


def _opened(event: CaseOpened) -> Emitted:
    return Emitted(
        id=event.aggregate,
        seq=event.seq,
        desk=event.desk,
        label=event.label,
        priority=event.priority,
        lang=event.lang,
        conversation=event.conversation,
        followers=event.followers,
        reach=event.reach,
        promoted=False,
    )


def _changed(emitted: Emitted, event: CaseChanged) -> Emitted:
    return replace(
        emitted,
        seq=event.seq,
        desk=event.desk,
        label=event.label,
        priority=event.priority,
        waiting=event.waiting,
        escalated=emitted.escalated or event.change == "escalated",
        reach=emitted.reach if event.reach is None else event.reach,
        promoted=emitted.promoted or bool(event.promoted),
        muted_until=emitted.muted_until if event.muted_until is None else event.muted_until,
    )


def _work(emitted: Emitted, event: WorkChanged) -> Emitted:
    if event.change == "answered" or event.change == "withdrawn":
        return replace(emitted, work=0, skills=(), window_closes_at=None)
    return replace(
        emitted,
        work=event.seq,
        rounds=emitted.rounds + (event.seq == 1),
        skills=tuple(event.skills),
        window_closes_at=event.window_closes_at,
        together=event.together,
    )


def _clocks(clocks: tuple[SlaClock, ...], event: ClockChanged) -> tuple[SlaClock, ...]:
    metric, cycle = event.metric, event.cycle
    at, old = None, None
    for n, clock in enumerate(clocks):
        if clock.cycle == cycle and clock.metric == metric:
            at, old = n, clock
    clock = SlaClock(
        metric=metric,
        cycle=cycle,
        label=event.label,
        started_at=event.started_at,
        due_at=event.due_at,
        target_ms=event.target_ms,
        non_sla=event.non_sla,
        warned=event.warned or (0 if old is None else old.warned),
        met_at=event.met_at,
        detected_at=event.detected_at,
        paused_at=event.paused_at,
        paused_ms=event.paused_ms,
        late_arrival=event.late_arrival,
        privately=event.privately,
        void=event.change == "voided",
    )
    if at is None:
        return (*clocks, clock)
    return (*clocks[:at], clock, *clocks[at + 1 :])


def _noted(note: CustomerNoted | CaseForgotten, emitted: Emitted | None) -> Customer | None:
    observed = note.observed
    if emitted is None and not (observed.answers or observed.actions or observed.post_changes):
        return None
    return Customer(observed, emitted, note.wake)


def _unsettled(customer: Customer, observed: Observed) -> Emitted | None:
    """The emitted case without the clocks that ended before a new snapshot."""
    emitted, snapshot = customer.emitted, observed.snapshot
    if emitted is None or snapshot is None or snapshot is customer.observed.snapshot:
        return emitted
    return replace(emitted, clocks=tuple(c for c in emitted.clocks if not settled(c, snapshot)))
