"""Offers: an item that waits finds its operator, an operator with room finds their next item, and what comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from agents.decider import At, StateNote
from agents.desk import holding_replies, ladder
from agents.desk.choice import Choice, choose, chosen_by
from agents.desk.index import DeskState, Person, Profile, Want, fits
from agents.desk.order import OrderedQueue, Pick
from agents.desk.plan import missed
from agents.desk.state import RESPONSIBLE, ItemNoted, RowNoted, Turns, WorkItem, turns_key
from schemas.records import Assigned, Decided, Offered, Overflowed, Returned, ReturnReason, WorkChanged
from schemas.times import rfc3339

Events = Iterator[Decided | StateNote]
#: A case climbs when it has come back so often, and again after as many returns.
RETURNS = 3


def place(state: DeskState, key: str, at: At) -> Events:
    """Offers an item that has come into the queue, or can be offered to more people than before, if somebody may have it now."""
    item = state.item(key)
    if item is None or item.status != "queued":
        return
    choice = choose(state, item, at.time)
    if choice is not None and item.reserved_for is None and _something_heavier_waits(state, item, choice.person):
        yield from fill(state, choice.person.name, at)
    elif choice is not None:
        yield _offered(state, item, choice, "nothing else waits for them", at)


def fill(state: DeskState, name: str, at: At) -> Events:
    """Offers an operator the items that are next for them, until they have no room."""
    while (person := state.people.get(name)) is not None and person.room > 0:
        key = _asked_for(state, person)
        pick = None if key is not None else _next(state, person, at)
        if pick is not None:
            key = pick.key
        item = None if key is None else state.item(key)
        if item is None:
            return
        desk = state.placed(item)[0]
        choice = chosen_by(state, item, person, at.time)
        yield _offered(state, item, choice, "asked for them" if pick is None else pick.reason, at)
        if pick is not None and pick.turns is not None:
            yield RowNoted(turns_key(desk), pick.turns)


def fill_all(state: DeskState, desks: Iterable[str], at: At) -> Events:
    """Offers what waits at some desks to all who are free there, because much has changed at once."""
    for desk in sorted(set(desks)):
        for name in sorted({rank.name for ranks in state.free.get(desk, {}).values() for rank in ranks}):
            yield from fill(state, name, at)


def fill_after(state: DeskState, desk: str, before: Collection[Profile], at: At) -> Events:
    """Offers what others may have now that somebody has left a desk or signed in anew: what the last operator had given back, and
    what asks for something that nobody there has any more. before: what those at the desk could do.
    """
    sole = state.sole(desk)
    if any(profile not in state.profiles.get(desk, {}) for profile in before):
        yield from fill_all(state, [desk], at)
    elif sole is not None:
        yield from fill(state, sole.name, at)


def returned(
    state: DeskState, key: str, why: ReturnReason, at: At, *, rest: int | None = None, climbs: bool = True
) -> Events:
    """Puts an item back into the queue, in its old place; for a while it is not offered to the same operator.

    rest: ms; None: the policy's `retry_after`. A case that comes back for the third time climbs; climbs: whether it may.
    """
    item = state.item(key)
    if item is None or item.operator is None:
        return
    operator, at, desk = item.operator, at.not_before(item.last_event_at), state.placed(item)[0]
    yield Returned(
        **at.envelope(item.work_id, item.seq + 1, f"{why}: {operator} had it {item.status}"),
        desk=desk,
        case_id=item.case_id,
        brand=item.brand,
        operator=operator,
        offer_id=item.offer_id or "",
        return_reason=why,
        times=item.returns + 1,
    )
    until = at.time + (at.policy.desk(item.where).retry_after if rest is None else rest)
    steps = tuple(sorted((*item.steps, *missed(item, at))))
    yield ItemNoted(key, {"resting": item.resting_with(operator, until), "steps": steps})
    times = item.returns + 1
    if climbs and times % RETURNS == 0:
        rung = RESPONSIBLE + times // RETURNS - 1
        yield from ladder.climb(state, key, rung, f"it has come back {times} times", at)


def accepted(state: DeskState, key: str, at: At) -> Events:
    """The operator to whom an item is offered has it from now on."""
    item = state.item(key)
    if item is None or item.operator is None:
        return
    waited_ms = max(0, at.time - item.queued_at)
    yield Assigned(
        **at.envelope(item.work_id, item.seq + 1, f"accepted: after {waited_ms // 1000} s in the queue"),
        desk=state.placed(item)[0],
        case_id=item.case_id,
        brand=item.brand,
        operator=item.operator,
        offer_id=item.offer_id or "",
        waited_ms=waited_ms,
    )
    desk = at.policy.desk(item.where)
    if item.awaits and desk.wait_frees:
        yield ItemNoted(key, {"waiting": True})
    else:
        yield ItemNoted(key, {"asked_at": at.time + desk.answer_within})
    yield from holding_replies.cancelled(state, key, f"{item.operator} has the case", at)


def overflow(state: DeskState, key: str, at: At) -> Events:
    """Hands an item that waits to the next desk, if the policy names one where it has not been."""
    item = state.item(key)
    if item is None or item.status != "queued":
        return
    desk = at.policy.desk(item.where)
    if desk.overflow is None or desk.overflow in (*item.passed_desks, item.where):
        return
    at = at.not_before(item.last_event_at)
    waited = max(0, at.time - item.queued_at) // 60_000
    here = state.present(item.where)
    yield Overflowed(
        **at.envelope(item.work_id, item.seq + 1, f"overflow: {here} signed in at {item.where}, waited {waited} min"),
        desk=item.where,
        next_desk=desk.overflow,
        case_id=item.case_id,
        brand=item.brand,
        work=_work(item),
    )
    following = at.policy.desk(desk.overflow)
    left = [step for step in item.steps if step[1] != "overflow"]
    if following.overflow is not None:
        left.append((at.time + following.overflow_after, "overflow"))
    yield ItemNoted(key, {"steps": tuple(sorted(left))})
    if state.present(following.name) == 0:
        yield from overflow(state, key, at)


def _something_heavier_waits(state: DeskState, item: WorkItem, person: Person) -> bool:
    """Whether work waits at the item's desk that the person could do, and has no room for."""
    desk = state.placed(item)[0]
    queue, profile = state.queues.get(desk), person.taking.get(desk)
    if queue is None or profile is None:
        return False
    wants = {want for wants in queue.classes.values() for want in wants if not person.has_room(want.weight)}
    return any(fits(state.asked(desk, want), profile) for want in wants)


