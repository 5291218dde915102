"""When a customer's timer fires, which warnings are due at that time, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.cases.clocks import running
from agents.cases.event_factory import EventFactory
from agents.cases.learning import lasting
from agents.cases.resolution import ResolutionPeriod
from agents.cases.state import CaseAction, CaseForgotten, CustomerNoted, Emitted, Observed, SlaClock
from agents.cases.timeline import Timeline
from agents.cases.wording import duration
from agents.policy import Brand
from agents.policy.policy import CasePolicy
from schemas.records import ClockChanged
from schemas.times import rfc3339


def warnings(factory: EventFactory, line: Timeline) -> Iterator[ClockChanged]:
    """Yields the warnings that are due at this moment. A warning whose time had passed before its clock was known is
    left out.
    """
    for clock in running(factory.emitted):
        period, now = line.period if clock.metric == "resolution" else None, factory.at.time
        for percent in factory.view.warn_at:
            if percent <= clock.warned:
                continue
            moment = _moment(factory.brand, clock, period, percent)
            if moment > now:
                break
            if moment == now:
                clock = replace(clock, warned=percent)
                used = f"{percent} % of {duration(clock.target_ms or 0)}"
                yield factory.clock("warned", clock, f"warned: {used} used, due {rfc3339(clock.deadline)}")


def _moment(brand: Brand, clock: SlaClock, period: ResolutionPeriod | None, percent: int) -> int:
    """ms; when this percentage of the target is used."""
    target_ms = clock.target_ms or 0
    if period is None or not period.pauses:
        return brand.after(clock.started_at, target_ms * percent // 100)
    since = period.pauses[-1][1]
    used = target_ms - brand.counted(since, clock.deadline)
    return brand.after(since, max(0, target_ms * percent // 100 - used))


def remember(factory: EventFactory, observed: Observed, line: Timeline) -> CustomerNoted | CaseForgotten:
    """Returns the note with the observations and the time of the next timer, which is always later than the step."""
    now, cases, emitted = factory.at.time, factory.view.cases, factory.customer.emitted
    wake = NEVER
    if observed.post_changes:
        lasts = tuple(c for c in observed.post_changes if c.until > now)
        wake = min((c.until for c in lasts), default=NEVER)
        observed = replace(observed, post_changes=lasts)
    forget = False
    if emitted is not None:
        if line.closed_at is not None:
            end = max(line.closed_at, emitted.closed_at) + cases.reopen_within + cases.lateness
            forget = end <= now
            wake = min(wake, end)
        else:
            wake = min(wake, _next(factory, emitted, line))
    if emitted is None or forget:
        observed, wake = _without_case(observed, now, cases)
    note = CaseForgotten if forget else CustomerNoted
    return note(factory.key, observed, wake if wake != NEVER else None)


#: ms; later than any time.
NEVER = 1 << 62


def _without_case(observed: Observed, now: int, cases: CasePolicy) -> tuple[Observed, int]:
    """The observations that may still count for a post that is read later, and when (ms) the first of them stops to
    count.
    """
    answers = tuple(a for a in observed.answers if a.at + cases.keep_reply > now)
    actions = tuple(a for a in lasting(observed) if _until(a, cases) > now)
    moments = [c.until for c in observed.post_changes]
    moments += [a.at + cases.keep_reply for a in answers[:1]]
    moments += [_until(a, cases) for a in actions]
    return Observed(answers=answers, actions=actions, post_changes=observed.post_changes), min(moments, default=NEVER)


def _until(action: CaseAction, cases: CasePolicy) -> int:
    return action.until + cases.lateness if action.kind == "mute" else action.until


def _next(factory: EventFactory, emitted: Emitted, line: Timeline) -> int:
    """ms; the next warning, breach or automatic closing of an open case."""
    now = factory.at.time
    idle = line.idle(factory.view.cases)
    wake = NEVER if idle is None else max(idle.at, now + 1)
    for clock in running(emitted):
        period = line.period if clock.metric == "resolution" else None
        wake = min(wake, clock.deadline + 1)
        for percent in factory.view.warn_at:
            if percent > clock.warned:
                moment = _moment(factory.brand, clock, period, percent)
                if moment > now:
                    wake = min(wake, moment)
                    break  # the warnings at higher percentages come later
    return wake
