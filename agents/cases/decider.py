"""The Decider of cases: decides on posts, updates, replies, actions and timers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from agents.cases import actions, learning, work
from agents.cases.evolve import evolve
from agents.cases.policy_view import PolicyViews
from agents.cases.state import CaseForgotten, Customer, CustomerNoted, Message, PostChange
from agents.cases.step import CaseStep, Trigger
from agents.cases.timeline import Timeline
from agents.decider import At, State, StateNote, Timer
from schemas.own_time import own_time
from schemas.records import Action, ClassifiedMention, Decided, MentionUpdated, Record, Reply
from schemas.times import rfc3339

Events = Iterator[Decided | StateNote]


class CasesDecider:
    """Decides over the topic `classified`. State: one `Customer` per key `brand|channel|author_id`.

    1. A fact adds to the observations of the customer.
    2. The timeline derives the case from the observations.
    3. The events are the difference between the timeline and the emitted case.
    4. At the end a note stores the observations.
    """

    record_types: ClassVar[Any] = Customer
    reads: ClassVar[tuple[type[Record], ...]] = (ClassifiedMention, MentionUpdated, Reply, Action)

    def __init__(self, together: bool = True) -> None:
        """together: whether all desks are in one partition. Beside release 0.1.0 each desk is in its own."""
        self._views, self._together = PolicyViews(), together

    def initial(self) -> State[Customer]:
        """Returns an empty state."""
        return State()

    def decide(self, state: State[Customer], fact: Any, at: At) -> Events:
        """Yields the events and notes that follow from a post, an update, a reply, an action or a timer; nothing for
        another fact.

        Raises Unusable for an Action that lacks a field or names an unknown kind or desk.
        """
        kind = type(fact)
        if kind is Timer:
            brand, channel, author_id = fact.key.split("|", 2)
            return _woken(CaseStep(state, author_id, at, self._views.of(at.policy, brand, channel), self._together))
        handle = _HANDLERS.get(kind)
        if handle is None:
            return iter(())
        who = fact.mention if kind is ClassifiedMention else fact
        view = self._views.of(at.policy, who.brand, who.channel)
        return handle(CaseStep(state, who.author_id, at, view, self._together), fact)

    def evolve(self, state: State[Customer], event: Any) -> dict[str, Customer | None]:
        """Returns the customer's record after an event or a note."""
        kind = type(event)
        noted = kind is CustomerNoted or kind is CaseForgotten
        key = event.key if noted else f"{event.brand}|{event.channel}|{event.author_id}"
        return {key: evolve(state.get(key) or _NOBODY, event)}

    def due(self, record: Customer) -> int | None:
        """Returns when (ms) the next warning, breach, closing or forgetting of the customer is due; None: never. Work that release
        0.1.0 told to the partition of one desk is told anew at once.
        """
        return _AT_ONCE if self._together and _is_apart(record) else record.wake


_NOBODY = Customer()
#: ms; a timer of this time fires at the next Tick.
_AT_ONCE = 1


def _is_apart(customer: Customer) -> bool:
    emitted = customer.emitted
    return emitted is not None and emitted.work > 0 and not emitted.together


def _posted(step: CaseStep, fact: ClassifiedMention) -> Events:
    if fact.own or fact.mention.kind == "share" or not step.brand.care:
        return
    found = learning.posted(step.customer, step.view, fact)
    if found is not None:
        yield from step.emit(found.observed, Trigger("post_added", posted=found, fact=fact))


def _replied(step: CaseStep, fact: Reply) -> Events:
    if fact.kind != "human" or fact.app in step.brand.automatic_apps:
        return
    customer = step.customer
    if not step.brand.care and customer.emitted is None:
        return
    observed = learning.replied(customer.observed, step.view, fact)
    if observed is not None:
        yield from step.emit(observed, Trigger("answered", reply=fact, operator=fact.operator))


def _acted(step: CaseStep, fact: Action) -> Events:
    if fact.action == "forget":
        if step.key in step.state:
            yield from step.forget(fact.operator)
        return
    customer = step.customer
    found = actions.acted(customer, step.view, fact, step.at)
    if found is not None and (step.brand.care or customer.emitted is not None):
        yield from step.emit(found.observed, found.trigger)


def _updated(step: CaseStep, fact: MentionUpdated) -> Events:
    if not (fact.deleted or fact.promoted) and fact.reach is None and fact.label is None and fact.hidden is None:
        return
    customer = step.customer
    if not step.brand.care and customer.emitted is None:
        return
    change = PostChange(
        at=own_time(fact),
        native_id=step.view.kept_id(fact.native_id),
        until=step.at.time + step.view.cases.lateness,
        deleted=bool(fact.deleted),
        grown=fact.reach,
        paid=bool(fact.promoted),
        label=fact.label,
        edited=fact.label is not None,
        lang=fact.classified_lang or "",
        uncertain=bool(fact.uncertain),
        hidden=fact.hidden if step.brand.hidden == "withdraw" else None,
    )
    found = learning.post_changed(customer, step.view, change)
    if found is not None:
        yield from step.emit(found[0], _trigger(change, found[1]))


def _trigger(change: PostChange, message: Message | None) -> Trigger:
    """Returns the trigger of an update's events. `message`: the post as it is now; None: the post was not read yet."""
    if change.deleted:
        why = "deleted_unanswered: its author deleted the post before any answer"
        return Trigger("dismissed", why, message=message)
    if change.hidden:
        return Trigger("dismissed", "hidden: the post was hidden before any answer", message=message)
    if change.edited and message is not None and message.at >= change.at:
        why = f"{message.label} of {rfc3339(message.at)}, its author has edited the post"
        return Trigger("label", f"label: {why}", message=message, reopens=why)
    if change.hidden is False and message is not None:
        return Trigger("priority", message=message, reopens=f"the post is shown again since {rfc3339(change.at)}")
    return Trigger("priority", message=message)


def _woken(step: CaseStep) -> Events:
    observed = step.customer.observed
    line = Timeline(observed)
    if step.together and _is_apart(step.customer):
        step.at = step.at.not_before(step.at.seen)
        yield from work.again(step, line)
        return
    idle = line.idle(step.view.cases)
    if idle is not None and idle.at <= step.at.time:
        yield from step.emit(learning.acted(observed, step.view, idle) or observed, Trigger("unknown"))
    else:
        yield from step.pass_time(observed, line)


_HANDLERS: dict[type, Callable[[CaseStep, Any], Events]] = {
    ClassifiedMention: _posted,
    MentionUpdated: _updated,
    Reply: _replied,
    Action: _acted,
}
