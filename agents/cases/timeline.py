"""What became of a case: its facts taken in the order of their own times, in whatever order they were read."""

from __future__ import annotations

from agents.cases import resolution
from agents.cases.moments import ANSWER, DISMISSED, EDITED, POST, UNDUE, moments, placed
from agents.cases.resolution import Life
from agents.cases.state import FOREVER, Act, Answer, Base, Known, Message, gravest, most_urgent
from agents.policy import Brand
from agents.policy.policy import CasePolicy
from schemas.records import CloseReason, Label


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


class Timeline:
    """A case, derived. What it says at the end of its facts stands in its fields."""

    __slots__ = (
        "_base",
        "_cut",
        "_firsts",
        "_label",
        "_nexts",
        "_priority",
        "_span",
        "answers",
        "closed_at",
        "closings",
        "desk",
        "dismissed",
        "escalated",
        "first_answer",
        "is_open",
        "label",
        "last_at",
        "last_post",
        "life",
        "lives",
        "mute",
        "muted_until",
        "opened_at",
        "pending",
        "priority",
        "reopened",
        "spans",
        "taken",
        "waiting",
        "why",
    )  # fmt: skip

    def __init__(self, known: Known, until: int = FOREVER) -> None:
        base = self._base = known.base
        self.answers = placed(known)
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
        self._play(known, until)
        self._conclude()

    def _conclude(self) -> None:
        self.is_open = self.opened_at is not None and self.closed_at is None
        """There is a case, and it is not closed."""
        left, life = self.pending, self.life
        self.waiting = not left or (life is not None and life.paused_at is not None)
        """Nothing is left to answer, or an operator said that it waits for the customer."""
        self.label = gravest(left) if left else self._label
        """The gravest of the unanswered messages, or of those that were the last to be."""
        self.priority = 1 if self.escalated else most_urgent(left) if left else self._priority
        """The most urgent of the same; 1 once escalated."""

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

    def _play(self, known: Known, until: int) -> None:
        for at, rank, _, what in moments(known, self.answers):
            if at > until:
                break
            if rank == POST:
                self._posted(what)
            elif rank == ANSWER:
                self._answered(what)
            elif rank in (DISMISSED, EDITED):
                self._dismissed(what, at)
            elif rank == UNDUE:
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
                self.mute = self.muted_until
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
        if m.done != "edited":
            self.dismissed.append(m.native_id)
        self._waits_no_more(m, at, m.done)
        if not self.pending:
            self._none_left([m])
            if self.first_answer is None and m.done and m.done != "edited":
                self._close(at, "deleted_unanswered" if m.done == "hidden" else m.done, void=True)
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
            if at < self.muted_until:  # a case that goes on has a customer who is heard
                self.muted_until = at
                if self.opened_at is not None:
                    self.mute = at
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
            self._label, self._priority = gravest(left), most_urgent(left)
            left.clear()

    # --- what follows at the end ---

    @property
    def running(self) -> Span | None:
        """The span that has not ended."""
        return self._span

    def idle(self, cases: CasePolicy) -> Act | None:
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
                at = max(at, m.due_at + 1)  # its breach is told first: a reply exactly at due is in time
        return Act(at, "no_target", since=self.last_at)

    def snapshot(self, at: int, brand: Brand) -> Base:
        """All of it at a time (ms) when nothing was left to answer."""
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
            muted_until=self.mute,
            firsts=self._firsts,
            nexts=self._nexts,
            lives=lives + sum(one.told for one in self.lives if one is not life),
            started_at=life.started_at if life is not None else None,
            target=None if life is None else resolution.target(life, brand),
            paused_ms=life.paused if life is not None else 0,
            paused_at=life.paused_at if life is not None else None,
            met=life is not None and life.met,
            paused_counted=life.paused_before(at, brand) if life is not None else 0,
        )
