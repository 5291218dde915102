"""What a fact adds to what is known of a customer. Nothing depends on the order in which facts were read."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.cases import edits
from agents.cases.bounds import bounded
from agents.cases.judging import LONGEST, Judge
from agents.cases.state import KEPT, Act, Answer, Customer, Dismissal, Kept, Known, Message
from agents.cases.timeline import Timeline
from schemas import ids
from schemas.own_time import own_time
from schemas.records import ClassifiedMention, Reply


class Posted(msgspec.Struct, frozen=True, gc=False):
    """What is known once a post has been read."""

    known: Known
    message: Message
    anew: bool = False
    """It opens a new case; an old one is forgotten."""


def posted(customer: Customer, judge: Judge, fact: ClassifiedMention) -> Posted | None:
    """None: the post concerns no case, or is known already."""
    known, told, post = customer.known, customer.told, fact.mention
    at, native_id = own_time(post), judge.known_as(post.native_id)
    if known.messages and any(m.native_id == native_id for m in known.messages):
        return None
    message = judge.message(fact)
    versions = [message]
    if known.kept:
        for note in known.kept:
            if note.native_id == native_id:
                versions = _noted(judge, versions, note)
        known = replace(known, kept=tuple(k for k in known.kept if k.changes or k.native_id != native_id))
        message = versions[-1]
    chatter = all(version.chatter for version in versions)
    # A comment of somebody whom the brand has answered is part of that.
    asks = fact.addressed or judge.brand.comments == "all" or any(a.at < at for a in known.answers)
    if told is None:
        if chatter or not asks or (known.acts and _muted(lasting(known), at)):
            return None
        return _with(known, judge, versions, post.url, anew=True)
    if known.base is not None and at <= known.base.at:
        return Posted(known, message)  # what was then has been answered, and is no longer kept
    if at < opened_at(known) and (chatter or not asks):
        return None  # in the order of own times it would have been read before there was a case
    if told.why is not None:
        line = Timeline(known)
        closed_at = at if line.closed_at is None else line.closed_at
        if at > closed_at + judge.cases.reopen_within:
            if chatter or not asks or _muted(lasting(known), at):
                return None
            if told.id == ids.make("case", post.id):
                return None  # it has opened this case before, and comes again with another time
            answers = tuple(a for a in known.answers if a.at >= at or a.to == native_id)
            acts = tuple(act for act in lasting(known) if act.at >= at or act.until > at)
            known = Known(answers=answers, acts=acts, kept=known.kept)
            return _with(known, judge, versions, post.url, anew=True)
        if not asks and line.first_answer is None:
            return None
    return _with(known, judge, versions, post.url)


def _with(known: Known, judge: Judge, versions: list[Message], url: str | None, anew: bool = False) -> Posted:
    """With a post, in all its versions."""
    message = versions[-1]
    messages = (*known.messages, *versions)
    if len(messages) > 1 and messages[-2].at >= versions[0].at:
        messages = tuple(sorted(messages, key=lambda m: (m.at, m.native_id)))
    if messages[-1] is not message:
        url = known.url
    elif url is not None and len(url) > LONGEST:
        url = None
    known = Known(messages=messages, answers=known.answers, acts=known.acts, kept=known.kept, base=known.base, url=url)
    return Posted(bounded(known, judge.brand), message, anew)


def replied(known: Known, judge: Judge, reply: Reply) -> Known | None:
    """None: the reply is known already, or no longer matters."""
    at = own_time(reply)
    if any(a.id == reply.id for a in known.answers) or (known.base is not None and at <= known.base.at):
        return None
    to = "" if reply.in_reply_to is None else judge.known_as(reply.in_reply_to)
    if to and any(m.native_id == to and m.at <= at for m in known.messages):
        to = ""  # what it names was before it, as nearly always
    answers = (*known.answers, Answer(at, reply.id, reply.visibility == "private", to))
    if len(answers) > 1 and answers[-2].at >= at:
        answers = tuple(sorted(answers, key=lambda a: (a.at, a.id)))
    return bounded(replace(known, answers=answers), judge.brand)


def acted(known: Known, judge: Judge, act: Act) -> Known | None:
    """None: it is known already, or no longer matters."""
    if known.base is not None and act.at <= known.base.at:
        return None
    if any((a.at, a.deed, a.desk) == (act.at, act.deed, act.desk) and _ends(a) == _ends(act) for a in known.acts):
        return None
    acts = sorted((*known.acts, act), key=lambda a: (a.at, a.deed, a.desk, a.until))
    return bounded(replace(known, acts=tuple(acts)), judge.brand)


def _ends(act: Act) -> int:
    return act.until if act.deed == "mute" else 0


def noted(customer: Customer, judge: Judge, note: Kept) -> tuple[Known, Message | None] | None:
    """With something about a post, and that post as it is now (None: it has not come); None: nothing new."""
    known = customer.known
    found = [m for m in known.messages if m.native_id == note.native_id]
    if not found and note.hidden is False:
        note = replace(note, hidden=None)  # of a post that was not hidden before, as far as is known
    if note == Kept(note.at, note.native_id, note.until) or any(
        replace(k, until=note.until) == note for k in known.kept
    ):
        return None
    later = [k for k in known.kept if k.native_id == note.native_id and k.at >= note.at] if note.edited else []
    if not found or note.changes:
        kept = sorted((*known.kept, note), key=lambda k: k.at)
        known = replace(known, kept=tuple(kept[-KEPT:]))
        if not found:
            return known, None
    versions = _noted(judge, found, note)
    for one in later:
        versions = _noted(judge, versions, one)
    if versions == found:
        return (known, None) if note.changes else None
    others = [m for m in known.messages if m.native_id != note.native_id]
    messages = tuple(sorted([*others, *versions], key=lambda m: (m.at, m.native_id)))
    return bounded(replace(known, messages=messages), judge.brand), edits.in_force(versions, note.at)


def _noted(judge: Judge, versions: list[Message], note: Kept) -> list[Message]:
    """The versions of a post with something about it: about the one that stood then."""
    if note.edited:
        versions = edits.edited(judge, versions, note)
    elif note.hidden is False:
        versions = edits.shown(judge, versions, note)
    old = message = edits.in_force(versions, note.at)
    if note.label is not None and not note.edited:
        message = judge.relabelled(message, note.at, note.label)
    if note.no_reply is not None:
        message = _dismissed(message, note.at, "no_reply")
    if note.deleted:
        versions = [m for m in versions if m.at <= note.at] or versions[:1]  # nothing becomes of it afterwards
        message = _dismissed(message, note.at, "deleted_unanswered")
    elif note.hidden:
        message = _dismissed(message, note.at, "hidden")
    if message is not old:
        versions = [message if m is old else m for m in versions]
    if note.grown is None and not note.paid:
        return versions
    return [judge.grown(m, note.grown, note.paid) for m in versions]


def _dismissed(message: Message, at: int, why: Dismissal) -> Message:
    """The first of several holds."""
    at = max(at, message.at)
    if message.done_at is not None and (message.done_at, message.done) <= (at, why):
        return message
    return replace(message, done_at=at, done=why)


def opened_at(known: Known) -> int:
    """ms; the first message that opens a case. Asked only where there is one."""
    if known.base is not None:
        return known.base.opened_at
    for m in known.messages:
        if not m.chatter:
            return m.at
    raise LookupError(f"a case that no message opens: a defect in {__name__}")


def lasting(known: Known) -> tuple[Act, ...]:
    """What was done to the customer rather than to the case now remembered: it lasts longer than that.

    A mute lasts until the reopening that ended it, for the reopening is not kept as long as the mute.
    """
    base, acts = known.base, known.acts
    if base is not None and base.muted_until:
        acts = (Act(base.at, "mute", base.muted_until), *acts)
    for n, act in enumerate(acts):
        if act.deed == "reopen":
            acts = (*(_unmuted(a, act.at) for a in acts[:n]), *acts[n:])
    return acts


def _unmuted(act: Act, at: int) -> Act:
    return replace(act, until=at) if act.deed == "mute" and act.until > at else act


def _muted(acts: tuple[Act, ...], at: int) -> bool:
    """Whether the last mute before a time (ms) lasts beyond it."""
    until = 0
    for act in acts:
        if act.deed == "mute" and act.at <= at:
            until = act.until
    return at < until
