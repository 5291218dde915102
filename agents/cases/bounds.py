"""Keeps one customer's record small, whatever comes."""

from __future__ import annotations

from msgspec.structs import replace

from agents.cases.moments import placed
from agents.cases.state import ACTS, ANSWERS, GRAVITY, MESSAGES, Act, Known
from agents.cases.timeline import Timeline
from agents.policy import Brand

#: Of these the last by its own time says all that the earlier ones did.
_LAST_HOLDS = ("transfer", "escalate")


def bounded(known: Known, brand: Brand) -> Known:
    """Within the bounds: the oldest that has been settled is drawn together, then what tells least is dropped."""
    if len(known.messages) <= MESSAGES and len(known.answers) <= ANSWERS and len(known.acts) <= ACTS:
        return known
    known = replace(known, answers=placed(known))
    while len(known.answers) > ANSWERS:
        known = _settled(known, known.answers[0].at, brand) or replace(known, answers=known.answers[1:])
    while len(known.acts) > ACTS:
        known = _settled(known, known.acts[0].at, brand) or _fewer_acts(known)
    while len(known.messages) > MESSAGES:
        known = _earliest_settled(known, brand) or _fewer_messages(known)
    return known


def _settled(known: Known, at: int, brand: Brand) -> Known | None:
    """What came up to a time (ms) as one Base; None where there is no case yet or something was left to answer then."""
    line = Timeline(known, at)
    if line.opened_at is None or line.pending:
        return None
    return replace(
        known,
        messages=tuple(m for m in known.messages if m.at > at),
        answers=tuple(a for a in known.answers if a.at > at),
        acts=tuple(a for a in known.acts if a.at > at),
        base=line.snapshot(at, brand),
    )


def _earliest_settled(known: Known, brand: Brand) -> Known | None:
    ends = sorted([a.at for a in known.answers] + [a.at for a in known.acts])
    for at in ends:
        if at >= known.messages[0].at:
            found = _settled(known, at, brand)
            if found is not None:
                return found
    return None


def _fewer_acts(known: Known) -> Known:
    """Without the oldest whose loss changes least: one that a later of its kind outdoes, else a wait, else the oldest."""

    def loss(n: int) -> tuple[int, int]:
        act = known.acts[n]
        outdone = act.deed in _LAST_HOLDS and any(a.deed == act.deed for a in known.acts[n + 1 :])
        return (0 if outdone else 1 if act.deed == "wait" else 2), n

    least = min(range(len(known.acts)), key=loss)
    return replace(known, acts=_without(known.acts, least))


def _without(acts: tuple[Act, ...], n: int) -> tuple[Act, ...]:
    return acts[:n] + acts[n + 1 :]


def _fewer_messages(known: Known) -> Known:
    """Without one that sets no clock's start or due, of those the least grave and oldest."""
    line = Timeline(known)
    telling: set[str] = {known.messages[0].native_id}
    pending = {m.native_id for m in line.pending}
    if line.running is not None:
        telling |= {line.running.members[0].native_id, line.running.governing.native_id}
    by = [m for m in line.life.members if m.resolve_by is not None] if line.life is not None else []
    if by:
        telling.add(min(by, key=lambda m: (m.resolve_by or 0, m.at)).native_id)
    least = min(
        (m for m in known.messages if m.native_id not in telling),
        key=lambda m: (m.native_id in pending, GRAVITY[m.label], m.at, m.native_id),
    )
    return replace(known, messages=tuple(m for m in known.messages if m is not least))
