"""When a customer's record must be looked at again, what it warns of then, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from agents.cases.clocks import running
from agents.cases.state import Clock, Known, Learnt, Told
from agents.cases.telling import Teller, iso, span
from agents.cases.timeline import Life, Timeline
from agents.policy import Brand
from schemas.records import ClockChanged


def warnings(teller: Teller, line: Timeline) -> Iterator[ClockChanged]:
    """Those whose moment is now: one that had passed before its clock was known is not given."""
    for clock in running(teller.told):
        life, now = line.life if clock.metric == "resolution" else None, teller.at.time
        for percent in sorted(teller.at.policy.cases.warn_at):
            if percent <= clock.warned:
                continue
            moment = _moment(teller.brand, clock, life, percent)
            if moment > now:
                break
            if moment == now:
                target = span(_target(teller.brand, clock, life))
                clock = replace(clock, warned=percent)
                yield teller.clock("warned", clock, f"warned: {percent} % of {target} used, due {iso(clock.due_at)}")


def _target(brand: Brand, clock: Clock, life: Life | None) -> int:
    """ms; pauses left out."""
    return clock.target if life is None else clock.target - sum(brand.counted(*pause) for pause in life.pauses)


def _moment(brand: Brand, clock: Clock, life: Life | None, percent: int) -> int:
    """ms; when so much of the target will have been used."""
    if life is None or not life.pauses:
        return brand.after(clock.started_at, clock.target * percent // 100)
    target, since = _target(brand, clock, life), life.pauses[-1][1]
    used = target - brand.counted(since, clock.due_at)
    return brand.after(since, max(0, target * percent // 100 - used))


def rest(teller: Teller, known: Known, line: Timeline) -> Learnt:
    """What to remember from here on, and until when; the next wake-up is always ahead."""
    now, cases, told = teller.at.time, teller.at.policy.cases, teller.customer.told
    kept = known.kept
    if kept and any(k.until <= now for k in kept):
        kept = tuple(k for k in kept if k.until > now)
        known = replace(known, kept=kept)
    moments = [k.until for k in kept]
    forget = False
    if told is not None and line.closed_at is not None:
        end = line.closed_at + cases.reopen_within + cases.lateness
        forget = end <= now
        moments.append(end)
    elif told is not None:
        idle = line.idle(cases)
        if idle is not None:
            moments.append(max(idle.at, now + 1))
        _clocks(teller, told, line, moments)
    if told is None or forget:
        answers = tuple(a for a in known.answers if a.at + cases.keep_reply > now)
        acts = tuple(a for a in known.acts if a.until + (cases.lateness if a.deed == "mute" else 0) > now)
        known = Known(answers=answers, acts=acts, kept=kept)
        moments = [k.until for k in kept]
        moments += [a.at + cases.keep_reply for a in answers[:1]]
        moments += [a.until + (cases.lateness if a.deed == "mute" else 0) for a in acts]
    return Learnt(teller.key, known, min(moments, default=None), forget)


def _clocks(teller: Teller, told: Told, line: Timeline, moments: list[int]) -> None:
    now, brand = teller.at.time, teller.brand
    for clock in running(told):
        life = line.life if clock.metric == "resolution" else None
        moments.append(clock.due_at + 1)
        for percent in sorted(teller.at.policy.cases.warn_at):
            if percent > clock.warned:
                moment = _moment(brand, clock, life, percent)
                if moment > now:
                    moments.append(moment)
                    break  # the later ones come later
