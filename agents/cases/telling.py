"""Makes the events of one customer's case, each the next of its history."""

from __future__ import annotations

from agents.cases.judging import Judge
from agents.cases.state import Answer, Clock, Customer, Message, Told
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


class Teller:
    """Speaks for one customer in one step. What has been told is looked up anew each time: events change it.

    Each event spells out its envelope: by `At.envelope`, merging names costs a quarter of what making an event does.
    """

    __slots__ = ("at", "author_id", "brand", "brand_name", "channel", "judge", "key", "state")

    def __init__(self, state: State[Customer], author_id: str, at: At, judge: Judge) -> None:
        self.state, self.author_id, self.at, self.judge = state, author_id, at, judge
        self.brand_name, self.channel, self.brand = judge.name, judge.channel, judge.brand
        self.key = f"{judge.name}|{judge.channel}|{author_id}"

    @property
    def customer(self) -> Customer:
        """As the events so far left it."""
        return self.state.get(self.key) or _NOBODY

    @property
    def told(self) -> Told:
        """What has been told of the case. Raises LookupError where there is none: a defect."""
        customer = self.state.get(self.key)
        if customer is None or customer.told is None:
            raise LookupError(f"no case in the state, yet one was decided on: a defect in {__name__}")
        return customer.told

    def opened(self, post: Mention, message: Message, line: Timeline) -> CaseOpened:
        """The first event of a case, whose id is made of the post's."""
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
        answer: Answer | None = None,
        operator: str | None = None,
        muted_until: int | None = None,
        reach: int | None = None,
        promoted: bool | None = None,
    ) -> CaseChanged:
        """Any change of the case itself; desk: another one."""
        at, told = self.at, self.told
        seq = told.seq + 1
        return CaseChanged(
            id=ids.event(told.id, seq),
            aggregate=told.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=desk or told.desk,
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

    def clock(self, change: ClockChange, clock: Clock, reason: str) -> ClockChanged:
        """A clock as it is from now on."""
        at, told = self.at, self.told
        seq, due = told.seq + 1, clock.due_at
        return ClockChanged(
            id=ids.event(told.id, seq),
            aggregate=told.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=told.desk,
            metric=clock.metric,
            cycle=clock.cycle,
            change=change,
            label=clock.label,
            started_at=clock.started_at,
            due_at=due,
            target=clock.target,
            courtesy=clock.courtesy,
            warned=clock.warned if change == "warned" else None,
            met_at=clock.met_at,
            breached_at=due if clock.detected_at is not None else None,
            detected_at=clock.detected_at,
            paused_at=clock.paused_at,
            late_arrival=clock.late_arrival,
            privately=clock.privately,
            paused_ms=clock.paused_ms,
        )

    def closed(self, why: CloseReason, reason: str, label: Label, operator: str | None = None) -> CaseClosed:
        """The end of the case, until it is reopened."""
        at, told = self.at, self.told
        seq = told.seq + 1
        return CaseClosed(
            id=ids.event(told.id, seq),
            aggregate=told.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=told.desk,
            why=why,
            label=label,
            operator=operator,
        )

    def reopened(
        self, reason: str, line: Timeline, post: PostRef | None = None, operator: str | None = None
    ) -> CaseReopened:
        """It goes on."""
        at, told = self.at, self.told
        seq = told.seq + 1
        return CaseReopened(
            id=ids.event(told.id, seq),
            aggregate=told.id,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            desk=told.desk,
            label=line.label,
            priority=line.priority,
            post=post,
            operator=operator,
        )

    def worked(
        self,
        change: WorkChange,
        reason: str,
        pending: list[Message],
        clock: Clock | None,
        *,
        skills: tuple[str, ...] = (),
        window: int | None = None,
        operator: str | None = None,
    ) -> WorkChanged:
        """The next event of the running round of work, or the first of a new one."""
        at, customer = self.at, self.customer
        told = customer.told
        if told is None:
            raise LookupError(f"work on no case: a defect in {__name__}")
        round_ = ids.work(told.id, told.rounds + (change == "queued"))
        seq = told.work + 1
        started_at = clock.started_at if clock is not None else pending[0].at if pending else at.time
        return WorkChanged(
            id=ids.work_event(round_, seq),
            aggregate=round_,
            seq=seq,
            time=at.time,
            cause=at.cause,
            policy=at.policy.version,
            reason=reason,
            desk=told.desk,
            case_id=told.id,
            brand=self.brand_name,
            channel=self.channel,
            author_id=self.author_id,
            change=change,
            label=told.label,
            priority=told.priority,
            mode=self.brand.mode,
            started_at=started_at,
            due_at=clock.due_at if clock is not None else None,
            lang=told.lang,
            visibility=pending[-1].visibility if pending else "public",
            courtesy=clock is not None and clock.courtesy,
            uncertain=bool(pending) and pending[0].uncertain and all(m.uncertain for m in pending),
            window_closes_at=window,
            conversation=told.conversation,
            posts=[m.native_id for m in pending],
            reach=told.reach,
            followers=told.followers,
            skills=list(skills),
            operator=operator,
            url=customer.known.url,
        )

    def ref(self, message: Message, id: str | None = None, url: str | None = None) -> PostRef:
        """Points to a post of the case."""
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
