"""The events that make the emitted SLA clocks agree with the timeline."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from agents.cases import resolution
from agents.cases.event_factory import EventFactory
from agents.cases.resolution import ResolutionPeriod
from agents.cases.state import Emitted, SlaClock, Snapshot, settled
from agents.cases.timeline import ResponseWindow, Timeline
from agents.cases.wording import duration
from agents.policy import Brand
from schemas.records import ClockChange, ClockChanged
from schemas.times import rfc3339

Events = Iterator[ClockChanged]


class DesiredClock(msgspec.Struct, frozen=True, gc=False):
    """A clock as the timeline says it should be."""

    clock: SlaClock
    """The clock; its warnings and breach are not filled in, and for a response clock neither is its target."""
    rule: str
    ended_at: int | None = None
    """ms; None: it runs or is paused."""
    why: str = ""
    """Why the clock is void."""


def response(window: ResponseWindow) -> DesiredClock:
    """Returns the response clock of a window."""
    first, answer = window.governing, window.answer
    if answer is None:
        met_at, privately, ended_at = None, False, window.ended_at
    else:
        met_at = ended_at = answer.at
        privately = answer.privately
    clock = SlaClock(
        metric="next_response" if window.later else "first_response",
        cycle=window.cycle,
        label=first.timed_as,
        started_at=window.members[0].at,
        due_at=first.due_at,
        non_sla=first.non_sla,
        met_at=met_at,
        privately=privately,
        void=ended_at is not None and met_at is None,
    )
    return DesiredClock(clock, first.rule, ended_at, window.why)


def resolving(line: Timeline, period: ResolutionPeriod, cycle: int, brand: Brand) -> DesiredClock:
    """Returns the resolution clock of one of the case's resolution periods."""
    target = resolution.target(period, brand)
    over = period.ended_at is not None
    clock = SlaClock(
        metric="resolution",
        cycle=cycle,
        label=target.label,
        started_at=period.started_at,
        due_at=target.due_at,
        target_ms=target.target_ms,
        non_sla=target.non_sla,
        met_at=None if period.void else period.ended_at,
        # No `paused` is emitted for a clock without a target: its pauses are in `paused_ms` when the clock goes on or
        # ends.
        paused_at=None if over or target.due_at is None else period.paused_at,
        paused_ms=period.paused,
        void=period.void,
    )
    return DesiredClock(clock, target.rule, period.ended_at, line.close_reason if period.void else "")


def emit(factory: EventFactory, desired: list[DesiredClock], arrival: bool) -> Events:
    """Yields the events that make the emitted clocks equal to the desired clocks; `arrival`: whether the step's fact is
    a post.
    """
    emitted = factory.emitted.clocks
    for one in desired:
        clock, due = one.clock, one.clock.due_at
        old = _find(emitted, clock)
        late = due is not None and (one.ended_at or clock.paused_at or factory.at.time) > due
        if old is None:
            yield from _first_events(factory, one, late, arrival)
        else:
            should = _as_emitted(clock, old)
            if late != (old.detected_at is not None) or should != old:
                yield from _later_events(factory, old, should, one, late, arrival)


def never_ran(factory: EventFactory, desired: list[DesiredClock], snapshot: Snapshot | None) -> Events:
    """Yields events that void emitted clocks which, as a later record shows, never ran."""
    for old in factory.emitted.clocks:
        if not old.void and not _is_desired(old, desired) and not (snapshot is not None and settled(old, snapshot)):
            why = f"voided: {old.label} on {factory.channel}, nothing wants this answer, as is now known"
            yield factory.clock("voided", replace(old, void=True, met_at=None, privately=False, paused_at=None), why)


def _is_desired(old: SlaClock, desired: list[DesiredClock]) -> bool:
    return any(w.clock.cycle == old.cycle and w.clock.metric == old.metric for w in desired)


def _find(clocks: tuple[SlaClock, ...], clock: SlaClock) -> SlaClock | None:
    for old in clocks:
        if old.cycle == clock.cycle and old.metric == clock.metric:
            return old
    return None


def _as_emitted(clock: SlaClock, old: SlaClock) -> SlaClock:
    return replace(
        clock, target_ms=old.target_ms, warned=old.warned, detected_at=old.detected_at, late_arrival=old.late_arrival
    )


def _timed(factory: EventFactory, clock: SlaClock, desired: DesiredClock) -> SlaClock:
    """Returns the clock with its target filled in."""
    if clock.metric == "resolution":
        return replace(clock, target_ms=desired.clock.target_ms)
    return replace(clock, target_ms=factory.brand.counted(clock.started_at, clock.deadline))


def _first_events(factory: EventFactory, w: DesiredClock, late: bool, arrival: bool) -> Events:
    clock = _timed(factory, w.clock, w)
    measured = clock.due_at is None
    if w.ended_at is None and clock.paused_at is None:
        yield factory.clock("started", clock, f"started: {_text(factory, clock)}, due {_due(clock)}, rule {w.rule}")
        if not late:
            return
        old = clock
    else:
        old = replace(clock, met_at=None, privately=False, paused_at=None, paused_ms=0, void=False)
        if not measured:
            yield factory.clock("started", old, f"started: {_text(factory, clock)}, due {_due(clock)}, rule {w.rule}")
    yield from _later_events(factory, old, clock, w, late, arrival)


