"""Brings the SLA clocks that have been told into line with what the timeline says they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from agents.cases import resolution
from agents.cases.state import FOREVER, Clock, Told
from agents.cases.telling import Teller, iso, span
from agents.cases.timeline import Life, Span, Timeline
from agents.policy import Brand
from schemas.records import ClockChange, ClockChanged, Label, Metric

Events = Iterator[ClockChanged]


class Wanted(NamedTuple):
    """What a clock should be by now."""

    metric: Metric
    cycle: int
    label: Label
    started_at: int
    due_at: int
    courtesy: bool
    rule: str
    ended_at: int | None = None
    """ms; None: it runs or is paused."""
    met: bool = False
    """Ended by an answer or a resolution; else, once ended, it is void."""
    why: str = ""
    """Why it is void."""
    privately: bool = False
    paused_at: int | None = None
    paused_ms: int = 0


def responses(line: Timeline) -> list[Wanted]:
    """The response clocks, by time; only the last may not have ended."""
    return [_response(s) for s in line.spans]


def _response(s: Span) -> Wanted:
    first, answer = s.governing, s.answer
    return Wanted(
        "next_response" if s.later else "first_response",
        s.cycle,
        first.label,
        s.members[0].at,
        first.due_at or 0,
        first.courtesy,
        first.rule,
        s.ended_at if answer is None else answer.at,
        answer is not None,
        s.why,
        answer is not None and answer.privately,
    )


def resolutions(line: Timeline, brand: Brand, lives: int) -> list[Wanted]:
    """The resolution clocks there is something to tell of; lives: how many had ended void before what is still kept."""
    found = []
    for life in line.lives:
        if life.told:
            lives += 1
            found.append(_resolution(line, life, lives, brand))
    return found


def _resolution(line: Timeline, life: Life, cycle: int, brand: Brand) -> Wanted:
    due = resolution.due(life, brand)
    first = resolution.governing(life, brand)
    return Wanted(
        "resolution",
        cycle,
        life.label if first is None else first.label,
        life.started_at,
        FOREVER if due is None else due,
        first is not None and first.courtesy,
        "none" if first is None else first.rule,
        life.ended_at,
        not life.void,
        line.why if life.void else "",
        False,
        life.paused_at,
        life.paused,
    )


def tell(teller: Teller, wanted: list[Wanted], arrival: bool) -> Events:
    """The events by which clocks become what they should be; arrival: a post has just been read."""
    for want in wanted:
        old = _find(teller.told, want)
        late = (want.ended_at or want.paused_at or teller.at.time) > want.due_at
        if old is None:
            yield from _first_told(teller, want, late, arrival)
        elif late != (old.detected_at is not None) or _should(old, want) != old:
            yield from _told_anew(teller, old, want, late, arrival)


def void_others(teller: Teller, wanted: list[Wanted]) -> Events:
    """The end of clocks that were told before a record that was read later showed that they never ran."""
    for old in teller.told.clocks:
        if not old.void and not any(w.cycle == old.cycle and w.metric == old.metric for w in wanted):
            why = f"voided: {old.label} on {teller.channel}, nothing wants this answer, as is now known"
            yield teller.clock("voided", replace(old, void=True, met_at=None, privately=False, paused_at=None), why)


def _find(told: Told, want: Wanted) -> Clock | None:
    for clock in told.clocks:
        if clock.cycle == want.cycle and clock.metric == want.metric:
            return clock
    return None


def _should(old: Clock, w: Wanted) -> Clock:
    """The clock as it should be told, but for breaches and warnings."""
    # Only measured: that it waits is told by what is left out when it goes on, or at its end.
    paused_at = w.paused_at if w.ended_at is None and w.due_at != FOREVER else None
    return Clock(
        metric=w.metric,
        cycle=w.cycle,
        label=w.label,
        started_at=w.started_at,
        due_at=w.due_at,
        courtesy=w.courtesy,
        warned=old.warned,
        met_at=w.ended_at if w.met else None,
        detected_at=old.detected_at,
        paused_at=paused_at,
        paused_ms=w.paused_ms,
        late_arrival=old.late_arrival,
        privately=w.privately,
        void=w.ended_at is not None and not w.met,
    )


def _first_told(teller: Teller, w: Wanted, late: bool, arrival: bool) -> Events:
    old = Clock(
        metric=w.metric, cycle=w.cycle, label=w.label, started_at=w.started_at, due_at=w.due_at, courtesy=w.courtesy
    )
    if w.due_at == FOREVER and w.ended_at is None:
        old = replace(old, paused_ms=w.paused_ms)  # its end, and that it goes on, come to be known together
    if w.due_at != FOREVER or w.ended_at is None:
        yield teller.clock("started", old, f"started: {_text(teller, w)}, due {_due(w)}, rule {w.rule}")
    if late or w.ended_at is not None or w.paused_at is not None:
        yield from _told_anew(teller, old, w, late, arrival)


def _told_anew(teller: Teller, old: Clock, w: Wanted, late: bool, arrival: bool) -> Events:
    """A breach is told before the end that comes after it, and one that no longer holds is taken back first."""
    should, text = _should(old, w), _text(teller, w)
    was_over = old.void or old.met_at is not None
    goes_on = w.ended_at is None and should.paused_at is None
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
    if goes_on and clock != old:
        moved: ClockChange = "tightened" if w.due_at <= old.due_at else "loosened"
        resumed = was_over or old.paused_at is not None or w.due_at == FOREVER
        change = "resumed" if resumed else moved
        yield teller.clock(change, clock, f"{change}: {text}, due {_due(w)}, rule {w.rule}")
        old = clock
    if late and clock.detected_at is None:
        # A late answer may be read before the Tick that passes the due: then it tells the breach itself.
        seen = max(teller.at.seen, w.ended_at or w.paused_at or 0)
        clock = replace(clock, detected_at=seen, late_arrival=arrival and w.due_at < teller.at.time)
        yield teller.clock("breached", clock, f"overdue: {text}, no {_end(w)} by {iso(w.due_at)}")
        old = clock
    should = replace(should, detected_at=clock.detected_at, late_arrival=clock.late_arrival)
    if should == old:
        return
    if should.void:
        yield teller.clock("voided", should, f"voided: {text}, {_VOID.get(w.why, w.why)}")
    elif should.paused_at is not None:
        yield teller.clock("paused", should, f"paused: {text}, waits for the customer since {iso(should.paused_at)}")
    elif should.met_at is not None and (should.met_at, should.paused_ms) != (old.met_at, old.paused_ms):
        yield teller.clock("met", should, f"met: {'late' if late else 'in time'}, {text}, {_met(w)}")
    else:
        change = "tightened" if should.due_at <= old.due_at else "loosened"
        yield teller.clock(change, should, f"{change}: {text}, due {_due(w)}, rule {w.rule}")


#: What ended a span without an answer, for people.
_VOID = {
    "resolved": "resolved by an operator without an answer",
    "no_target": "its case has closed by itself",
    "muted": "muted: the customer is muted",
    "no_reply": "no_reply: marked so by an operator",
    "deleted_unanswered": "deleted_unanswered: its author deleted the post before any answer",
    "relabelled": "label: what it is now has no target",
}


def _text(teller: Teller, w: Wanted) -> str:
    if w.due_at == FOREVER:
        return f"{w.metric} of a {w.label} on {teller.channel}, no target"
    target = span(teller.brand.counted(w.started_at, w.due_at))
    if w.metric == "resolution":
        return f"resolution of a {w.label} on {teller.channel}, target {target}"
    return f"{w.label} on {teller.channel}, target {target}"


def _due(w: Wanted) -> str:
    return "not set" if w.due_at == FOREVER else iso(w.due_at)


def _end(w: Wanted) -> str:
    return "resolution" if w.metric == "resolution" else "reply"


def _met(w: Wanted) -> str:
    if w.metric == "resolution":
        return f"closed {iso(w.ended_at or 0)}, {span(w.paused_ms)} of waiting left out"
    return f"replied {iso(w.ended_at or 0)}"


def _instead(w: Wanted) -> str:
    if w.ended_at is None:
        return f"due moved to {iso(w.due_at)}" if w.paused_at is None else f"paused {iso(w.paused_at)}"
    return f"{_end(w)} of {iso(w.ended_at)}" if w.met else f"ended {iso(w.ended_at)}"


def running(told: Told) -> Iterator[Clock]:
    """The clocks as told that run, neither ended nor paused."""
    for clock in told.clocks:
        if clock.met_at is None and clock.paused_at is None and not clock.void and clock.due_at != FOREVER:
            yield clock
