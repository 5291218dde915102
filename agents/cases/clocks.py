"""Brings the SLA clocks that have been told into line with what the timeline says they are."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from agents.cases import resolution
from agents.cases.resolution import Life
from agents.cases.state import FOREVER, Base, Clock, Told, settled
from agents.cases.telling import Teller
from agents.cases.timeline import Span, Timeline
from agents.cases.wording import iso, span
from agents.policy import Brand
from schemas.records import ClockChange, ClockChanged

Events = Iterator[ClockChanged]


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """What a clock should be by now."""

    clock: Clock
    """But for a response clock's target, its warnings, and whether it is late."""
    rule: str
    ended_at: int | None = None
    """ms; None: it runs or is paused."""
    why: str = ""
    """Why it is void."""


def response(s: Span) -> Wanted:
    """The response clock of a span."""
    first, answer = s.governing, s.answer
    if answer is None:
        met_at, privately, ended_at = None, False, s.ended_at
    else:
        met_at = ended_at = answer.at
        privately = answer.privately
    clock = Clock(
        metric="next_response" if s.later else "first_response",
        cycle=s.cycle,
        label=first.timed_as,
        started_at=s.members[0].at,
        due_at=first.due_at or 0,
        courtesy=first.courtesy,
        met_at=met_at,
        privately=privately,
        void=ended_at is not None and met_at is None,
    )
    return Wanted(clock, first.rule, ended_at, s.why)


def resolving(line: Timeline, life: Life, cycle: int, brand: Brand) -> Wanted:
    """The resolution clock of one of the case's lives."""
    target = resolution.target(life, brand)
    over = life.ended_at is not None
    clock = Clock(
        metric="resolution",
        cycle=cycle,
        label=target.label,
        started_at=life.started_at,
        due_at=FOREVER if target.due_at is None else target.due_at,
        target=target.counted,
        courtesy=target.courtesy,
        met_at=None if life.void else life.ended_at,
        # Only measured: that it waits is told by what is left out when it goes on, or at its end.
        paused_at=None if over or target.due_at is None else life.paused_at,
        paused_ms=life.paused,
        void=life.void,
    )
    return Wanted(clock, target.rule, life.ended_at, line.why if life.void else "")


def tell(teller: Teller, wanted: list[Wanted], arrival: bool) -> Events:
    """The events by which clocks become what they should be; arrival: a post has just been read."""
    known = teller.told.clocks
    for want in wanted:
        clock = want.clock
        old = _find(known, clock)
        late = (want.ended_at or clock.paused_at or teller.at.time) > clock.due_at
        if old is None:
            yield from _first_told(teller, want, late, arrival)
        else:
            should = _as_told(clock, old)
            if late != (old.detected_at is not None) or should != old:
                yield from _told_anew(teller, old, should, want, late, arrival)


def never_ran(teller: Teller, wanted: list[Wanted], base: Base | None) -> Events:
    """The end of clocks that were told before a record that was read later showed that they never ran."""
    for old in teller.told.clocks:
        if not old.void and not _is_wanted(old, wanted) and not (base is not None and settled(old, base)):
            why = f"voided: {old.label} on {teller.channel}, nothing wants this answer, as is now known"
            yield teller.clock("voided", replace(old, void=True, met_at=None, privately=False, paused_at=None), why)


def _is_wanted(old: Clock, wanted: list[Wanted]) -> bool:
    return any(w.clock.cycle == old.cycle and w.clock.metric == old.metric for w in wanted)


def _find(clocks: tuple[Clock, ...], clock: Clock) -> Clock | None:
    for old in clocks:
        if old.cycle == clock.cycle and old.metric == clock.metric:
            return old
    return None


def _as_told(clock: Clock, old: Clock) -> Clock:
    return replace(
        clock, target=old.target, warned=old.warned, detected_at=old.detected_at, late_arrival=old.late_arrival
    )


def _timed(teller: Teller, clock: Clock, want: Wanted) -> Clock:
    """With its target."""
    if clock.metric == "resolution":
        return replace(clock, target=want.clock.target)
    return replace(clock, target=teller.brand.counted(clock.started_at, clock.due_at))


def _first_told(teller: Teller, w: Wanted, late: bool, arrival: bool) -> Events:
    clock = _timed(teller, w.clock, w)
    measured = clock.due_at == FOREVER
    if w.ended_at is None and clock.paused_at is None:
        # One that is only measured goes on after an end that comes to be known together with that.
        yield teller.clock("started", clock, f"started: {_text(teller, clock)}, due {_due(clock)}, rule {w.rule}")
        if not late:
            return
        old = clock
    else:
        old = replace(clock, met_at=None, privately=False, paused_at=None, paused_ms=0, void=False)
        if not measured:
            yield teller.clock("started", old, f"started: {_text(teller, clock)}, due {_due(clock)}, rule {w.rule}")
    yield from _told_anew(teller, old, clock, w, late, arrival)


