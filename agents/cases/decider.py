"""The Decider of cases: what follows when something is learnt of a customer, or time has passed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from agents.cases import actions, learning
from agents.cases.evolve import evolve
from agents.cases.state import Customer, Kept, Learnt
from agents.cases.step import Because, Step
from agents.cases.timeline import Timeline
from agents.decider import At, Due, State
from schemas.records import Action, ClassifiedMention, MentionUpdated, Reply

Events = Iterator[Any]


class Cases:
    """Decides over `classified`. State: one `Customer` per key `brand|channel|author_id`.

    A fact changes what is known of the customer; the timeline says what that makes of the case; the events are the
    difference to what has been told. Last comes the note `Learnt`, which goes through `evolve` only.
    """

    record_types: ClassVar[Any] = Customer

    def initial(self) -> State[Customer]:
        """An empty state."""
        return State()

    def decide(self, state: State[Customer], fact: Any, at: At) -> Events:
        """Events that follow from a post, an update, a Reply, an Action or a wake-up; else nothing.

        Raises Unusable for an Action that nothing can be done with.
        """
        kind = type(fact)
        if kind is ClassifiedMention:
            return _posted(state, fact, at)
        if kind is Reply:
            return _replied(state, fact, at)
        if kind is Due:
            return _woken(state, fact, at)
        if kind is Action:
            return _acted(state, fact, at)
        if kind is MentionUpdated:
            return _updated(state, fact, at)
        return iter(())

    def evolve(self, state: State[Customer], event: Any) -> dict[str, Customer | None]:
        """The customer's record after an event or the note."""
        key = event.key if type(event) is Learnt else _key(event)
        return {key: evolve(state.get(key) or Customer(), event)}

    def due(self, record: Customer) -> int | None:
        """ms; the next warning, breach, closing or forgetting."""
        return record.wake


def _key(record: Any) -> str:
    return f"{record.brand}|{record.channel}|{record.author_id}"


def _posted(state: State[Customer], fact: ClassifiedMention, at: At) -> Events:
    post = fact.mention
    if fact.own or post.kind == "share":
        return
    step = Step(state, _key(post), at)
    if not step.brand.care:
        return
    found = learning.posted(step.customer, step.judge, fact)
    if found is not None:
        yield from step.tell(found.known, Because("post_added", posted=found, fact=fact))


def _replied(state: State[Customer], fact: Reply, at: At) -> Events:
    if fact.kind != "human":
        return
    step = Step(state, _key(fact), at)
    if fact.app in step.brand.automatic_apps or not (step.brand.care or step.customer.told):
        return
    known = learning.replied(step.customer.known, step.judge, fact)
    if known is not None:
        yield from step.tell(known, Because("answered", reply=fact, operator=fact.operator))


def _acted(state: State[Customer], fact: Action, at: At) -> Events:
    step = Step(state, _key(fact), at)
    customer = step.customer
    if fact.action == "forget":
        if step.key in state:
            yield from step.forget(fact.operator)
        return
    found = actions.learnt(customer, step.judge, fact, at)
    if found is not None and (step.brand.care or customer.told):
        yield from step.tell(found.known, found.because)


def _updated(state: State[Customer], fact: MentionUpdated, at: At) -> Events:
    if not fact.deleted and fact.reach is None and not fact.promoted:
        return
    step = Step(state, _key(fact), at)
    if not (step.brand.care or step.customer.told):
        return
    note = Kept(
        at=fact.observed_at,
        native_id=step.judge.known_as(fact.native_id),
        until=at.time + at.policy.cases.lateness,
        deleted=bool(fact.deleted),
        grown=fact.reach,
        paid=bool(fact.promoted),
    )
    found = learning.noted(step.customer, step.judge, note)
    if found is not None:
        known, message = found
        why = "deleted_unanswered: its author deleted the post before any answer" if fact.deleted else ""
        yield from step.tell(known, Because("dismissed" if fact.deleted else "priority", why, message=message))


def _woken(state: State[Customer], fact: Due, at: At) -> Events:
    step = Step(state, fact.key, at)
    known = step.customer.known
    line = Timeline(known)
    idle = line.idle(at.policy.cases)
    if idle is not None and idle.at <= at.time:
        yield from step.tell(learning.acted(known, step.judge, idle) or known, Because("unknown"))
    else:
        yield from step.pass_time(known, line)