def _asked_for(state: DeskState, person: Person) -> str | None:
    """The key of the first item that is to go to this person, where they take work at all and have room."""
    if not person.taking:
        return None
    for place in state.asked_for.get(person.name, ()):
        item = state.item(place.key)
        if item is not None and person.has_room(item.weight):
            return place.key
    return None


def _next(state: DeskState, person: Person, at: At) -> Pick | None:
    """What is next for an operator over all their desks; a sole operator gets last what they had given back."""
    for again in (False, True):
        desks = [
            desk for desk in sorted(person.taking) if desk in state.queues and not (again and state.present(desk) > 1)
        ]
        picks = [pick for desk in desks if (pick := _next_at(state, person, desk, again, at)) is not None]
        if picks:
            return min(picks, key=lambda pick: (pick.urgency, pick.key))
    return None


def _next_at(state: DeskState, person: Person, desk: str, again: bool, at: At) -> Pick | None:
    """What is next for an operator at one desk. again: what they have given back too."""
    turns, profile = state.get(turns_key(desk)), person.taking[desk]

    def may_have(item: WorkItem) -> bool:
        return again or not item.rests(person.name, at.time)

    def can(want: Want) -> bool:
        return fits(state.asked(desk, want), profile)

    ordered = OrderedQueue(state.queues[desk], state.item, at.policy.desk(desk), at.time)
    return ordered.next(
        turns if isinstance(turns, Turns) else Turns(), may_have, can, lambda want: person.has_room(want.weight)
    )


def _offered(state: DeskState, item: WorkItem, choice: Choice, order: str, at: At) -> Offered:
    at = at.not_before(item.last_event_at)
    desk = state.placed(item)[0]
    due = "no target" if item.due_at is None else f"due {rfc3339(item.due_at)}"
    return Offered(
        **at.envelope(item.work_id, item.seq + 1, f"{choice.reason}; {order}, {due}"),
        desk=desk,
        case_id=item.case_id,
        brand=item.brand,
        channel=item.channel,
        author_id=item.author_id,
        operator=choice.person.name,
        expires_at=at.time + at.policy.desk(desk).offer_timeout,
        due_at=item.due_at,
        label=item.label,
        priority=item.priority,
        mode=item.mode,
        candidates=[person.candidate() for person in choice.candidates],
        lang=item.lang,
        url=item.url,
        weight=item.weight,
    )


def _work(item: WorkItem) -> WorkChanged:
    """The work as the desk knows it, for whoever reads an overflow."""
    return WorkChanged(
        id=item.work_id,
        aggregate=item.work_id,
        seq=item.work_seq,
        time=item.queued_at,
        cause=item.work_id,
        policy=0,
        reason="overflow",
        desk=item.desk,
        case_id=item.case_id,
        brand=item.brand,
        channel=item.channel,
        author_id=item.author_id,
        change="queued",
        label=item.label,
        priority=item.priority,
        mode=item.mode,
        started_at=item.started_at,
        due_at=item.due_at,
        lang=item.lang,
        visibility=item.visibility,
        non_sla=item.non_sla,
        uncertain=item.uncertain,
        share=item.share,
        window_closes_at=item.window_closes_at,
        conversation=item.conversation,
        posts=list(item.posts),
        skills=list(item.skills),
        url=item.url,
        together=True,
    )
