"""The timeline of a case: its observations played in the order of their own times, which may differ from the order of
reading.
"""

from __future__ import annotations

from agents.cases import resolution
from agents.cases.moments import ANSWER, DISMISSED, EDITED, POST, UNDUE, moments, placed
from agents.cases.resolution import ResolutionPeriod
from agents.cases.state import CaseAction, HumanReply, Message, Observed, Snapshot, gravest, most_urgent
from agents.policy import Brand
from agents.policy.policy import CasePolicy
from schemas.records import CloseReason, Label


class ResponseWindow:
    """Messages with a target that wait together. One response clock times them."""

    __slots__ = ("answer", "cycle", "ended_at", "later", "members", "why")

    def __init__(self, later: bool, cycle: int, first: Message) -> None:
        self.later, self.cycle = later, cycle
        self.members = [first]
        """The messages that wait, or that waited when the window ended."""
        self.answer: HumanReply | None = None
        self.ended_at: int | None = None
        self.why = ""
        """The reason why the window ended without an answer."""

    @property
    def governing(self) -> Message:
        """The message whose due comes first."""
        if len(self.members) == 1:
            return self.members[0]
        return min(self.members, key=lambda m: (m.due_at or 0, m.at, m.native_id))


class Timeline:
    """A case, derived from its observations. The fields hold its state after the last observation, or at `until`
    (ms).
    """

    __slots__ = (
        "_cut",
        "_firsts",
        "_label",
        "_nexts",
        "_priority",
        "_snapshot",
        "_window",
        "answers",
        "close_reason",
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
        "mute",
        "muted_until",
        "opened_at",
        "pending",
        "period",
        "periods",
        "priority",
        "reopened",
        "taken",
        "waiting",
        "windows",
    )  # fmt: skip

    def __init__(self, observed: Observed, until: int | None = None) -> None:
        snapshot = self._snapshot = observed.snapshot
        self.answers = placed(observed)
        self.pending: list[Message] = []
        """The messages that still want an answer, by time."""
        self.windows: list[ResponseWindow] = []
        """The response windows, by time. Only the last window may still be open."""
        self.taken: tuple[str, list[Message]] = ("", [])
        """(id of the last reply that answered messages, the messages that it answered)."""
        self.dismissed: list[str] = []
        """native ids of the messages that were unanswered when they were dismissed."""
        self.closings: list[tuple[int, CloseReason]] = []
        """(ms, reason) of all closings, in order."""
        self._window: ResponseWindow | None = None
        self._cut: list[ResponseWindow] = []
        """Windows that a closing ended without an answer; a later reply still meets their clocks."""
        self.periods: list[ResolutionPeriod] = []
        self.period: ResolutionPeriod | None = None
        """The last of `periods`; None: it ended void."""
        self.opened_at: int | None = None
        """ms; time of the first message that opens a case. None: there is no case."""
        self.closed_at: int | None = None
        """ms; None: it is not closed."""
        self.close_reason: CloseReason = "unknown"
        """The reason of the last closing."""
        self.reopened = 0
        self.first_answer: int | None = None
        self.last_at = self.last_post = 0
        """ms; `last_at`: the last message or reply; `last_post`: the last message of the customer."""
        self.mute = self.muted_until = self._firsts = self._nexts = 0
        self.desk = ""
        self.escalated = False
        self._label: Label = "other"
        self._priority = 9
        if snapshot is not None:
            self._resume(snapshot)
        self._play(observed, until)
        self._conclude()

    def _conclude(self) -> None:
        self.is_open = self.opened_at is not None and self.closed_at is None
        """Whether there is a case that is not closed."""
        left, period = self.pending, self.period
        self.waiting = not left or (period is not None and period.paused_at is not None)
        """Whether nothing is left to answer, or an operator said that the case waits for the customer."""
        self.label = gravest(left) if left else self._label
        """The gravest label of the unanswered messages; if there are none, of the messages that were unanswered last."""
        self.priority = 1 if self.escalated else most_urgent(left) if left else self._priority
        """The smallest priority number of these messages; 1 when the case is escalated."""

    def _resume(self, snapshot: Snapshot) -> None:
        self.opened_at, self.closed_at, self.close_reason, self.reopened = (
            snapshot.opened_at,
            snapshot.closed_at,
            snapshot.close_reason,
            snapshot.reopened,
        )
        self.first_answer, self.last_at, self.last_post = snapshot.first_answer, snapshot.last_at, snapshot.last_post
        self.mute = self.muted_until = snapshot.muted_until
        self._firsts, self._nexts = snapshot.firsts, snapshot.nexts
        self.desk, self.escalated, self._label, self._priority = (
            snapshot.desk,
            snapshot.escalated,
            snapshot.label,
            snapshot.priority,
        )
        if snapshot.started_at is not None:
            self.period = ResolutionPeriod(snapshot)
            self.periods.append(self.period)

    def _play(self, observed: Observed, until: int | None) -> None:
        for at, rank, _, what in moments(observed, self.answers):
            if until is not None and at > until:
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
            if self.opened_at is None and not m.chatter:  # the post was read before the mute, and had opened the case
                self.opened_at = self.closed_at = at
                self.close_reason, self.desk, self._label, self._priority = "muted", m.desk, m.label, m.priority
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
            if self.pending and self.period is not None:
                self.period.resume(at)
            return
        self.pending.append(m)
        period = self.period
        if period is None:
            period = self.period = ResolutionPeriod()
            self.periods.append(period)
        elif period.paused_at is not None:
            period.resume(at)
        period.join(m)
        if m.due_at is None:
            return
        if self._window is not None:
            self._window.members.append(m)
            return
        later = self.first_answer is not None
        if later:
            self._nexts = cycle = self._nexts + 1
        else:
            self._firsts = cycle = self._firsts + 1
        self._window = ResponseWindow(later, cycle, m)
        self.windows.append(self._window)

    def _answered(self, a: HumanReply) -> None:
        if self.opened_at is None:
            return
        self.last_at = a.at
        if self.first_answer is None:
            self.first_answer = a.at
        if self._cut:
            for window in self._cut:
                window.answer = a
            self._cut.clear()
        if self.closed_at is not None:
            return
        if self._window is not None:
            self._window.answer, self._window.ended_at = a, a.at
            self._window = None
        if self.pending:
            self.taken = (a.id, self.pending[:])
            self._none_left(self.pending)
        if self.period is not None:
            self.period.pause(a.at)

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
        period = self.period
        if period is None:
            return
        period.members.remove(m)
        if period.empty:
            self.periods.pop()
            self.period = None
        elif not self.pending:
            period.pause(at)

    def _waits_no_more(self, m: Message, at: int, why: str) -> None:
        window = self._window
        if window is None or m not in window.members:
            return
        if len(window.members) > 1:
            window.members.remove(m)
            return
        window.ended_at, window.why = at, why
        self._window = None

    def _acted(self, action: CaseAction) -> None:
        at, kind = action.at, action.kind
        is_open = self.opened_at is not None and self.closed_at is None
        if kind == "resolve":
            if is_open:
                self._close(at, "resolved")
        elif kind == "silence" or kind == "no_target":
            if is_open and self.last_at == action.since and bool(self.pending) == (kind == "no_target"):
                self._close(at, kind)
        elif kind == "mute":
            self._mute_until(action.until)
            if is_open and action.until > at:
                self._close(at, "muted", void=True)
        elif kind == "reopen":
            self._reopened(at)
        elif kind == "wait":
            if is_open and self.period is not None:
                self.period.pause(at)
        elif kind == "transfer":
            if self.opened_at is not None:
                self.desk = action.desk
        elif is_open:
            self.escalated = True

    def _mute_until(self, until: int) -> None:
        self.muted_until = until
        if self.opened_at is not None:
            self.mute = until

    def _reopened(self, at: int) -> None:
        if at < self.muted_until:  # reopening a case ends the customer's mute
            self._mute_until(at)
        if self.closed_at is not None:
            self._reopen(at)
            self.last_at = at
            if self.period is not None:
                self.period.pause(at)

    def _close(self, at: int, why: CloseReason, void: bool = False) -> None:
        if self._window is not None:
            self._window.ended_at, self._window.why = at, why
            if why != "muted":
                self._cut.append(self._window)
            self._window = None
        self._none_left(self.pending)
        self.closed_at, self.close_reason = at, why
        self.closings.append((at, why))
        if self.period is not None:
            if void:
                self.period.ended_at, self.period.void = at, True
                self.period = None
            else:
                self.period.end(at)

    def _reopen(self, at: int) -> None:
        if self.period is not None and self.closed_at is not None:
            self.period.pauses.append((self.closed_at, at))
            self.period.ended_at = None
        self.closed_at, self.escalated = None, False
        self.reopened += 1

    def _none_left(self, left: list[Message]) -> None:
        if left:
            self._label, self._priority = gravest(left), most_urgent(left)
            left.clear()

    # --- what follows at the end ---

    @property
    def running(self) -> ResponseWindow | None:
        """The response window that has not ended."""
        return self._window

    def idle(self, cases: CasePolicy) -> CaseAction | None:
        """Returns the action that closes the open case automatically if no further record comes; None: the case stays
        open.
        """
        if not self.is_open:
            return None
        if not self.pending:
            return CaseAction(self.last_at + cases.silence, "silence", since=self.last_at)
        at = self.last_post + cases.no_target
        for m in self.pending:
            if m.label == "complaint":
                return None
            if m.due_at is not None and m.undue_at is None:
                if not m.non_sla:
                    return None
                at = max(at, m.due_at + 1)  # one ms after the due, because a reply exactly at the due is in time
        return CaseAction(at, "no_target", since=self.last_at)

    def snapshot(self, at: int, brand: Brand) -> Snapshot:
        """Returns the snapshot of the case at a time (ms) when nothing was left to answer."""
        snapshot, period = self._snapshot, self.period
        resolutions = snapshot.resolutions if snapshot is not None else 0
        return Snapshot(
            at=at,
            opened_at=at if self.opened_at is None else self.opened_at,
            closed_at=self.closed_at,
            close_reason=self.close_reason,
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
            resolutions=resolutions + sum(one.has_clock for one in self.periods if one is not period),
            started_at=period.started_at if period is not None else None,
            target=None if period is None else resolution.target(period, brand),
            paused_ms=period.paused if period is not None else 0,
            paused_at=period.paused_at if period is not None else None,
            met=period is not None and period.met,
            paused_counted=period.paused_before(at, brand) if period is not None else 0,
        )
