"""How events and notes change what is remembered of a customer."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agents.cases.state import Clock, Customer, Learnt, Told, settled
from schemas.records import CaseChanged, CaseClosed, CaseOpened, CaseReopened, ClockChanged, WorkChanged


def evolve(customer: Customer, event: Any) -> Customer | None:
    """The customer's record after an event or a note; None when nothing is left to remember."""
    kind = type(event)
    if kind is Learnt:
        return _learnt(customer, event)
    if kind is CaseOpened:
        return Customer(customer.known, _opened(event), customer.wake)
    told = customer.told
    if told is None:
        raise LookupError(f"{kind.__name__} for a customer without a case: the log and the state disagree")
    if kind is ClockChanged:
        told = replace(told, seq=event.seq, clocks=_clocks(told.clocks, event))
    elif kind is WorkChanged:
        told = _work(told, event)
    elif kind is CaseChanged:
        told = _changed(told, event)
    elif kind is CaseClosed:
        told = replace(told, seq=event.seq, label=event.label, why=event.why, closed_at=event.time)
    elif kind is CaseReopened:
        told = replace(
            told,
            seq=event.seq,
            label=event.label,
            priority=event.priority,
            why=None,
            waiting=False,
            escalated=False,
            reopened=told.reopened + 1,
        )
    else:
        raise TypeError(f"cases cannot apply {kind.__name__}")
    return Customer(customer.known, told, customer.wake)


def _opened(event: CaseOpened) -> Told:
    return Told(
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


def _changed(told: Told, event: CaseChanged) -> Told:
    return replace(
        told,
        seq=event.seq,
        desk=event.desk,
        label=event.label,
        priority=event.priority,
        waiting=event.waiting,
        escalated=told.escalated or event.change == "escalated",
        reach=told.reach if event.reach is None else event.reach,
        promoted=told.promoted or bool(event.promoted),
        muted_until=told.muted_until if event.muted_until is None else event.muted_until,
    )


def _work(told: Told, event: WorkChanged) -> Told:
    if event.change == "answered" or event.change == "withdrawn":
        return replace(told, work=0, skills=(), window=None)
    rounds = told.rounds + (event.change == "queued")
    return replace(told, work=event.seq, rounds=rounds, skills=tuple(event.skills), window=event.window_closes_at)


def _clocks(clocks: tuple[Clock, ...], event: ClockChanged) -> tuple[Clock, ...]:
    metric, cycle = event.metric, event.cycle
    at, old = None, None
    for n, clock in enumerate(clocks):
        if clock.cycle == cycle and clock.metric == metric:
            at, old = n, clock
    clock = Clock(
        metric=metric,
        cycle=cycle,
        label=event.label,
        started_at=event.started_at,
        due_at=event.due_at,
        target=event.target,
        courtesy=event.courtesy,
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


def _learnt(customer: Customer, note: Learnt) -> Customer | None:
    known, told = note.known, None if note.forget else customer.told
    if told is None:
        if not (known.answers or known.acts or known.kept):
            return None
    elif known.base is not None and known.base is not customer.known.base:
        told = replace(told, clocks=tuple(c for c in told.clocks if not settled(c, known.base)))
    return Customer(known, told, note.wake)