def _told_anew(teller: Teller, old: Clock, should: Clock, w: Wanted, late: bool, arrival: bool) -> Events:
    """A breach is told before the end that comes after it, and one that no longer holds is taken back first."""
    if (should.started_at, should.due_at) != (old.started_at, old.due_at):
        should = _timed(teller, should, w)
    text = _text(teller, should)
    ended, goes_on = _over(old), w.ended_at is None and should.paused_at is None
    clock = should if goes_on else replace(
        should,
        met_at=old.met_at if should.met_at is not None else None,
        paused_at=old.paused_at if should.paused_at is not None else None,
        paused_ms=old.paused_ms,
        privately=old.privately,
        void=False,
    )  # fmt: skip
    if old.detected_at is not None and not late:
        clock = replace(clock, detected_at=None, late_arrival=False)
        yield teller.clock("rescinded", clock, f"rescinded: {text}, {_instead(w)}: not late after all")
        old = clock
    if (clock != old and goes_on) or (ended and w.ended_at is None):
        resumed = ended or old.paused_at is not None or clock.due_at == FOREVER
        change = "resumed" if resumed else _moved(old, clock)
        yield teller.clock(change, clock, f"{change}: {text}, due {_due(clock)}, rule {w.rule}")
        old = clock
    if late and clock.detected_at is None:
        # A late answer may be read before the Tick that passes the due: then it tells the breach itself.
        seen = max(teller.at.seen, w.ended_at or should.paused_at or 0)
        clock = replace(clock, detected_at=seen, late_arrival=arrival and clock.due_at < teller.at.time)
        yield teller.clock("breached", clock, f"overdue: {text}, no {_end(clock)} by {iso(clock.due_at)}")
        old = clock
    if should.detected_at != clock.detected_at:
        should = replace(should, detected_at=clock.detected_at, late_arrival=clock.late_arrival)
    if should == old:
        return
    if should.void:
        yield teller.clock("voided", should, f"voided: {text}, {_VOID.get(w.why, w.why)}")
    elif should.paused_at is not None:
        yield teller.clock("paused", should, f"paused: {text}, waits for the customer since {iso(should.paused_at)}")
    elif should.met_at is not None and (should.met_at, should.paused_ms) != (old.met_at, old.paused_ms):
        yield teller.clock("met", should, f"met: {'late' if late else 'in time'}, {text}, {_met(should)}")
    else:
        change = _moved(old, should)
        yield teller.clock(change, should, f"{change}: {text}, due {_due(should)}, rule {w.rule}")


def _over(clock: Clock) -> bool:
    return clock.void or clock.met_at is not None


def _moved(old: Clock, clock: Clock) -> ClockChange:
    return "tightened" if clock.due_at <= old.due_at else "loosened"


#: What ended a span without an answer, for people.
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


def _text(teller: Teller, clock: Clock) -> str:
    if clock.due_at == FOREVER:
        return f"resolution of a {clock.label} on {teller.channel}, no target"
    of = "resolution of a " if clock.metric == "resolution" else ""
    return f"{of}{clock.label} on {teller.channel}, target {span(clock.target)}"


def _due(clock: Clock) -> str:
    return "not set" if clock.due_at == FOREVER else iso(clock.due_at)


def _end(clock: Clock) -> str:
    return "resolution" if clock.metric == "resolution" else "reply"


def _met(clock: Clock) -> str:
    at = iso(clock.met_at or 0)
    if clock.metric == "resolution":
        return f"closed {at}, {span(clock.paused_ms)} of waiting left out"
    return f"replied {at}"


def _instead(w: Wanted) -> str:
    clock = w.clock
    if w.ended_at is None:
        return f"due moved to {iso(clock.due_at)}" if clock.paused_at is None else f"paused {iso(clock.paused_at)}"
    return f"{_end(clock)} of {iso(w.ended_at)}" if not clock.void else f"ended {iso(w.ended_at)}"


def running(told: Told) -> Iterator[Clock]:
    """The clocks as told that run towards a due that has not passed, neither ended nor paused."""
    for clock in told.clocks:
        if (
            clock.met_at is None
            and clock.detected_at is None
            and clock.paused_at is None
            and not clock.void
            and clock.due_at != FOREVER
        ):
            yield clock
