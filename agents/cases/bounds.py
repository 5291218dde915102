"""The bounds of one customer's record, which keep it under 32 kB."""

from __future__ import annotations

from msgspec.structs import replace

from agents.cases.moments import placed
from agents.cases.state import ANSWERS, CASE_ACTIONS, GRAVITY, MESSAGES, CaseAction, Observed
from agents.cases.timeline import Timeline
from agents.policy import Brand

#: Kinds of actions of which only the last counts, by its own time.
_LAST_HOLDS = ("transfer", "escalate")


def bounded(observed: Observed, brand: Brand) -> Observed:
    """Returns the observations within the bounds.

    The oldest settled part becomes a snapshot. If nothing is settled, the least important messages, replies and actions are
    dropped.
    """
    if (
        len(observed.messages) <= MESSAGES
        and len(observed.answers) <= ANSWERS
        and len(observed.actions) <= CASE_ACTIONS
    ):
        return observed
    observed = replace(observed, answers=placed(observed))
    while len(observed.answers) > ANSWERS:
        observed = _settled(observed, observed.answers[0].at, brand) or replace(observed, answers=observed.answers[1:])
    while len(observed.actions) > CASE_ACTIONS:
        observed = _settled(observed, observed.actions[0].at, brand) or _fewer_acts(observed)
    while len(observed.messages) > MESSAGES:
        observed = _earliest_settled(observed, brand) or _fewer_messages(observed)
    return observed


def _settled(observed: Observed, at: int, brand: Brand) -> Observed | None:
    """Puts everything up to a time (ms) into a snapshot; None: there was no case yet, or a message waited at that time."""
    line = Timeline(observed, at)
    if line.opened_at is None or line.pending:
        return None
    return replace(
        observed,
        messages=tuple(m for m in observed.messages if m.at > at),
        answers=tuple(a for a in observed.answers if a.at > at),
        actions=tuple(a for a in observed.actions if a.at > at),
        snapshot=line.snapshot(at, brand),
    )


def _earliest_settled(observed: Observed, brand: Brand) -> Observed | None:
    ends = sorted([a.at for a in observed.answers] + [a.at for a in observed.actions])
    for at in ends:
        if at >= observed.messages[0].at:
            found = _settled(observed, at, brand)
            if found is not None:
                return found
    return None


def _fewer_acts(observed: Observed) -> Observed:
    """Drops one action: an action that a later one of its kind replaces, else a wait, else the oldest."""

    def loss(n: int) -> tuple[int, int]:
        action = observed.actions[n]
        outdone = action.kind in _LAST_HOLDS and any(a.kind == action.kind for a in observed.actions[n + 1 :])
        return (0 if outdone else 1 if action.kind == "wait" else 2), n

    least = min(range(len(observed.actions)), key=loss)
    return replace(observed, actions=_without(observed.actions, least))


def _without(actions: tuple[CaseAction, ...], n: int) -> tuple[CaseAction, ...]:
    return actions[:n] + actions[n + 1 :]


def _fewer_messages(observed: Observed) -> Observed:
    """Drops one message that sets no clock's start or due: the least grave message, of several the oldest."""
    line = Timeline(observed)
    needed: set[str] = {observed.messages[0].native_id}
    pending = {m.native_id for m in line.pending}
    if line.running is not None:
        needed |= {line.running.members[0].native_id, line.running.governing.native_id}
    by = [m for m in line.period.members if m.resolve_by is not None] if line.period is not None else []
    if by:
        needed.add(min(by, key=lambda m: (m.resolve_by or 0, m.at)).native_id)
    least = min(
        (m for m in observed.messages if m.native_id not in needed),
        key=lambda m: (m.native_id in pending, GRAVITY[m.label], m.at, m.native_id),
    )
    return replace(observed, messages=tuple(m for m in observed.messages if m is not least))
