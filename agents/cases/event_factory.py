"""Makes the events of one customer's case, each with the next sequence number of its history."""

from __future__ import annotations

from agents.cases.policy_view import PolicyView
from agents.cases.state import Customer, Emitted, HumanReply, Message, SlaClock
from agents.cases.timeline import Timeline
from agents.decider import At, State
from schemas import ids
from schemas.records import (
    CaseChange,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ClockChange,
    ClockChanged,
    CloseReason,
    Label,
    Mention,
    PostRef,
    WorkChange,
    WorkChanged,
)


class EventFactory:
    """Makes events about one customer in one step.

    The emitted case is looked up for each event, because each event changes it. Each method writes out the envelope's
    fields, because a call of `At.envelope` would take a quarter of the time of making an event.
    """

    __slots__ = ("at", "author_id", "brand", "brand_name", "channel", "key", "state", "together", "view")

    def __init__(self, state: State[Customer], author_id: str, at: At, view: PolicyView, together: bool = True) -> None:
        """together: whether all desks are in one partition, which the work says."""
        self.state, self.author_id, self.at, self.view, self.together = state, author_id, at, view, together
        self.brand_name, self.channel, self.brand = view.name, view.channel, view.brand
        self.key = f"{view.name}|{view.channel}|{author_id}"

    @property
    def customer(self) -> Customer:
        """The customer's record after the events that this step has made so far."""
        return self.state.get(self.key) or _NOBODY

    @property
    def emitted(self) -> Emitted:
        """The case as emitted so far. Raises LookupError where there is no case, which is a defect."""
        customer = self.state.get(self.key)
        if customer is None or customer.emitted is None:
            raise LookupError(f"no case in the state, yet one was decided on: a defect in {__name__}")
        return customer.emitted

    def opened(self, post: Mention, message: Message, line: Timeline) -> CaseOpened:
        """Returns the first event of a case. The case's id is derived from the post's id."""
        at, case = self.at, ids.make("case", post.id)
        return CaseOpened(
            id=ids.event(case, 1),
            aggregate=case,
            seq=1,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=f"opened: {message.label} on {self.channel}, rule {message.rule}",
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=line.desk,
            label=line.label,
            priority=line.priority,
            mode=self.brand.mode,
            post=self.ref(message, post.id, post.url),
            lang=message.lang,
            visibility=message.visibility,
            conversation=_kept(post.share_of or post.conversation_id),
            reach=message.widest,
            followers=message.followers,
            zone=self.brand.zone,
        )

    def changed(
        self,
        change: CaseChange,
        reason: str,
        line: Timeline,
        *,
        desk: str | None = None,
        post: PostRef | None = None,
        answer: HumanReply | None = None,
        operator: str | None = None,
        muted_until: int | None = None,
        reach: int | None = None,
        promoted: bool | None = None,
    ) -> CaseChanged:
        """Returns a change of the case itself; `desk`: the new desk."""
        at, emitted = self.at, self.emitted
        seq = emitted.seq + 1
        return CaseChanged(
            id=ids.event(emitted.id, seq),
            aggregate=emitted.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=desk or emitted.desk,
            change=change,
            label=line.label,
            priority=line.priority,
            waiting=line.waiting,
            post=post,
            reply_id=None if answer is None else answer.id,
            replied_at=None if answer is None else answer.at,
            operator=operator,
            privately=answer is not None and answer.privately,
            muted_until=muted_until,
            reach=reach,
            promoted=promoted,
        )

    def clock(self, change: ClockChange, clock: SlaClock, reason: str) -> ClockChanged:
        """Returns the change that makes a clock what it is from now on."""
        at, emitted = self.at, self.emitted
        seq, due = emitted.seq + 1, clock.due_at
        return ClockChanged(
            id=ids.event(emitted.id, seq),
            aggregate=emitted.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=emitted.desk,
            metric=clock.metric,
            cycle=clock.cycle,
            change=change,
            label=clock.label,
            started_at=clock.started_at,
            due_at=due,
            target_ms=clock.target_ms,
            non_sla=clock.non_sla,
            warned=clock.warned if change == "warned" else None,
            met_at=clock.met_at,
            breached_at=due if clock.detected_at is not None else None,
            detected_at=clock.detected_at,
            paused_at=clock.paused_at,
            late_arrival=clock.late_arrival,
            privately=clock.privately,
            paused_ms=clock.paused_ms,
        )

    def closed(self, close_reason: CloseReason, reason: str, label: Label, operator: str | None = None) -> CaseClosed:
        """Returns the closing of the case."""
        at, emitted = self.at, self.emitted
        seq = emitted.seq + 1
        return CaseClosed(
            id=ids.event(emitted.id, seq),
            aggregate=emitted.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=emitted.desk,
            close_reason=close_reason,
            label=label,
            operator=operator,
        )

    def reopened(
        self, reason: str, line: Timeline, post: PostRef | None = None, operator: str | None = None
    ) -> CaseReopened:
        """Returns the reopening of the case."""
        at, emitted = self.at, self.emitted
        seq = emitted.seq + 1
        return CaseReopened(
            id=ids.event(emitted.id, seq),
            aggregate=emitted.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=emitted.desk,
            label=line.label,
            priority=line.priority,
            post=post,
            operator=operator,
        )

    # long: the call names every field of the event
    def worked(
        self,
        change: WorkChange,
        reason: str,
        pending: list[Message],
        clock: SlaClock | None,
        *,
        skills: tuple[str, ...] = (),
        window_closes_at: int | None = None,
        operator: str | None = None,
        escalated: bool = False,
    ) -> WorkChanged:
        """Returns the next event of the running round of work, or the first event of a new round.

        operator: who answered; of what is `escalated`, who asks for it.
        """
        at, customer = self.at, self.customer
        emitted = customer.emitted
        if emitted is None:
            raise LookupError(f"work on no case: a defect in {__name__}")
        round_ = ids.work(emitted.id, emitted.rounds + (emitted.work == 0))
        seq = emitted.work + 1
        started_at = clock.started_at if clock is not None else pending[0].at if pending else at.time
        return WorkChanged(
            id=ids.work_event(round_, seq),
            aggregate=round_,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            desk=emitted.desk,
            case_id=emitted.id,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            change=change,
            label=emitted.label,
            priority=emitted.priority,
            mode=self.brand.mode,
            started_at=started_at,
            due_at=clock.due_at if clock is not None else None,
            lang=emitted.lang,
            visibility=pending[-1].visibility if pending else "public",
            non_sla=clock is not None and clock.non_sla,
            uncertain=bool(pending) and pending[0].uncertain and all(m.uncertain for m in pending),
            window_closes_at=window_closes_at,
            conversation=emitted.conversation,
            posts=[m.native_id for m in pending],
            reach=emitted.reach,
            followers=emitted.followers,
            skills=list(skills),
            operator=at.policy.desk(emitted.desk).responsible if escalated else operator,
            url=customer.observed.url,
            escalated=escalated,
            escalated_by=operator if escalated else None,
            waiting=emitted.waiting and bool(pending),
            together=self.together,
        )

    def ref(self, message: Message, id: str | None = None, url: str | None = None) -> PostRef:
        """Returns a reference to a post of the case."""
        return PostRef(
            mention_id=id or ids.mention(self.brand_name, self.channel, message.native_id),
            native_id=message.native_id,
            created_at=message.at,
            label=message.label,
            kind=message.kind,
            uncertain=message.uncertain,
            url=url,
        )


_NOBODY = Customer()
#: Characters; a longer conversation_id is not kept.
_LONGEST = 300


def _kept(conversation: str | None) -> str | None:
    return conversation if conversation is None or len(conversation) <= _LONGEST else None
