"""How facts change the records of alerts. Pure: each function depends on its arguments alone."""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from agents.alerts import surge_figures
from agents.alerts.state import (
    HOUR,
    AlertState,
    Climb,
    DeskStep,
    Escalations,
    Incidents,
    OpenWork,
    OverdueDesk,
    SilentChannel,
    Step,
    SurgeIncident,
    WorkStep,
    whole_minute,
)
from agents.decider import At
from schemas.records import (
    Assigned,
    ChannelChanged,
    CrisisClosed,
    CrisisOpened,
    Escalated,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    WorkChanged,
)
from schemas.times import rfc3339

SurgeEvent = SurgeOpened | SurgeUpdated | SurgeClosed | CrisisOpened | CrisisClosed
Records = dict[str, AlertState | None]
#: ms; a record that only says when something changed last is written again after this.
_SELDOM = HOUR // 2


def after_surge(state: Incidents, fact: SurgeEvent, at: At) -> Records:
    """The flood to which an event of a surge or crisis belongs, with the event: the flood that lists it; where it opens, the
    brand's running one or a new one. Nothing where the event was read before, or what it is about never opened.
    """
    incident = _flood_of(state, fact)
    if incident is None:
        return {}
    step = surge_figures.step(fact, at)
    own = "crises" if isinstance(fact, CrisisOpened | CrisisClosed) else "surges"
    seqs = {**getattr(incident, own), fact.aggregate: fact.seq}
    after = replace(incident, steps=[*incident.steps, step], **{own: seqs})
    return {after.fingerprint: after}


def _flood_of(state: Incidents, fact: SurgeEvent) -> SurgeIncident | None:
    known = state.of(fact.brand, SurgeIncident)
    own = next((one for one in known if fact.aggregate in one.surges or fact.aggregate in one.crises), None)
    if own is not None:
        return own if fact.seq > max(own.surges.get(fact.aggregate, 0), own.crises.get(fact.aggregate, 0)) else None
    if not isinstance(fact, SurgeOpened | CrisisOpened):
        return None
    running = next((one for one in known if one.will_run), None)
    begun_by: Literal["surge", "crisis"] = "surge" if isinstance(fact, SurgeOpened) else "crisis"
    return running or SurgeIncident(fact.brand, fact.aggregate, fact.mode, begun_by=begun_by)


def after_silence(state: Incidents, fact: ChannelChanged) -> Records:
    """The channel with the event; nothing where it was read before, or the channel was never silent."""
    fresh = SilentChannel(fact.brand, fact.channel, fact.mode, 0)
    known = state.known(fresh)
    if fact.seq <= known.seq or (known is fresh and fact.change != "silent"):
        return {}
    figures = {"channel": fact.channel, "since": rfc3339(fact.since), "expected": f"{fact.expected:.0f}"}
    change: Literal["channel_silent", "channel_heard"] = (
        "channel_silent" if fact.change == "silent" else "channel_heard"
    )
    step = Step(fact.time, change, fact.aggregate, fact.reason, fact.mode, figures, fact.id)
    return {known.fingerprint: replace(known, seq=fact.seq, mode=fact.mode, steps=[*known.steps, step])}


def after_work(state: Incidents, fact: WorkChanged) -> Records:
    """The work with the event; nothing where it was read before."""
    key = OpenWork(fact.brand, fact.aggregate, 0).key
    known = state.get(key)
    work = known if isinstance(known, OpenWork) else OpenWork(fact.brand, fact.aggregate, 0)
    if fact.seq <= work.seq:
        return {}
    step = WorkStep(
        fact.time,
        fact.desk,
        fact.change not in ("answered", "withdrawn"),
        fact.priority,
        fact.started_at,
        None if fact.non_sla else fact.due_at,
        fact.conversation,
        fact.operator if fact.change == "changed" else None,
        fact.case_id if _is_carried(state, fact) else None,
    )
    return {key: replace(work, seq=fact.seq, steps=[*work.steps, step])}


def after_desk(state: Incidents, fact: Escalated | Assigned) -> Records:
    """The work with the event of the desk; nothing where it was read before, tells nobody, or ends nothing.

    The rung `operator` tells nobody: the desk asks its own operators. A round of work that is not known is over: cases say that it
    begins before the desk can say more.
    """
    work = state.get(OpenWork(fact.brand, fact.aggregate, 0).key)
    if not isinstance(work, OpenWork) or fact.seq <= work.desk_seq:
        return {}
    climb = None
    if isinstance(fact, Escalated):
        if fact.rung not in ("responsible", "lead"):
            return {}
        climb = Climb(fact.time, fact.to, fact.rung, fact.desk, fact.reason.partition(": ")[2] or fact.reason)
    elif not (work.asked or work.desk_steps or any(step.escalated_to for step in work.steps)):
        return {}
    step = DeskStep(fact.time, climb)
    return {work.key: replace(work, desk_seq=fact.seq, desk_steps=[*work.desk_steps, step])}


