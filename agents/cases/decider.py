"""The Decider of cases: what follows when something is learnt of a customer, or time has passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from agents.cases import actions, learning
from agents.cases.evolve import evolve
from agents.cases.judging import Judges
from agents.cases.state import Customer, Kept, Learnt, Message
from agents.cases.step import Because, Step
from agents.cases.timeline import Timeline
from agents.cases.wording import iso
from agents.decider import At, State, Timer
from schemas.own_time import own_time
from schemas.records import Action, ClassifiedMention, MentionUpdated, Record, Reply

Events = Iterator[Any]


class Cases:
    """Decides over `classified`. State: one `Customer` per key `brand|channel|author_id`.

    A fact changes what is known of the customer; the timeline says what that makes of the case; the events are the
    difference to what has been told. Last comes the note `Learnt`, which goes through `evolve` only.
    """

    record_types: ClassVar[Any] = Customer
    reads: ClassVar[tuple[type[Record], ...]] = (ClassifiedMention, MentionUpdated, Reply, Action)

    def __init__(self) -> None:
        self._judges = Judges()

    def initial(self) -> State[Customer]:
        """An empty state."""
        return State()

    def decide(self, state: State[Customer], fact: Any, at: At) -> Events:
        """Events that follow from a post, an update, a Reply, an Action or a wake-up; else nothing.

        Raises Unusable for an Action that nothing can be done with.
        """
        kind = type(fact)
        if kind is Timer:
            brand, channel, author_id = fact.key.split("|", 2)
            return _woken(Step(state, author_id, at, self._judges.of(at.policy, brand, channel)))
        how = _HOW.get(kind)
        if how is None:
            return iter(())
        who = fact.mention if kind is ClassifiedMention else fact
        return how(Step(state, who.author_id, at, self._judges.of(at.policy, who.brand, who.channel)), fact)

    def evolve(self, state: State[Customer], event: Any) -> dict[str, Customer | None]:
        """The customer's record after an event or the note."""
        key = event.key if type(event) is Learnt else f"{event.brand}|{event.channel}|{event.author_id}"
        return {key: evolve(state.get(key) or _NOBODY, event)}

    def due(self, record: Customer) -> int | None:
        """ms; the next warning, breach, closing or forgetting."""
        return record.wake


_NOBODY = Customer()


def _posted(step: Step, fact: ClassifiedMention) -> Events:
    if fact.own or fact.mention.kind == "share" or not step.brand.care:
        return
    found = learning.posted(step.customer, step.judge, fact)
    if found is not None:
        yield from step.tell(found.known, Because("post_added", posted=found, fact=fact))


def _replied(step: Step, fact: Reply) -> Events:
    if fact.kind != "human" or fact.app in step.brand.automatic_apps:
        return
    customer = step.customer
    if not step.brand.care and customer.told is None:
        return
    known = learning.replied(customer.known, step.judge, fact)
    if known is not None:
        yield from step.tell(known, Because("answered", reply=fact, operator=fact.operator))


def _acted(step: Step, fact: Action) -> Events:
    if fact.action == "forget":
        if step.key in step.state:
            yield from step.forget(fact.operator)
        return
    customer = step.customer
    found = actions.learnt(customer, step.judge, fact, step.at)
    if found is not None and (step.brand.care or customer.told is not None):
        yield from step.tell(found.known, found.because)


def _updated(step: Step, fact: MentionUpdated) -> Events:
    if not (fact.deleted or fact.promoted) and fact.reach is None and fact.label is None and fact.hidden is None:
        return
    customer = step.customer
    if not step.brand.care and customer.told is None:
        return
    note = Kept(
        at=own_time(fact),
        native_id=step.judge.known_as(fact.native_id),
        until=step.at.time + step.judge.cases.lateness,
        deleted=bool(fact.deleted),
        grown=fact.reach,
        paid=bool(fact.promoted),
        label=fact.label,
        edited=fact.label is not None,
        lang=fact.classified_lang or "",
        uncertain=bool(fact.uncertain),
        hidden=fact.hidden if step.brand.hidden == "withdraw" else None,
    )
    found = learning.noted(customer, step.judge, note)
    if found is not None:
        yield from step.tell(found[0], _because(note, found[1]))


def _because(note: Kept, message: Message | None) -> Because:
    """What an update changes first of all."""
    if note.deleted:
        why = "deleted_unanswered: its author deleted the post before any answer"
        return Because("dismissed", why, message=message)
    if note.hidden:
        return Because("dismissed", "hidden: the post was hidden before any answer", message=message)
    if note.edited and message is not None and message.at >= note.at:
        why = f"{message.label} of {iso(message.at)}, its author has edited the post"
        return Because("label", f"label: {why}", message=message, reopens=why)
    if note.hidden is False and message is not None:
        return Because("priority", message=message, reopens=f"the post is shown again since {iso(note.at)}")
    return Because("priority", message=message)


def _woken(step: Step) -> Events:
    known = step.customer.known
    line = Timeline(known)
    idle = line.idle(step.judge.cases)
    if idle is not None and idle.at <= step.at.time:
        yield from step.tell(learning.acted(known, step.judge, idle) or known, Because("unknown"))
    else:
        yield from step.pass_time(known, line)


_HOW: dict[type, Callable[[Step, Any], Events]] = {
    ClassifiedMention: _posted,
    MentionUpdated: _updated,
    Reply: _replied,
    Action: _acted,
}
