"""When a customer's record must be looked at again, what it warns of then, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.cases.clocks import running
from agents.cases.learning import lasting
from agents.cases.resolution import Life
from agents.cases.state import Act, Clock, Known, Learnt, Told
from agents.cases.telling import Teller
from agents.cases.timeline import Timeline
from agents.cases.wording import iso, span
from agents.policy import Brand
from agents.policy.policy import CasePolicy
from schemas.records import ClockChanged


def warnings(teller: Teller, line: Timeline) -> Iterator[ClockChanged]:
    """Those whose moment is now: one that had passed before its clock was known is not given."""
    for clock in running(teller.told):
        life, now = line.life if clock.metric == "resolution" else None, teller.at.time
        for percent in teller.judge.warn_at:
            if percent <= clock.warned:
                continue
            moment = _moment(teller.brand, clock, life, percent)
            if moment > now:
                break
            if moment == now:
                clock = replace(clock, warned=percent)
                used = f"{percent} % of {span(clock.target)}"
                yield teller.clock("warned", clock, f"warned: {used} used, due {iso(clock.due_at)}")


def _moment(brand: Brand, clock: Clock, life: Life | None, percent: int) -> int:
    """ms; when so much of the target will have been used."""
    if life is None or not life.pauses:
        return brand.after(clock.started_at, clock.target * percent // 100)
    since = life.pauses[-1][1]
    used = clock.target - brand.counted(since, clock.due_at)
    return brand.after(since, max(0, clock.target * percent // 100 - used))


def rest(teller: Teller, known: Known, line: Timeline) -> Learnt:
    """What to remember from here on, and until when; the next wake-up is always ahead."""
    now, cases, told = teller.at.time, teller.judge.cases, teller.customer.told
    wake = NEVER
    if known.kept:
        kept = tuple(k for k in known.kept if k.until > now)
        wake = min((k.until for k in kept), default=NEVER)
        known = replace(known, kept=kept)
    forget = False
    if told is not None:
        if line.closed_at is not None:
            end = max(line.closed_at, told.closed_at) + cases.reopen_within + cases.lateness
            forget = end <= now
            wake = min(wake, end)
        else:
            wake = min(wake, _next(teller, told, line))
    if told is None or forget:
        known, wake = _without_case(known, now, cases)
    return Learnt(teller.key, known, wake if wake != NEVER else None, forget)


#: ms; later than any time.
NEVER = 1 << 62


def _without_case(known: Known, now: int, cases: CasePolicy) -> tuple[Known, int]:
    """What may still matter to a post that is read later, and when (ms) the first of it no longer does."""
    answers = tuple(a for a in known.answers if a.at + cases.keep_reply > now)
    acts = tuple(a for a in lasting(known) if _until(a, cases) > now)
    moments = [k.until for k in known.kept]
    moments += [a.at + cases.keep_reply for a in answers[:1]]
    moments += [_until(a, cases) for a in acts]
    return Known(answers=answers, acts=acts, kept=known.kept), min(moments, default=NEVER)


def _until(act: Act, cases: CasePolicy) -> int:
    return act.until + cases.lateness if act.deed == "mute" else act.until


def _next(teller: Teller, told: Told, line: Timeline) -> int:
    """ms; the open case's next warning, breach or closing by itself."""
    now = teller.at.time
    idle = line.idle(teller.judge.cases)
    wake = NEVER if idle is None else max(idle.at, now + 1)
    for clock in running(told):
        life = line.life if clock.metric == "resolution" else None
        wake = min(wake, clock.due_at + 1)
        for percent in teller.judge.warn_at:
            if percent > clock.warned:
                moment = _moment(teller.brand, clock, life, percent)
                if moment > now:
                    wake = min(wake, moment)
                    break  # the later ones come later
    return wake
