"""Tells the difference between what has been told of a case and what its timeline says it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from agents.cases import clocks, learning, waking, work
from agents.cases.clocks import Wanted
from agents.cases.learning import Posted
from agents.cases.state import Answer, Customer, Known, Learnt, Message, Told
from agents.cases.telling import Teller
from agents.cases.timeline import Timeline
from agents.cases.wording import iso, span
from schemas.records import CaseChange, ClassifiedMention, CloseReason, Reply

Events = Iterator[Any]


class Because(msgspec.Struct, frozen=True, gc=False):
    """The fact that a step deals with: what it changes first of all, and why."""

    change: CaseChange
    why: str = ""
    message: Message | None = None
    """The post that is concerned, as it is now."""
    operator: str | None = None
    posted: Posted | None = None
    fact: ClassifiedMention | None = None
    """That was posted."""
    reply: Reply | None = None
    reopens: str = ""
    """Why the case goes on, where that is what the fact does."""


class Step(Teller):
    """One fact about one customer."""

    __slots__ = ()

    def tell(self, known: Known, because: Because, line: Timeline | None = None) -> Events:
        """The events, and the note with what is to be remembered."""
        before = self.customer
        line = line or Timeline(known)
        posted = because.posted
        if posted is not None and posted.anew:
            yield from self._case(line, known, Customer(), because)
        elif before.told is not None:
            yield from self._case(line, known, before, because)
        note = waking.rest(self, known, line)
        if note.wake is not None or self.key in self.state:
            yield note

    def forget(self, operator: str | None) -> Events:
        """The end of whatever there is; nothing is remembered."""
        told = self.customer.told
        if told is not None and told.why is None:
            why = "forgotten: an operator asked for it"
            for clock in told.clocks:
                if clock.met_at is None and not clock.void:
                    yield self.clock("voided", replace(clock, void=True, paused_at=None), f"voided: {why}")
            if told.work:
                yield self.worked("withdrawn", f"withdrawn: {why}", [], None, operator=operator)
            yield self.closed("forgotten", why, told.label, operator)
        yield Learnt(self.key, Known(), None, forget=True)

    def pass_time(self, known: Known, line: Timeline) -> Events:
        """Nothing has been learnt, but it is later."""
        if line.is_open:
            now = self.at.time
            if any(clock.due_at < now for clock in clocks.running(self.told)):
                lasting = [w for w in self._wanted(line, known) if w.ended_at is None]
                yield from clocks.tell(self, lasting, False)
            yield from waking.warnings(self, line)
        yield waking.rest(self, known, line)

    def _wanted(self, line: Timeline, known: Known) -> list[Wanted]:
        wanted = [clocks.response(span) for span in line.spans]
        lives = 0 if known.base is None else known.base.lives
        for life in line.lives:
            if life.told:
                lives += 1
                wanted.append(clocks.resolving(line, life, lives, self.brand))
        return wanted

    def _case(self, line: Timeline, known: Known, before: Customer, because: Because) -> Events:
        told, posted = before.told, because.posted
        arrival = posted is not None
        yield from self._first(line, known, told, because)
        wanted = self._wanted(line, known)
        over = [w for w in wanted if w.ended_at is not None]
        if over:
            # What ends with the case is told last: first the answers, then the work, then its resolution.
            at_once = over if line.is_open else [w for w in over if w.clock.metric != "resolution"]
            yield from clocks.tell(self, at_once, arrival)
        if told is not None:
            if told.clocks:
                yield from clocks.never_ran(self, wanted, known.base)
            if line.reopened > told.reopened:
                yield from self._turns(line)
        if len(over) < len(wanted):
            yield from clocks.tell(self, [w for w in wanted if w.ended_at is None], arrival)
        if known.answers:
            yield from self._answers(line, before, because)
        if told is not None or known.acts or (posted is not None and (posted.message.promoted or posted.message.paid)):
            yield from self._after(line, known, because)
        if line.pending or self.told.work:
            why = because.why if line.is_open else self._why(line, because)
            escalated = line.escalated and told is not None and not told.escalated
            why = why or "nothing is left to answer"
            worked = work.tell(self, line, told, why, because.operator, escalated)
            if worked is not None:
                yield worked
        if line.closed_at is not None:
            yield from clocks.tell(self, over, False)
            if self.told.why != line.why:
                yield self.closed(line.why, self._why(line, because), line.label, because.operator)

    # --- the case itself ---

    def _first(self, line: Timeline, known: Known, told: Told | None, because: Because) -> Events:
        """What the fact changes first of all."""
        posted, fact = because.posted, because.fact
        if posted is not None and fact is not None:
            message, post = posted.message, fact.mention
            if told is None:
                yield self.opened(post, message, line)
            elif told.why is not None and line.is_open:
                why = f"reopened: {message.label} of {iso(message.at)}"
                yield self.reopened(why, line, self.ref(message, post.id, post.url))
            else:
                reach, promoted = self._grown(known)
                yield self.changed(
                    "post_added",
                    f"post_added: {message.label} joins the case",
                    line,
                    post=self.ref(message, post.id, post.url),
                    reach=reach,
                    promoted=promoted,
                )
        elif told is not None and told.why is not None and line.is_open:
            why = f"reopened: {because.reopens or 'it was not to be closed, as is now known'}"
            yield self.reopened(why, line, operator=because.operator)
        if because.change == "label" and because.message is not None:
            ref = self.ref(because.message)
            yield self.changed("label", because.why, line, post=ref, operator=because.operator)
        if line.mute != (0 if told is None else told.muted_until):
            reopened = any(act.deed == "reopen" and act.at == line.mute for act in known.acts)
            why = f"muted: {'no longer, reopened' if reopened else 'until'} {iso(line.mute)}"
            yield self.changed("muted", why, line, muted_until=line.mute, operator=because.operator)

    def _turns(self, line: Timeline) -> Events:
        """Closings and reopenings that lie before what is already known to have followed."""
        told = self.told
        missing = line.reopened - told.reopened
        ended = line.closings if line.is_open else line.closings[:-1]
        for at, why in ended[-missing:] if missing > 0 else ():
            later = "as is now known"
            if told.why is None:
                yield self.closed(why, f"{_closed(why)}, {iso(at)}, {later}", line.label)
                yield self.reopened(f"reopened: after {iso(at)}, {later}", line)
            else:
                yield self.reopened(f"reopened: before {iso(at)}, {later}", line)
                yield self.closed(why, f"{_closed(why)}, {iso(at)}, {later}", line.label)

    def _answers(self, line: Timeline, before: Customer, because: Because) -> Events:
        """Every human reply since the case's first message is told once."""
        reply = because.reply
        since = line.opened_at or 0
        told_since = learning.opened_at(before.known) if before.told is not None else None
        for answer in line.answers:
            mine = reply is not None and answer.id == reply.id
            if answer.at >= since and (mine or told_since is None or answer.at < told_since):
                why = f"answered: by a human reply of {iso(answer.at)}" + ("" if mine else " read before the post")
                yield self.changed(
                    "answered",
                    why,
                    line,
                    answer=answer,
                    operator=because.operator if mine else None,
                )
                if mine and self.told.work and _frees(line, answer):
                    yield self.worked("answered", why, line.pending, None, operator=because.operator)

    def _after(self, line: Timeline, known: Known, because: Because) -> Events:
        """What else has changed about the case."""
        told, message, operator = self.told, because.message, because.operator
        closes = line.closed_at is not None and told.why is None
        if because.change == "dismissed" and message is not None and not closes and message.native_id in line.dismissed:
            yield self.changed("dismissed", because.why, line, post=self.ref(message), operator=operator)
        if line.desk != told.desk:
            why = f"transferred: from {told.desk} to {line.desk}"
            if told.work:
                yield self.worked("withdrawn", f"withdrawn: {why}", line.pending, None, operator=operator)
            yield self.changed("transferred", why, line, desk=line.desk, operator=operator)
        if line.escalated and not told.escalated:
            yield self.changed("escalated", "escalated: by an operator", line, operator=operator)
        told = self.told
        reach, promoted = self._grown(known)
        change: CaseChange
        if line.waiting != told.waiting and line.is_open:
            change = "waiting"
        elif line.label != told.label and not closes:
            change = "label"
        elif line.priority != told.priority or reach is not None or promoted is not None:
            change = "priority"
        else:
            return
        by = ", says an operator" if because.change == "waiting" else ""
        why = {
            "waiting": f"waiting: {'for the customer' if line.waiting else 'no longer'}{by}",
            "label": f"label: {line.label} is the gravest that is left",
            "priority": f"priority: {line.priority}, seen by {reach or told.reach or 'an unknown number of'} people",
        }[change]
        yield self.changed(change, why, line, operator=operator, reach=reach, promoted=promoted)

    def _why(self, line: Timeline, because: Because) -> str:
        if because.change == "dismissed" and because.why:
            return because.why
        cases = self.judge.cases
        if line.why == "silence":
            return f"silence: no word of the customer for {span(cases.silence)}"
        if line.why == "no_target":
            return f"no_target: nothing that must be answered, closes after {span(cases.no_target)}"
        return _closed(line.why)

    def _grown(self, known: Known) -> tuple[int | None, bool | None]:
        """The case's largest reach and whether a post is promoted, where this has not been told."""
        told = self.told
        reach, promoted = told.reach or 0, told.promoted
        for m in known.messages:
            widest = m.widest
            if widest is not None and widest > reach:
                reach = widest
            if m.promoted or m.paid:
                promoted = True
        return reach if reach != (told.reach or 0) else None, True if promoted and not told.promoted else None


def _frees(line: Timeline, answer: Answer) -> bool:
    """Whether the answer took what was being worked on: nothing else had ended it before."""
    by, taken = line.taken
    if by != answer.id or line.answers[-1] is not answer or (line.closings and line.closings[-1][0] >= answer.at):
        return False
    return any(m.done_at is None for m in taken)


def _closed(why: CloseReason) -> str:
    return {
        "resolved": "resolved: by an operator",
        "silence": "silence: no word of the customer",
        "no_target": "no_target: nothing that must be answered",
        "no_reply": "no_reply: marked so by an operator",
        "deleted_unanswered": "deleted_unanswered: the post was deleted or hidden before any answer",
        "muted": "muted: by an operator",
    }.get(why, f"{why}: the case is closed")
