"""What an operator's action adds to what is known of a customer."""

from __future__ import annotations

import msgspec

from agents.cases import learning
from agents.cases.judging import Judge
from agents.cases.state import Act, Customer, Deed, Kept, Known
from agents.cases.step import Because
from agents.decider import At, Unusable
from schemas.own_time import own_time
from schemas.records import Action, CaseChange


class Found(msgspec.Struct, frozen=True, gc=False):
    """What is known from here on, and why."""

    known: Known
    because: Because


#: What happens to the whole case, and how its event is called.
_DEEDS: dict[str, tuple[Deed, CaseChange]] = {
    "resolve": ("resolve", "unknown"),
    "reopen": ("reopen", "unknown"),
    "wait": ("wait", "waiting"),
    "transfer": ("transfer", "transferred"),
    "escalate": ("escalate", "escalated"),
    "mute": ("mute", "muted"),
}


def learnt(customer: Customer, judge: Judge, fact: Action, at: At) -> Found | None:
    """None: it is known already. Raises Unusable when something is missing or names what is not there."""
    until, done_at = at.time + at.policy.cases.lateness, own_time(fact)
    if fact.action in _DEEDS:
        deed, change = _DEEDS[fact.action]
        act = Act(done_at, deed, 0 if customer.told is not None else until)
        if deed == "mute":
            act = Act(done_at, deed, _until(fact))
        elif deed == "transfer":
            act = Act(done_at, deed, act.until, _desk(fact, judge))
        known = learning.acted(customer.known, judge, act)
        by = "by an operator" if deed == "reopen" else ""
        return None if known is None else Found(known, Because(change, operator=fact.operator, reopens=by))
    if fact.action not in ("relabel", "no_reply"):
        raise Unusable(f"an action of a kind that this version does not know ({fact.action}): upgrade, or leave it out")
    if fact.native_id is None:
        raise Unusable(f"{fact.action} names no post: send native_id")
    note = Kept(done_at, judge.known_as(fact.native_id), until)
    if fact.action == "relabel":
        if fact.label is None:
            raise Unusable("relabel says no label: send label, one of complaint, question, praise, other")
        note = Kept(note.at, note.native_id, until, label=fact.label)
        change, why = "label", f"label: {fact.label}, says an operator"
    else:
        note = Kept(note.at, note.native_id, until, no_reply=fact.no_reply or "unknown")
        change, why = "dismissed", f"no_reply: marked {note.no_reply} by an operator"
    found = learning.noted(customer, judge, note)
    if found is None:
        return None
    return Found(found[0], Because(change, why, message=found[1], operator=fact.operator))


def _until(fact: Action) -> int:
    if fact.until is None:
        raise Unusable("mute says no end: send until, when the customer's posts count again")
    return fact.until


def _desk(fact: Action, judge: Judge) -> str:
    if fact.desk is None:
        raise Unusable("transfer says no desk: send desk, one that the policy lists")
    known = {d.name for d in judge.policy.desks} | {"care", judge.brand.desk}
    if fact.desk not in known:
        raise Unusable(
            f"transfer to desk {fact.desk!r}, which policy {judge.policy.version} does not list: add it there, "
            f"or send one of {', '.join(sorted(known))}"
        )
    return fact.desk
