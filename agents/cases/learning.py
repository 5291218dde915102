"""What a fact adds to the observations of a customer. The order in which facts are read makes no difference."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.cases import edits
from agents.cases.bounds import bounded
from agents.cases.policy_view import LONGEST, PolicyView
from agents.cases.state import POST_CHANGES, CaseAction, Customer, Dismissal, HumanReply, Message, Observed, PostChange
from agents.cases.timeline import Timeline
from schemas import ids
from schemas.own_time import own_time
from schemas.records import ClassifiedMention, Reply


class Posted(msgspec.Struct, frozen=True, gc=False):
    """The observations after a post was read."""

    observed: Observed
    message: Message
    anew: bool = False
    """Whether the post opens a new case. If so, the old case is forgotten."""


def posted(customer: Customer, view: PolicyView, fact: ClassifiedMention) -> Posted | None:
    """Returns the observations with a post; None: the post concerns no case, or was read before."""
    observed, emitted, post = customer.observed, customer.emitted, fact.mention
    at, native_id = own_time(post), view.kept_id(post.native_id)
    if any(m.native_id == native_id for m in observed.messages):
        return None
    versions = [view.message(fact)]
    if observed.post_changes:
        observed, versions = _with_changes(observed, view, versions, native_id)
    addressed = _addressed(observed, view, fact, at)
    opens = addressed and not all(version.chatter for version in versions)
    if emitted is None:
        if not opens or (observed.actions and _muted(lasting(observed), at)):
            return None
        return _with(observed, view, versions, post.url, anew=True)
    if observed.snapshot is not None and at <= observed.snapshot.at:
        return Posted(observed, versions[-1])  # a post of that time was answered and is no longer stored
    if at < opened_at(observed) and not opens:
        return None  # by the records' own times there was no case yet
    if emitted.close_reason is None:
        return _with(observed, view, versions, post.url)
    line = Timeline(observed)
    closed_at = at if line.closed_at is None else line.closed_at
    if at <= closed_at + view.cases.reopen_within:
        joins = addressed or line.first_answer is not None
        return _with(observed, view, versions, post.url) if joins else None
    # The post has the id of the case's first post, but another time: the network sent it again, and it opens no case.
    if not opens or emitted.id == ids.make("case", post.id) or _muted(lasting(observed), at):
        return None
    return _with(_without_case(observed, at, native_id), view, versions, post.url, anew=True)


def _addressed(observed: Observed, view: PolicyView, fact: ClassifiedMention, at: int) -> bool:
    """Whether the post counts as addressed to the brand. It also counts if it is a comment of a customer whom the brand
    has answered.
    """
    return fact.addressed or view.brand.comments == "all" or any(a.at < at for a in observed.answers)


def _with_changes(
    observed: Observed, view: PolicyView, versions: list[Message], native_id: str
) -> tuple[Observed, list[Message]]:
    """Applies the changes that were read before the post. Of these, only changes that depend on its words stay
    stored.
    """
    for change in observed.post_changes:
        if change.native_id == native_id:
            versions = _changed(view, versions, change)
    left = tuple(c for c in observed.post_changes if c.of_words or c.native_id != native_id)
    return replace(observed, post_changes=left), versions


def _without_case(observed: Observed, at: int, native_id: str) -> Observed:
    """The observations that count for a new case, which a post of that time (ms) opens."""
    return Observed(
        answers=tuple(a for a in observed.answers if a.at >= at or a.to == native_id),
        actions=tuple(action for action in lasting(observed) if action.at >= at or action.until > at),
        post_changes=observed.post_changes,
    )


def _with(observed: Observed, view: PolicyView, versions: list[Message], url: str | None, anew: bool = False) -> Posted:
    """The observations with a post, in all its versions."""
    message = versions[-1]
    messages = (*observed.messages, *versions)
    if len(messages) > 1 and messages[-2].at >= versions[0].at:
        messages = tuple(sorted(messages, key=lambda m: (m.at, m.native_id)))
    if messages[-1] is not message:
        url = observed.url
    elif url is not None and len(url) > LONGEST:
        url = None
    # All fields are written out: this is called for every post, and `replace` takes three times as long.
    observed = Observed(
        messages=messages,
        answers=observed.answers,
        actions=observed.actions,
        post_changes=observed.post_changes,
        snapshot=observed.snapshot,
        url=url,
    )
    return Posted(bounded(observed, view.brand), message, anew)


def replied(observed: Observed, view: PolicyView, reply: Reply) -> Observed | None:
    """Returns the observations with a human reply; None: it was read before, or the snapshot covers it."""
    at = own_time(reply)
    if any(a.id == reply.id for a in observed.answers) or (
        observed.snapshot is not None and at <= observed.snapshot.at
    ):
        return None
    to = "" if reply.in_reply_to is None else view.kept_id(reply.in_reply_to)
    if to and any(m.native_id == to and m.at <= at for m in observed.messages):
        to = ""  # the usual case: the post that the reply names is earlier
    answers = (*observed.answers, HumanReply(at, reply.id, reply.visibility == "private", to))
    if len(answers) > 1 and answers[-2].at >= at:
        answers = tuple(sorted(answers, key=lambda a: (a.at, a.id)))
    return bounded(replace(observed, answers=answers), view.brand)


def acted(observed: Observed, view: PolicyView, action: CaseAction) -> Observed | None:
    """Returns the observations with an action on the case; None: it was read before, or the snapshot covers it."""
    if observed.snapshot is not None and action.at <= observed.snapshot.at:
        return None
    if any(
        (a.at, a.kind, a.desk) == (action.at, action.kind, action.desk) and _ends(a) == _ends(action)
        for a in observed.actions
    ):
        return None
    actions = sorted((*observed.actions, action), key=lambda a: (a.at, a.kind, a.desk, a.until))
    return bounded(replace(observed, actions=tuple(actions)), view.brand)


def _ends(action: CaseAction) -> int:
    return action.until if action.kind == "mute" else 0


def post_changed(customer: Customer, view: PolicyView, change: PostChange) -> tuple[Observed, Message | None] | None:
    """Returns the observations with a change of one post, and the post as it is then; None: the change says nothing new.

    The post is None where it has not been read.
    """
    observed = customer.observed
    found = [m for m in observed.messages if m.native_id == change.native_id]
    if not found and change.hidden is False:
        change = replace(change, hidden=None)  # no observation says that the post was hidden before
    if change == PostChange(change.at, change.native_id, change.until) or any(
        replace(c, until=change.until) == change for c in observed.post_changes
    ):
        return None
    later: list[PostChange] = []
    if change.edited:
        later = [c for c in observed.post_changes if c.native_id == change.native_id and c.at >= change.at]
    if not found or change.of_words:
        changes = sorted((*observed.post_changes, change), key=lambda c: c.at)
        observed = replace(observed, post_changes=tuple(changes[-POST_CHANGES:]))
        if not found:
            return observed, None
    versions = _changed(view, found, change)
    for one in later:
        versions = _changed(view, versions, one)
    if versions == found:
        return (observed, None) if change.of_words else None
    others = [m for m in observed.messages if m.native_id != change.native_id]
    messages = tuple(sorted([*others, *versions], key=lambda m: (m.at, m.native_id)))
    return bounded(replace(observed, messages=messages), view.brand), edits.in_force(versions, change.at)


def _changed(view: PolicyView, versions: list[Message], change: PostChange) -> list[Message]:
    """Applies a change to the version of a post that was current at the time of the change."""
    if change.edited:
        versions = edits.edited(view, versions, change)
    elif change.hidden is False:
        versions = edits.shown(view, versions, change)
    old = message = edits.in_force(versions, change.at)
    if change.label is not None and not change.edited:
        message = view.relabelled(message, change.at, change.label)
    if change.no_reply is not None:
        message = _dismissed(message, change.at, "no_reply")
    if change.deleted:
        versions = [m for m in versions if m.at <= change.at] or versions[:1]  # a deleted post has no later versions
        message = _dismissed(message, change.at, "deleted_unanswered")
    elif change.hidden:
        message = _dismissed(message, change.at, "hidden")
    if message is not old:
        versions = [message if m is old else m for m in versions]
    if change.grown is None and not change.paid:
        return versions
    return [view.grown(m, change.grown, change.paid) for m in versions]


def _dismissed(message: Message, at: int, why: Dismissal) -> Message:
    """The message with a dismissal (ms); of several dismissals the first counts."""
    at = max(at, message.at)
    if message.done_at is not None and (message.done_at, message.done) <= (at, why):
        return message
    return replace(message, done_at=at, done=why)


def opened_at(observed: Observed) -> int:
    """Returns when (ms) the case began: the time of the first message that opens a case. Raises LookupError without a
    case.
    """
    if observed.snapshot is not None:
        return observed.snapshot.opened_at
    for m in observed.messages:
        if not m.chatter:
            return m.at
    raise LookupError(f"a case that no message opens: a defect in {__name__}")


def lasting(observed: Observed) -> tuple[CaseAction, ...]:
    """Returns the actions that outlast the case, because they concern the customer.

    A mute that a reopening ended is returned with the reopening's time as its end, because the reopening is not kept as
    long.
    """
    snapshot, actions = observed.snapshot, observed.actions
    if snapshot is not None and snapshot.muted_until:
        actions = (CaseAction(snapshot.at, "mute", snapshot.muted_until), *actions)
    for n, action in enumerate(actions):
        if action.kind == "reopen":
            actions = (*(_unmuted(a, action.at) for a in actions[:n]), *actions[n:])
    return actions


def _unmuted(action: CaseAction, at: int) -> CaseAction:
    return replace(action, until=at) if action.kind == "mute" and action.until > at else action


def _muted(actions: tuple[CaseAction, ...], at: int) -> bool:
    """Whether the customer is muted at a time (ms)."""
    until = 0
    for action in actions:
        if action.kind == "mute" and action.at <= at:
            until = action.until
    return at < until
