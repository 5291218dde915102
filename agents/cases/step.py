"""The events of one step: the difference between the case as emitted so far and the case as the timeline says it is."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from agents.cases import clocks, learning, waking, work
from agents.cases.clocks import DesiredClock
from agents.cases.event_factory import EventFactory
from agents.cases.learning import Posted
from agents.cases.state import CaseForgotten, Customer, Emitted, HumanReply, Message, Observed
from agents.cases.timeline import Timeline
from agents.cases.wording import duration
from agents.decider import StateNote
from schemas.records import CaseChange, CaseChanged, ClassifiedMention, CloseReason, Decided, Reply
from schemas.times import rfc3339

Events = Iterator[Decided | StateNote]


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """The reason for a step's events: the first change that the fact makes to the case, and why."""

    change: CaseChange
    why: str = ""
    message: Message | None = None
    """The post that the fact concerns, as it is now."""
    operator: str | None = None
    posted: Posted | None = None
    fact: ClassifiedMention | None = None
    """The fact itself, where it is a post."""
    reply: Reply | None = None
    reopens: str = ""
    """Why the case is reopened, if the fact reopens it."""


class CaseStep(EventFactory):
    """One fact or timer about one customer."""

    __slots__ = ()

    def emit(self, observed: Observed, trigger: Trigger) -> Events:
        """Yields the events that follow from new observations, and at the end the note that stores the observations."""
        before, line = self.customer, Timeline(observed)
        posted = trigger.posted
        if posted is not None and posted.anew:
            yield from self._case(line, observed, Customer(), trigger)
        elif before.emitted is not None:
            yield from self._case(line, observed, before, trigger)
        note = waking.remember(self, observed, line)
        if note.wake is not None or self.key in self.state:
            yield note

    def forget(self, operator: str | None) -> Events:
        """Yields the end of the open case, if there is one, and the note that forgets the customer."""
        emitted = self.customer.emitted
        if emitted is not None and emitted.close_reason is None:
            why = "forgotten: an operator asked for it"
            for clock in emitted.clocks:
                if clock.met_at is None and not clock.void:
                    yield self.clock("voided", replace(clock, void=True, paused_at=None), f"voided: {why}")
            if emitted.work:
                yield self.worked("withdrawn", f"withdrawn: {why}", [], None, operator=operator)
            yield self.closed("forgotten", why, emitted.label, operator)
        yield CaseForgotten(self.key, Observed(), None)

    def pass_time(self, observed: Observed, line: Timeline) -> Events:
        """Yields the breaches and warnings that are due now, and at the end a note, because time has passed."""
        if line.is_open:
            now = self.at.time
            if any(clock.deadline < now for clock in clocks.running(self.emitted)):
                lasting = [w for w in self._desired(line, observed) if w.ended_at is None]
                yield from clocks.emit(self, lasting, False)
            yield from waking.warnings(self, line)
        yield waking.remember(self, observed, line)

    def _desired(self, line: Timeline, observed: Observed) -> list[DesiredClock]:
        """All clocks of the timeline, ended clocks included."""
        desired = [clocks.response(window) for window in line.windows]
        cycle = 0 if observed.snapshot is None else observed.snapshot.resolutions
        for period in line.periods:
            if period.has_clock:
                cycle += 1
                desired.append(clocks.resolving(line, period, cycle, self.brand))
        return desired

    def _case(self, line: Timeline, observed: Observed, before: Customer, trigger: Trigger) -> Events:
        """Yields the difference between the case as it was emitted `before` and its timeline.

        1. The change that the fact itself makes.
        2. Clocks; closings and reopenings that were missed.
        3. Replies, and other changes of the case.
        4. The work for the desk.
        5. The closing. Whatever ends with the closing comes last: first its replies, then the work, then the resolution
           clock.
        """
        emitted, posted = before.emitted, trigger.posted
        yield from self._first(line, observed, emitted, trigger)
        desired = self._desired(line, observed)
        over = [one for one in desired if one.ended_at is not None]
        yield from self._clocks(line, observed, emitted, desired, over, arrival=posted is not None)
        if observed.answers:
            yield from self._answers(line, before, trigger)
        if emitted is not None or observed.actions or _is_promoted(posted):
            yield from self._after(line, observed, trigger)
        if line.pending or self.emitted.work:
            why = (trigger.why if line.is_open else self._why(line, trigger)) or "nothing is left to answer"
            again = trigger.change == "escalated"
            escalated = line.escalated and emitted is not None and (again or not emitted.escalated)
            worked = work.event(self, line, emitted, why, trigger.operator, escalated)
            if worked is not None:
                yield worked
        if line.closed_at is not None:
            yield from clocks.emit(self, over, False)
            if self.emitted.close_reason != line.close_reason:
                yield self.closed(line.close_reason, self._why(line, trigger), line.label, trigger.operator)

    def _clocks(
        self,
        line: Timeline,
        observed: Observed,
        emitted: Emitted | None,
        desired: list[DesiredClock],
        over: list[DesiredClock],
        arrival: bool,
    ) -> Events:
        """The clocks that ended, missed closings and reopenings, then the clocks that go on."""
        if over:
            at_once = over if line.is_open else [one for one in over if one.clock.metric != "resolution"]
            yield from clocks.emit(self, at_once, arrival)
        if emitted is not None:
            if emitted.clocks:
                yield from clocks.never_ran(self, desired, observed.snapshot)
            if line.reopened > emitted.reopened:
                yield from self._turns(line)
        if len(over) < len(desired):
            yield from clocks.emit(self, [one for one in desired if one.ended_at is None], arrival)

    # --- the case itself ---

    def _first(self, line: Timeline, observed: Observed, emitted: Emitted | None, trigger: Trigger) -> Events:
        """The change that the fact itself makes: it opens or reopens the case, joins it, relabels a post, or mutes."""
        posted, fact = trigger.posted, trigger.fact
        if posted is not None and fact is not None:
            message, post = posted.message, fact.mention
            if emitted is None:
                yield self.opened(post, message, line)
            elif emitted.close_reason is not None and line.is_open:
                why = f"reopened: {message.label} of {rfc3339(message.at)}"
                yield self.reopened(why, line, self.ref(message, post.id, post.url))
            else:
                reach, promoted = self._grown(observed)
                yield self.changed(
                    "post_added",
                    f"post_added: {message.label} joins the case",
                    line,
                    post=self.ref(message, post.id, post.url),
                    reach=reach,
                    promoted=promoted,
                )
        elif emitted is not None and emitted.close_reason is not None and line.is_open:
            why = f"reopened: {trigger.reopens or 'it was not to be closed, as is now known'}"
            yield self.reopened(why, line, operator=trigger.operator)
        if trigger.change == "label" and trigger.message is not None:
            ref = self.ref(trigger.message)
            yield self.changed("label", trigger.why, line, post=ref, operator=trigger.operator)
        if line.mute != (0 if emitted is None else emitted.muted_until):
            reopened = any(action.kind == "reopen" and action.at == line.mute for action in observed.actions)
            why = f"muted: {'no longer, reopened' if reopened else 'until'} {rfc3339(line.mute)}"
            yield self.changed("muted", why, line, muted_until=line.mute, operator=trigger.operator)

    def _turns(self, line: Timeline) -> Events:
        """Yields closings and reopenings that come before the emitted ones, as a late record shows."""
        emitted = self.emitted
        missing = line.reopened - emitted.reopened
        ended = line.closings if line.is_open else line.closings[:-1]
        for at, why in ended[-missing:] if missing > 0 else ():
            later = "as is now known"
            if emitted.close_reason is None:
                yield self.closed(why, f"{_closed(why)}, {rfc3339(at)}, {later}", line.label)
                yield self.reopened(f"reopened: after {rfc3339(at)}, {later}", line)
            else:
                yield self.reopened(f"reopened: before {rfc3339(at)}, {later}", line)
                yield self.closed(why, f"{_closed(why)}, {rfc3339(at)}, {later}", line.label)

    def _answers(self, line: Timeline, before: Customer, trigger: Trigger) -> Events:
        """Yields an `answered` change for each human reply since the case's first message, unless the reply already has
        one.
        """
        reply = trigger.reply
        since = line.opened_at or 0
        emitted_since = learning.opened_at(before.observed) if before.emitted is not None else None
        for answer in line.answers:
            mine = reply is not None and answer.id == reply.id
            if answer.at >= since and (mine or emitted_since is None or answer.at < emitted_since):
                why = f"answered: by a human reply of {rfc3339(answer.at)}" + ("" if mine else " read before the post")
                yield self.changed(
                    "answered",
                    why,
                    line,
                    answer=answer,
                    operator=trigger.operator if mine else None,
                )
                if mine and self.emitted.work and _frees(line, answer):
                    yield self.worked("answered", why, line.pending, None, operator=trigger.operator)

    def _after(self, line: Timeline, observed: Observed, trigger: Trigger) -> Events:
        """The changes that follow for the case: a dismissed post, its desk, escalation, waiting, label or priority."""
        emitted, message, operator = self.emitted, trigger.message, trigger.operator
        closes = line.closed_at is not None and emitted.close_reason is None
        if trigger.change == "dismissed" and message is not None and not closes and message.native_id in line.dismissed:
            yield self.changed("dismissed", trigger.why, line, post=self.ref(message), operator=operator)
        if line.desk != emitted.desk:
            why = f"transferred: from {emitted.desk} to {line.desk}"
            if emitted.work:
                yield self.worked("withdrawn", f"withdrawn: {why}", line.pending, None, operator=operator)
            yield self.changed("transferred", why, line, desk=line.desk, operator=operator)
        if line.escalated and not emitted.escalated:
            yield self.changed("escalated", "escalated: by an operator", line, operator=operator)
        last = self._last_change(line, observed, trigger, closes)
        if last is not None:
            yield last

    def _last_change(self, line: Timeline, observed: Observed, trigger: Trigger, closes: bool) -> CaseChanged | None:
        """The change of waiting, label or priority; one event carries all three, named after the first that differs."""
        emitted = self.emitted
        reach, promoted = self._grown(observed)
        change: CaseChange
        if line.waiting != emitted.waiting and line.is_open:
            change = "waiting"
        elif line.label != emitted.label and not closes:
            change = "label"
        elif line.priority != emitted.priority or reach is not None or promoted is not None:
            change = "priority"
        else:
            return None
        by = ", says an operator" if trigger.change == "waiting" else ""
        why = {
            "waiting": f"waiting: {'for the customer' if line.waiting else 'no longer'}{by}",
            "label": f"label: {line.label} is the gravest that is left",
            "priority": f"priority: {line.priority}, seen by {reach or emitted.reach or 'an unknown number of'} people",
        }[change]
        return self.changed(change, why, line, operator=trigger.operator, reach=reach, promoted=promoted)

    def _why(self, line: Timeline, trigger: Trigger) -> str:
        if trigger.change == "dismissed" and trigger.why:
            return trigger.why
        cases = self.view.cases
        if line.close_reason == "silence":
            return f"silence: no word of the customer for {duration(cases.silence)}"
        if line.close_reason == "no_target":
            return f"no_target: nothing that must be answered, closes after {duration(cases.no_target)}"
        return _closed(line.close_reason)

    def _grown(self, observed: Observed) -> tuple[int | None, bool | None]:
        """The case's largest reach and whether a post is promoted; None where the emitted case says the same."""
        emitted = self.emitted
        reach, promoted = emitted.reach or 0, emitted.promoted
        for m in observed.messages:
            widest = m.widest
            if widest is not None and widest > reach:
                reach = widest
            if m.promoted or m.paid:
                promoted = True
        return reach if reach != (emitted.reach or 0) else None, True if promoted and not emitted.promoted else None


def _is_promoted(posted: Posted | None) -> bool:
    return posted is not None and (posted.message.promoted or posted.message.paid)


def _frees(line: Timeline, answer: HumanReply) -> bool:
    """Whether the reply answered the messages that the desk was working on, and nothing had ended that work before."""
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