def _later_events(
    factory: EventFactory, old: SlaClock, should: SlaClock, w: DesiredClock, late: bool, arrival: bool
) -> Events:
    """Yields the changes of a clock that was emitted before, in this order.

    1. A breach that no longer holds is rescinded.
    2. The clock goes on, or its due moves.
    3. A breach.
    4. The clock ends, pauses, or changes otherwise.
    """
    if (should.started_at, should.due_at) != (old.started_at, old.due_at):
        should = _timed(factory, should, w)
    text = _text(factory, should)
    ended, goes_on = _over(old), w.ended_at is None and should.paused_at is None
    clock = should if goes_on else _before_its_end(should, old)
    if old.detected_at is not None and not late:
        clock = replace(clock, detected_at=None, late_arrival=False)
        yield factory.clock("rescinded", clock, f"rescinded: {text}, {_instead(w)}: not late after all")
        old = clock
    if (clock != old and goes_on) or (ended and w.ended_at is None):
        resumed = ended or old.paused_at is not None or clock.due_at is None
        change = "resumed" if resumed else _moved(old, clock)
        yield factory.clock(change, clock, f"{change}: {text}, due {_due(clock)}, rule {w.rule}")
        old = clock
    if late and clock.detected_at is None:
        # A late reply may be read before the Tick that passes the due. The breach then counts as seen at the reply's time.
        seen = max(factory.at.seen, w.ended_at or should.paused_at or 0)
        clock = replace(clock, detected_at=seen, late_arrival=arrival and clock.deadline < factory.at.time)
        yield factory.clock("breached", clock, f"overdue: {text}, no {_end(clock)} by {rfc3339(clock.deadline)}")
        old = clock
    if should.detected_at != clock.detected_at:
        should = replace(should, detected_at=clock.detected_at, late_arrival=clock.late_arrival)
    if should != old:
        yield _last_event(factory, old, should, w, late, text)


def _before_its_end(should: SlaClock, old: SlaClock) -> SlaClock:
    """The clock with its new start and due, but not yet with its end or pause."""
    return replace(
        should,
        met_at=old.met_at if should.met_at is not None else None,
        paused_at=old.paused_at if should.paused_at is not None else None,
        paused_ms=old.paused_ms,
        privately=old.privately,
        void=False,
    )


def _last_event(
    factory: EventFactory, old: SlaClock, should: SlaClock, w: DesiredClock, late: bool, text: str
) -> ClockChanged:
    """The change that ends or pauses the clock; else the change that moves its due."""
    if should.void:
        return factory.clock("voided", should, f"voided: {text}, {_VOID.get(w.why, w.why)}")
    if should.paused_at is not None:
        return factory.clock(
            "paused", should, f"paused: {text}, waits for the customer since {rfc3339(should.paused_at)}"
        )
    if should.met_at is not None and (should.met_at, should.paused_ms) != (old.met_at, old.paused_ms):
        return factory.clock("met", should, f"met: {'late' if late else 'in time'}, {text}, {_met(should)}")
    change = _moved(old, should)
    return factory.clock(change, should, f"{change}: {text}, due {_due(should)}, rule {w.rule}")


def _over(clock: SlaClock) -> bool:
    return clock.void or clock.met_at is not None


def _moved(old: SlaClock, clock: SlaClock) -> ClockChange:
    sooner = old.due_at is None or (clock.due_at is not None and clock.due_at <= old.due_at)
    return "tightened" if sooner else "loosened"


#: Why a response window ended without an answer, as the event's reason says it.
_VOID = {
    "resolved": "resolved by an operator without an answer",
    "no_target": "its case has closed by itself",
    "muted": "muted: the customer is muted",
    "no_reply": "no_reply: marked so by an operator",
    "deleted_unanswered": "deleted_unanswered: the post was deleted or hidden before any answer",
    "hidden": "hidden: the post was hidden before any answer",
    "edited": "edited: its author has changed the words",
    "relabelled": "label: what it is now has no target",
}


def _text(factory: EventFactory, clock: SlaClock) -> str:
    if clock.due_at is None:
        return f"resolution of a {clock.label} on {factory.channel}, no target"
    of = "resolution of a " if clock.metric == "resolution" else ""
    return f"{of}{clock.label} on {factory.channel}, target {duration(clock.target_ms or 0)}"


def _due(clock: SlaClock) -> str:
    return "not set" if clock.due_at is None else rfc3339(clock.due_at)


def _end(clock: SlaClock) -> str:
    return "resolution" if clock.metric == "resolution" else "reply"


def _met(clock: SlaClock) -> str:
    at = rfc3339(clock.met_at or 0)
    if clock.metric == "resolution":
        return f"closed {at}, {duration(clock.paused_ms)} of waiting left out"
    return f"replied {at}"


def _instead(w: DesiredClock) -> str:
    clock = w.clock
    if w.ended_at is None:
        return f"due moved to {_due(clock)}" if clock.paused_at is None else f"paused {rfc3339(clock.paused_at)}"
    return f"{_end(clock)} of {rfc3339(w.ended_at)}" if not clock.void else f"ended {rfc3339(w.ended_at)}"


def running(emitted: Emitted) -> Iterator[SlaClock]:
    """Yields the emitted clocks that run towards a due: clocks that have not ended or breached, are not paused, and
    have a target.
    """
    for clock in emitted.clocks:
        if (
            clock.met_at is None
            and clock.detected_at is None
            and clock.paused_at is None
            and not clock.void
            and clock.due_at is not None
        ):
            yield clock