def _is_carried(state: Incidents, fact: WorkChanged) -> bool:
    return any(fact.case_id in desk.carried for desk in state.of(fact.brand, OverdueDesk))


def after_step(state: Incidents, work: OpenWork, at: At) -> Records:
    """The work after its next event, and the desks and the people whose cases it makes to be counted."""
    if work.desk_steps and (not work.steps or work.desk_steps[0].time < work.steps[0].time):
        return _after_desk_step(state, work)
    step = work.steps[0]
    after = replace(work.after(step), steps=work.steps[1:])
    changed: Records = {work.key: after if step.waits else None}
    for desk in state.of(work.brand, OverdueDesk):
        if step.carried is not None and step.carried in desk.carried:
            left = {case: seen for case, seen in desk.carried.items() if case != step.carried}
            changed[desk.fingerprint] = replace(desk, carried=left).looked_at(step.time + 1)
    _look(state, changed, work, after, step, at)
    _look_at_what_fires(state, changed, work.brand, step.time)
    _look_at_people(state, changed, work, after, step.time)
    return {key: record for key, record in changed.items() if record is None or record != state.get(key)}


def _after_desk_step(state: Incidents, work: OpenWork) -> Records:
    """The work after the next event of its desk, and the people whose cases it makes to be counted."""
    step = work.desk_steps[0]
    after = replace(work.after_desk(step), desk_steps=work.desk_steps[1:])
    changed: Records = {work.key: after}
    _look_at_people(state, changed, work, after, step.time)
    return changed


def _look_at_people(state: Incidents, changed: Records, before: OpenWork, after: OpenWork, time: int) -> None:
    """Adds the people who were or are asked for a case, whose cases are to be counted after an event of a time (ms): at once where
    their alert does not fire, else at the next whole minute, so that a flood of climbs is counted once a minute.
    """
    for fingerprint, climb in {**before.asked, **after.asked}.items():
        fresh = Escalations(before.brand, climb.person, desk="" if climb.person else climb.desk)
        known: Any = changed.get(fingerprint) or state.known(fresh)
        fires = known.last_alert is not None and known.last_alert.firing
        look_at = whole_minute(time + 1) if fires else time + 1
        changed[fingerprint] = replace(known.looked_at(look_at), changed_at=time)


def _look_at_what_fires(state: Incidents, changed: Records, brand: str, time: int) -> None:
    """Adds the incidents of a brand that fire, which are looked at each minute for an hour after a case of the brand has changed:
    so a changed policy is noticed.
    """
    kinds: tuple[Any, ...] = (SurgeIncident, SilentChannel, OverdueDesk, Escalations)
    for kind in kinds:
        for known in state.of(brand, kind):
            if known.last_alert is None or not known.last_alert.firing or time - known.changed_at <= _SELDOM:
                continue
            found: Any = changed.get(known.fingerprint) or known
            if isinstance(found, OverdueDesk | Escalations):
                found = found.looked_at(time + 1)
            changed[known.fingerprint] = replace(found, changed_at=time)


def _look(state: Incidents, changed: Records, work: OpenWork, after: OpenWork, step: WorkStep, at: At) -> None:
    """Adds the desks whose cases are to be counted after an event, each with the time: where a case came to be overdue, will be
    or was, and where one is overdue already and the queue changes.
    """
    grace = at.policy.alerts.sla_grace
    counted, counts_at = work.counts_at(grace), after.counts_at(grace) if step.waits else None
    wanted: dict[str, list[int]] = {step.desk: [] if counts_at is None else [max(counts_at, step.time + 1)]}
    if work.newest is not None:
        was_late = counted is not None and counted <= step.time
        wanted.setdefault(work.newest.desk, []).extend([step.time + 1] if was_late else [])
    for name, times in wanted.items():
        fresh = OverdueDesk(work.brand, name)
        found = changed.get(fresh.fingerprint)
        desk = found if isinstance(found, OverdueDesk) else state.known(fresh)
        if desk.late or (desk.last_alert is not None and desk.last_alert.firing):
            desk = desk.looked_at(step.time + 1)
        for time in times:
            desk = desk.looked_at(time)
        if desk is not fresh and desk != state.get(fresh.fingerprint):
            changed[desk.fingerprint] = desk
