"""What is to be done, and when, while nobody has answered an item: `WorkItem.steps`."""

from __future__ import annotations

from agents.decider import At
from agents.desk.state import LEAD, OPERATOR, RESPONSIBLE, Step, WorkItem
from agents.policy import Desk
from schemas.records import WorkChanged

_RELAX = (25, 50, 75)
"""Percent of the target used at which a third of the wanted skills is no longer asked for, and with the last the language."""


def steps_of(fact: WorkChanged, item: WorkItem | None, desk: Desk, at: At) -> tuple[tuple[int, Step], ...]:
    """Returns the steps of an item after a WorkChanged, by the policy in force: (when in ms, what), the earliest first.

    item: as it was before; None: it is new. What was done already is not done again. A moment that is over is now.
    """
    due = fact.due_at if fact.due_at is not None else fact.started_at + at.policy.cases.no_target
    target = max(1, due - fact.started_at)

    def moment(percent: int) -> int:
        return max(at.time, fact.started_at + target * percent // 100)

    relaxed, rung = (0, 0) if item is None else (item.relaxed, item.rung)
    steps: list[tuple[int, Step]] = []
    if fact.skills or fact.lang != "und":
        steps += [(moment(percent), "relax") for percent in _RELAX[relaxed:]]
    if fact.due_at is not None and not fact.non_sla:
        ladder: tuple[tuple[int, Step, int], ...] = (
            (OPERATOR, "operator", desk.ladder.operator),
            (RESPONSIBLE, "responsible", desk.ladder.responsible),
            (LEAD, "lead", desk.ladder.lead),
        )
        steps += [(moment(percent), step) for number, step, percent in ladder if number > rung]
        if desk.holding is not None and not (item is not None and item.held):
            steps.append((moment(desk.holding.at), "holding"))
    if item is not None:
        steps += [step for step in item.steps if step[1] in ("overflow", "unaccepted")]
    elif desk.overflow is not None:
        steps.append((at.time + desk.overflow_after, "overflow"))
    return tuple(sorted(steps))


def missed(item: WorkItem, at: At) -> list[tuple[int, Step]]:
    """Returns the steps of an item that comes back to the queue whose moment passed while somebody had it."""
    desk, waiting = at.policy.desk(item.where), {step for _, step in item.steps}
    steps: list[tuple[int, Step]] = []
    if desk.overflow is not None and "overflow" not in waiting:
        steps.append((max(at.time, item.queued_at + desk.overflow_after), "overflow"))
    if desk.holding is not None and item.due_at is not None and not item.held and "holding" not in waiting:
        steps.append((at.time, "holding"))
    if item.rung == RESPONSIBLE and desk.lead is not None and "unaccepted" not in waiting:
        steps.append((at.time + at.policy.alerts.unaccepted, "unaccepted"))
    return steps


def used(item: WorkItem, now: int) -> int:
    """Returns how much of an item's target is used at `now` (ms), in percent; 0 where it has none."""
    if item.due_at is None:
        return 0
    return max(0, (now - item.started_at) * 100 // max(1, item.due_at - item.started_at))
