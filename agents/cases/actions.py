"""What an operator's action adds to the observations of a customer."""

from __future__ import annotations

import msgspec

from agents.cases import learning
from agents.cases.policy_view import PolicyView
from agents.cases.state import CaseAction, CaseActionKind, Customer, Observed, PostChange
from agents.cases.step import Trigger
from agents.decider import At, Unusable
from schemas.own_time import own_time
from schemas.records import Action, CaseChange


class Acted(msgspec.Struct, frozen=True, gc=False):
    """The observations after an action was read, and the trigger of the action's events."""

    observed: Observed
    trigger: Trigger


#: For each action on the whole case: its kind in the state record, and the change that its event names.
_CASE_ACTIONS: dict[str, tuple[CaseActionKind, CaseChange]] = {
    "resolve": ("resolve", "unknown"),
    "reopen": ("reopen", "unknown"),
    "wait": ("wait", "waiting"),
    "transfer": ("transfer", "transferred"),
    "escalate": ("escalate", "escalated"),
    "mute": ("mute", "muted"),
}


def acted(customer: Customer, view: PolicyView, fact: Action, at: At) -> Acted | None:
    """Returns the observations with the action; None: the action adds nothing, for instance because it was read before.

    Raises Unusable for an action that lacks a field, or names a kind or a desk that does not exist.
    """
    until, done_at = at.time + at.policy.cases.lateness, own_time(fact)
    if fact.action in _CASE_ACTIONS:
        kind, change = _CASE_ACTIONS[fact.action]
        action = CaseAction(done_at, kind, 0 if customer.emitted is not None else until)
        if kind == "mute":
            action = CaseAction(done_at, kind, _until(fact))
        elif kind == "transfer":
            action = CaseAction(done_at, kind, action.until, _desk(fact, view))
        observed = learning.acted(customer.observed, view, action)
        by = "by an operator" if kind == "reopen" else ""
        return None if observed is None else Acted(observed, Trigger(change, operator=fact.operator, reopens=by))
    found = learning.post_changed(customer, view, _post_change(fact, view, done_at, until))
    if found is None:
        return None
    if fact.action == "relabel":
        trigger = Trigger("label", f"label: {fact.label}, says an operator", message=found[1], operator=fact.operator)
    else:
        why = f"no_reply: marked {fact.no_reply or 'unknown'} by an operator"
        trigger = Trigger("dismissed", why, message=found[1], operator=fact.operator)
    return Acted(found[0], trigger)


def _post_change(fact: Action, view: PolicyView, at: int, until: int) -> PostChange:
    """An action on a single post, done at `at` (ms) and kept until `until` (ms)."""
    if fact.action not in ("relabel", "no_reply"):
        raise Unusable(f"an action of a kind that this version does not know ({fact.action}): upgrade, or leave it out")
    if fact.native_id is None:
        raise Unusable(f"{fact.action} names no post: send native_id")
    native_id = view.kept_id(fact.native_id)
    if fact.action == "no_reply":
        return PostChange(at, native_id, until, no_reply=fact.no_reply or "unknown")
    if fact.label is None:
        raise Unusable("relabel says no label: send label, one of complaint, question, praise, other")
    return PostChange(at, native_id, until, label=fact.label)


def _until(fact: Action) -> int:
    if fact.until is None:
        raise Unusable("mute says no end: send until, when the customer's posts count again")
    return fact.until


def _desk(fact: Action, view: PolicyView) -> str:
    if fact.desk is None:
        raise Unusable("transfer says no desk: send desk, one that the policy lists")
    desks = {d.name for d in view.policy.desks} | {"care", view.brand.desk}
    if fact.desk not in desks:
        raise Unusable(
            f"transfer to desk {fact.desk!r}, which policy {view.policy.version} does not list: add it there, "
            f"or send one of {', '.join(sorted(desks))}"
        )
    return fact.desk
