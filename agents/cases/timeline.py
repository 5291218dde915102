"""What became of a case: its facts taken in the order of their own times, in whatever order they were read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.cases.state import FOREVER, GRAVITY, Act, Answer, Base, Known, Message
from agents.policy.model import Cases
from schemas.records import CloseReason, Label

#: At one moment: a mute stands before a post, a post before its answer, an answer before whatever else ends a post.
_MUTE, _POST, _ANSWER, _DISMISSED, _UNDUE, _END, _ACT = range(-1, 6)
_RANK = {"mute": _MUTE, "resolve": _END, "silence": _END, "no_target": _END}


def _moments(known: Known) -> list[tuple[int, int, int, Any]]:
    """(ms, rank, number, what), in order."""
    moments: list[tuple[int, int, int, Any]] = []
    number = 0
    for m in known.messages:
        moments.append((m.at, _POST, number, m))
        if m.done_at is not None:
            moments.append((m.done_at, _DISMISSED, number, m))
        if m.undue_at is not None:
            moments.append((m.undue_at, _UNDUE, number, m))
        number += 1
    for a in known.answers:
        moments.append((a.at, _ANSWER, number, a))
        number += 1
    for act in known.acts:
        moments.append((act.at, _RANK.get(act.deed, _ACT), number, act))
        number += 1
    if len(moments) > 1:
        moments.sort()
    return moments


def _gravest(messages: Sequence[Message]) -> Label:
    label = messages[0].label
    for m in messages:
        if GRAVITY[m.label] > GRAVITY[label]:
            label = m.label
    return label


def _most_urgent(messages: Sequence[Message]) -> int:
    priority = messages[0].priority
    for m in messages:
        if m.priority < priority:
            priority = m.priority
    return priority


class Span:
    """Messages with a target that wait together: what one response clock times."""

    __slots__ = ("answer", "cycle", "ended_at", "later", "members", "why")

    def __init__(self, later: bool, cycle: int, first: Message) -> None:
        self.later, self.cycle = later, cycle
        self.members = [first]
        """Those that still wait, or did when it ended."""
        self.answer: Answer | None = None
        self.ended_at: int | None = None
        self.why = ""
        """What ended it without an answer."""

    @property
    def governing(self) -> Message:
        """The message whose due comes first."""
        if len(self.members) == 1:
            return self.members[0]
        return min(self.members, key=lambda m: (m.due_at or 0, m.at, m.native_id))


class Life:
    """The case from a first message that wants an answer to its closing: what one resolution clock times.

    A reopening goes on with it, unless the closing was no resolution (no_reply, deleted, muted).
    """

    __slots__ = (
        "_label",
        "_started_at",
        "_timed",
        "ended_at",
        "members",
        "met",
        "paused_at",
        "paused_ms",
        "pauses",
        "resolve_by",
        "void",
    )

    def __init__(self, base: Base | None = None) -> None:
        self.members: list[Message] = []
        self.pauses: list[tuple[int, int]] = []
        """Those that have ended and are not in `paused_ms`."""
        self.paused_at: int | None = None
        self.ended_at: int | None = None
        self.void = self.met = self._timed = False
        self._started_at: int | None = None
        self._label: Label = "other"
        self.resolve_by: int | None = None
        self.paused_ms = 0
        if base is not None:
            self._started_at, self._label, self.resolve_by = base.started_at, base.label, base.resolve_by
            self.paused_at, self.paused_ms, self.met = base.paused_at, base.paused_ms, base.met
            self.ended_at = base.closed_at

    @property
    def started_at(self) -> int:
        """ms; of its first message."""
        return self.members[0].at if self._started_at is None else self._started_at

    @property
    def label(self) -> Label:
        """Of its first message."""
        return self.members[0].label if self.members else self._label

    @property
    def empty(self) -> bool:
        """Nothing in it wants an answer, as it turned out."""
        return not self.members and self._started_at is None

    @property
    def paused(self) -> int:
        """ms; of the pauses that have ended."""
        return self.paused_ms + sum(end - begin for begin, end in self.pauses)

    @property
    def told(self) -> bool:
        """There is something to tell of it: a target, or a closing that met it."""
        if self.met or self.resolve_by is not None:
            return True
        return self._timed and any(m.resolve_by is not None for m in self.members)

    def join(self, m: Message) -> None:
        """One more message."""
        self.members.append(m)
        if m.resolve_by is not None:
            self._timed = True

    def pause(self, at: int) -> None:
        """From then on, if it is not paused already."""
        if self.paused_at is None:
            self.paused_at = at

    def resume(self, at: int) -> None:
        """From then on, if it is paused."""
        if self.paused_at is not None:
            self.pauses.append((self.paused_at, at))
            self.paused_at = None

    def end(self, at: int) -> None:
        """The case is closed then, resolved or by silence."""
        self.resume(at)
        self.ended_at, self.met = at, True


class Timeline:
    """A case, derived. What it says at the end of its facts stands in its fields."""

    __slots__ = (
        "_base", "_cut", "_firsts", "_label", "_nexts", "_priority", "_span", "closed_at", "closings", "desk", "dismissed",
        "escalated", "first_answer", "is_open", "last_at", "last_post", "life", "lives", "mute", "muted_until", "opened_at", "pending",
        "reopened", "spans", "taken", "why",
    )  # fmt: skip

    def __init__(self, known: Known, until: int = FOREVER) -> None:
        base = self._base = known.base
        self.pending: list[Message] = []
        """Want an answer still, by time."""
        self.spans: list[Span] = []
        """By time; at most the last one has not ended."""
        self.taken: tuple[str, list[Message]] = ("", [])
        """id of the last answer that answered something, and what."""
        self.dismissed: list[str] = []
        """native ids of the messages that were still unanswered when they were dismissed."""
        self.closings: list[tuple[int, CloseReason]] = []
        """ms and why; all, in order."""
        self._span: Span | None = None
        self._cut: list[Span] = []
        """Ended without an answer, by a closing that a later answer makes good."""
        self.lives: list[Life] = []
        self.life: Life | None = None
        """The last of `lives`, unless it ended void."""
        self.opened_at: int | None = None
        """ms; the first message that opens a case. None: there is no case."""
        self.closed_at: int | None = None
        """ms; None: it is not closed."""
        self.why: CloseReason = "unknown"
        """Of the closing."""
        self.reopened = 0
        self.first_answer: int | None = None
        self.last_at = self.last_post = 0
        """ms; the last word of either side, and of the customer."""
        self.mute = self.muted_until = self._firsts = self._nexts = 0
        self.desk = ""
        self.escalated = False
        self._label: Label = "other"
        self._priority = 9
        if base is not None:
            self._resume(base)
        self._play(_moments(known), until)
        self.is_open = self.opened_at is not None and self.closed_at is None

    def _resume(self, base: Base) -> None:
        self.opened_at, self.closed_at, self.why, self.reopened = (
            base.opened_at,
            base.closed_at,
            base.why,
            base.reopened,
        )
        self.first_answer, self.last_at, self.last_post = base.first_answer, base.last_at, base.last_post
        self.mute = self.muted_until = base.muted_until
        self._firsts, self._nexts = base.firsts, base.nexts
        self.desk, self.escalated, self._label, self._priority = base.desk, base.escalated, base.label, base.priority
        if base.started_at is not None:
            self.life = Life(base)
            self.lives.append(self.life)

    def _play(self, moments: list[tuple[int, int, int, Any]], until: int) -> None:
        for at, rank, _, what in moments:
            if at > until:
                break
            if rank == _POST:
                self._posted(what)
            elif rank == _ANSWER:
                self._answered(what)
            elif rank == _DISMISSED:
                self._dismissed(what, at)
            elif rank == _UNDUE:
                self._waits_no_more(what, at, "relabelled")
            else:
                self._acted(what)

    # --- what happened ---

    def _posted(self, m: Message) -> None:
        at = m.at
        if at < self.muted_until:
            if self.opened_at is None and not m.chatter:  # opened before the mute was read: as if it had not been
                self.opened_at = self.closed_at = at
                self.why, self.desk, self._label, self._priority = "muted", m.desk, m.label, m.priority
                self.closings.append((at, "muted"))
            return
        if self.opened_at is None:
            if m.chatter:
                return
            self.opened_at, self.desk = at, m.desk
        self.last_at = self.last_post = at
        thanks = self.first_answer is not None and m.light
        if self.closed_at is not None:
            if thanks or m.chatter:
                return
            self._reopen(at)
        elif thanks:
            if self.pending and self.life is not None:
                self.life.resume(at)
            return
        self.pending.append(m)
        life = self.life
        if life is None:
            life = self.life = Life()
            self.lives.append(life)
        elif life.paused_at is not None:
            life.resume(at)
        life.join(m)
        if m.due_at is None:
            return
        if self._span is not None:
            self._span.members.append(m)
            return
        later = self.first_answer is not None
        if later:
            self._nexts = cycle = self._nexts + 1
        else:
            self._firsts = cycle = self._firsts + 1
        self._span = Span(later, cycle, m)
        self.spans.append(self._span)

    def _answered(self, a: Answer) -> None:
        if self.opened_at is None:
            return
        self.last_at = a.at
        if self.first_answer is None:
            self.first_answer = a.at
        if self._cut:
            for span in self._cut:
                span.answer = a
            self._cut.clear()
        if self.closed_at is not None:
            return
        if self._span is not None:
            self._span.answer, self._span.ended_at = a, a.at
            self._span = None
        if self.pending:
            self.taken = (a.id, self.pending[:])
            self._none_left(self.pending)
        if self.life is not None:
            self.life.pause(a.at)

    def _dismissed(self, m: Message, at: int) -> None:
        if m not in self.pending:
            return
        self.pending.remove(m)
        self.dismissed.append(m.native_id)
        self._waits_no_more(m, at, m.done)
        if not self.pending:
            self._none_left([m])
            if self.first_answer is None and m.done:
                self._close(at, m.done, void=True)
                return
        life = self.life
        if life is None:
            return
        life.members.remove(m)
        if life.empty:
            self.lives.pop()
            self.life = None
        elif not self.pending:
            life.pause(at)

    def _waits_no_more(self, m: Message, at: int, why: str) -> None:
        span = self._span
        if span is None or m not in span.members:
            return
        if len(span.members) > 1:
            span.members.remove(m)
            return
        span.ended_at, span.why = at, why
        self._span = None

    def _acted(self, act: Act) -> None:
        at, deed = act.at, act.deed
        is_open = self.opened_at is not None and self.closed_at is None
        if deed == "resolve":
            if is_open:
                self._close(at, "resolved")
        elif deed == "silence" or deed == "no_target":
            if is_open and self.last_at == act.since and bool(self.pending) == (deed == "no_target"):
                self._close(at, deed)
        elif deed == "mute":
            self.muted_until = act.until
            if self.opened_at is not None:
                self.mute = act.until
            if is_open and act.until > at:
                self._close(at, "muted", void=True)
        elif deed == "reopen":
            if self.closed_at is not None:
                self._reopen(at)
                self.last_at = at
                if self.life is not None:
                    self.life.pause(at)
        elif deed == "wait":
            if is_open and self.life is not None:
                self.life.pause(at)
        elif deed == "transfer":
            if self.opened_at is not None:
                self.desk = act.desk
        elif is_open:
            self.escalated = True

    def _close(self, at: int, why: CloseReason, void: bool = False) -> None:
        if self._span is not None:
            self._span.ended_at, self._span.why = at, why
            if why != "muted":
                self._cut.append(self._span)
            self._span = None
        self._none_left(self.pending)
        self.closed_at, self.why = at, why
        self.closings.append((at, why))
        if self.life is not None:
            if void:
                self.life.ended_at, self.life.void = at, True
                self.life = None
            else:
                self.life.end(at)

    def _reopen(self, at: int) -> None:
        if self.life is not None and self.closed_at is not None:
            self.life.pauses.append((self.closed_at, at))
            self.life.ended_at = None
        self.closed_at, self.escalated = None, False
        self.reopened += 1

    def _none_left(self, left: list[Message]) -> None:
        if left:
            self._label, self._priority = _gravest(left), _most_urgent(left)
            left.clear()

    # --- what follows at the end ---

    @property
    def waiting(self) -> bool:
        """Nothing is left to answer, or an operator said that it waits for the customer."""
        return not self.pending or (self.life is not None and self.life.paused_at is not None)

    @property
    def running(self) -> Span | None:
        """The span that has not ended."""
        return self._span

    @property
    def label(self) -> Label:
        """The gravest of the unanswered messages, or of those that were the last to be."""
        return _gravest(self.pending) if self.pending else self._label

    @property
    def priority(self) -> int:
        """The most urgent of the same; 1 once escalated."""
        if self.escalated:
            return 1
        return _most_urgent(self.pending) if self.pending else self._priority

    def idle(self, cases: Cases) -> Act | None:
        """How and when the open case closes by itself if nothing more comes."""
        if not self.is_open:
            return None
        if not self.pending:
            return Act(self.last_at + cases.silence, "silence", since=self.last_at)
        at = self.last_post + cases.no_target
        for m in self.pending:
            if m.label == "complaint":
                return None
            if m.due_at is not None and m.undue_at is None:
                if not m.courtesy:
                    return None
                at = max(at, m.due_at)
        return Act(at, "no_target", since=self.last_at)

    def snapshot(self, at: int, resolve_by: int | None) -> Base:
        """All of it at a time (ms) when nothing was left to answer; resolve_by: ms, of the resolution clock."""
        base, life = self._base, self.life
        lives = base.lives if base is not None else 0
        return Base(
            at=at,
            opened_at=at if self.opened_at is None else self.opened_at,
            closed_at=self.closed_at,
            why=self.why,
            reopened=self.reopened,
            first_answer=self.first_answer,
            last_at=self.last_at,
            last_post=self.last_post,
            label=self._label,
            priority=self._priority,
            desk=self.desk,
            escalated=self.escalated,
            muted_until=self.muted_until,
            firsts=self._firsts,
            nexts=self._nexts,
            lives=lives + sum(one.told for one in self.lives if one is not life),
            started_at=life.started_at if life is not None else None,
            resolve_by=resolve_by,
            paused_ms=life.paused if life is not None else 0,
            paused_at=life.paused_at if life is not None else None,
            met=life is not None and life.met,
        )
