"""The Decider of cases: opens, clocks, answers and closes, from what customers, operators and time bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from msgspec.structs import asdict, replace

from agents.cases import state as st
from agents.cases.state import Case, Clock, Customer, Message, Read, Rest, Span, Work
from agents.decider import At, Due, State
from agents.policy import Features
from schemas import ids
from schemas.records import (
    Action,
    CaseChange,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ClassifiedMention,
    ClockChange,
    ClockChanged,
    CloseReason,
    Label,
    Mention,
    MentionUpdated,
    PostRef,
    Reply,
    WorkChange,
    WorkChanged,
)

E = TypeVar("E")
Events = Iterator[Any]


class Cases:
    """Decides over `classified`. State: one `Customer` per key `brand|channel|author_id`.

    What `decide` yields beside events goes through `evolve` only: the incoming Reply or Action where it must
    be remembered, and the notes `Read` and `Rest`, which carry what the policy then in force said.
    """

    record_types: ClassVar[Any] = Customer

    def initial(self) -> State[Customer]:
        """An empty state."""
        return State()

    def decide(self, state: State[Customer], fact: Any, at: At) -> Events:
        """Events that follow from a post, an update, a Reply, an Action or a wake-up; else nothing."""
        match fact:
            case ClassifiedMention():
                return _Step(state, _key(fact.mention), at).mention(fact)
            case MentionUpdated():
                return _Step(state, _key(fact), at).updated(fact)
            case Reply():
                return _Step(state, _key(fact), at).reply(fact)
            case Action():
                return _Step(state, _key(fact), at).action(fact)
            case Due():
                return _Step(state, fact.key, at).wake()
        return iter(())

    def evolve(self, state: State[Customer], event: Any) -> dict[str, Customer | None]:
        """The customer's record after an event, a note or a remembered fact."""
        key = event.key if isinstance(event, Read | Rest) else _key(event)
        return {key: st.evolve(state.get(key) or Customer(), event)}

    def due(self, record: Customer) -> int | None:
        """ms; the next warning, breach, closing or forgetting."""
        return record.wake


class _Step:
    """One fact's decisions about one customer. The state is read again after every event."""

    def __init__(self, state: State[Customer], key: str, at: At) -> None:
        self.state, self.key, self.at = state, key, at
        self.brand, self.channel, self.author_id = key.split("|", 2)

    @property
    def customer(self) -> Customer:
        return self.state.get(self.key) or Customer()

    @property
    def case(self) -> Case:
        case = self.customer.case
        if case is None:
            raise LookupError(f"no case in the state, yet one was decided on: a defect in {__name__}")
        return case

    @property
    def open(self) -> bool:
        case = self.customer.case
        return case is not None and case.closed_at is None

    # --- facts ---

    def mention(self, fact: ClassifiedMention) -> Events:
        post, brand, case = fact.mention, self.at.policy.brand(self.brand), self.customer.case
        if fact.own or not brand.care or post.kind == "share":
            return
        message = self._message(post, fact)
        if case is not None and any(m.id == message.id for m in case.messages):
            return
        answered = post.created_at <= self.customer.settled_until or st.answer_to(self.customer, message) is not None
        if case is not None and (case.closed_at is None or answered):
            # Also a late post of a closed case that an answer had covered: nothing reopens.
            yield Read(self.key, message)
            yield self._changed("post_added", f"post_added: {message.label} joins the case", post=_ref(message))
        elif case is not None and post.created_at <= (case.closed_at or 0) + self.at.policy.cases.reopen_within:
            if message.light:
                return
            why = f"reopened: {message.label} within {_span(self.at.policy.cases.reopen_within)} of the closing"
            priority = message.priority
            yield self._event(CaseReopened, why, label=message.label, priority=priority, post=_ref(message))
            yield Read(self.key, message)
        elif message.chatter:
            return
        else:
            yield self._opened(post, message)
            yield Read(self.key, message)
        yield from self._clocks(arrival=True)
        answer = st.answer_to(self.customer, message)
        if answer is not None and (case is None or self.case.id != case.id):
            yield self._replied(f"answered: by a reply of {_iso(answer.at)} read before the post", answer)
        yield from self._work()
        yield from self._rest()

    def reply(self, fact: Reply) -> Events:
        customer = self.customer
        if fact.kind != "human" or any(a.id == fact.id for a in customer.answers):
            return
        if not self.at.policy.brand(self.brand).care and customer.case is None:
            return
        full = len(customer.answers) == st.ANSWERS
        if fact.created_at <= customer.settled_until or (full and fact.created_at <= customer.answers[0].at):
            return  # everything up to then was answered by replies that were read before
        wanting = st.pending(customer)
        yield fact
        if customer.case is not None:
            yield from self._clocks()
        if self.open:
            left = {m.id for m in st.pending(self.customer)}
            if any(m.id not in left for m in wanting):
                why = f"answered: by a human reply of {_iso(fact.created_at)}"
                answer = st.Answer(id=fact.id, at=fact.created_at, privately=fact.visibility == "private")
                yield self._replied(why, answer, fact.operator)
                if self.case.work is not None:
                    yield self._worked("answered", self.case.work, why, operator=fact.operator)
            yield from self._work()
        yield from self._rest()

    def action(self, fact: Action) -> Events:
        case = self.customer.case
        if fact.id in self.customer.actions or self.key not in self.state:
            return
        yield fact
        message = next((m for m in case.messages if m.native_id == fact.native_id), None) if case else None
        if fact.action == "resolve" and self.open:
            yield from self._close("resolved", "resolved: by an operator", fact.operator)
        elif fact.action == "reopen" and case is not None and not self.open:
            label, priority = case.label, case.priority
            why = "reopened: by an operator"
            yield self._event(CaseReopened, why, label=label, priority=priority, operator=fact.operator)
        elif fact.action == "forget":
            if self.open:
                yield from self._close("forgotten", "forgotten: an operator asked for it", fact.operator)
            yield Rest(self.key, None, keep_case=False, answers_after=1 << 62)
            return
        elif fact.action == "no_reply" and message in st.pending(self.customer):
            why = f"no_reply: marked {fact.no_reply or 'unknown'} by an operator"
            yield from self._dismiss(message, "no_reply", why, fact.operator)
        elif fact.action == "relabel" and message is not None and fact.label not in (None, message.label):
            yield from self._relabel(message, fact.label, fact.operator)
        yield from self._rest()

    def updated(self, fact: MentionUpdated) -> Events:
        message = next((m for m in st.pending(self.customer) if m.native_id == fact.native_id), None)
        if fact.deleted and self.open and message is not None:
            why = "deleted_unanswered: its author deleted the post before any answer"
            yield from self._dismiss(message, "deleted_unanswered", why, None)
            yield from self._rest()

    def wake(self) -> Events:
        if self.open:
            yield from self._clocks()
            yield from self._warnings()
            why = self._idle()
            if why is not None and why[1] <= self.at.time:
                yield from self._close(*why[::2])
        yield from self._rest()

    # --- clocks ---

    def _clocks(self, arrival: bool = False, why: str = "voided: no message is left to answer") -> Events:
        """Brings the clocks into line with messages and replies: each span of `st.spans` is one clock's."""
        spans = st.spans(self.customer)
        for i, span in enumerate(spans):
            first, answer, now = span.governing, span.answer, self.at.time
            due = span.due_at
            late = (answer.at if answer else now) > due
            overdue = arrival and due < now
            text = f"{first.label} on {self.channel}, target {_span(due - span.started_at)}"
            old = self.case.clocks[i] if i < len(self.case.clocks) else None
            if old is None:
                clock = self._new_clock(span, i > 0)
                yield self._clock("started", clock, f"started: {text}, due {_iso(due)}, rule {first.rule}")
            else:
                clock = replace(old, label=first.label, started_at=span.started_at, due_at=due, courtesy=first.courtesy)
                if clock.detected_at is not None and not late:
                    clock = replace(clock, detected_at=None, late_arrival=False)
                    said = f"reply of {_iso(answer.at)}" if answer else f"due moved to {_iso(due)}"
                    yield self._clock("rescinded", clock, f"rescinded: {text}, {said}: not late after all")
                elif clock != old and (answer is None or old.met_at == answer.at):  # else `met` tells the due too
                    moved: ClockChange = "tightened" if due <= old.due_at else "loosened"
                    yield self._clock(moved, clock, f"{moved}: {text}, due {_iso(due)}, rule {first.rule}")
            if late and clock.detected_at is None:
                # A late reply may be read before the Tick that passes the due: then it tells the breach itself.
                seen = max(self.at.seen, answer.at) if answer else self.at.seen
                clock = replace(clock, detected_at=seen, late_arrival=overdue)
                yield self._clock("breached", clock, f"overdue: {text}, no reply by {_iso(due)}")
            if answer is not None and clock.met_at != answer.at:
                clock = replace(clock, met_at=answer.at, privately=answer.privately)
                how = "late" if late else "in time"
                yield self._clock("met", clock, f"met: {how}, {text}, replied {_iso(answer.at)}")
        for clock in self.case.clocks[len(spans) :]:
            yield self._clock("voided", clock, why)

    def _new_clock(self, span: Span, later: bool) -> Clock:
        case, first = self.case, span.governing
        answered = later or (case.first_answer is not None and case.first_answer < span.started_at)
        return Clock(
            metric="next_response" if answered else "first_response",
            cycle=1 + (case.nexts if answered else case.firsts),
            label=first.label,
            started_at=span.started_at,
            due_at=span.due_at,
            courtesy=first.courtesy,
        )

    def _running(self) -> Clock | None:
        case = self.customer.case
        return next((c for c in reversed(case.clocks) if c.met_at is None), None) if case is not None else None

    def _moments(self, clock: Clock) -> list[tuple[int, int]]:
        """Percent and ms of the warnings not yet given."""
        target = clock.due_at - clock.started_at
        percents = sorted(set(self.at.policy.cases.warn_at))
        return [(p, clock.started_at + target * p // 100) for p in percents if p > clock.warned]

    def _warnings(self) -> Events:
        clock = self._running()
        if clock is None or clock.detected_at is not None:
            return
        for percent, moment in self._moments(clock):
            if moment == self.at.time:
                target = _span(clock.due_at - clock.started_at)
                why = f"warned: {percent} % of {target} used, due {_iso(clock.due_at)}"
                yield self._clock("warned", replace(clock, warned=percent), why)

    # --- the ends of a case ---

    def _idle(self) -> tuple[CloseReason, int, str] | None:
        """Why and when (ms) the open case closes by itself if nothing more comes."""
        case, cases, left = self.case, self.at.policy.cases, st.pending(self.customer)
        if not left:
            why = f"silence: no word of the customer for {_span(cases.silence)}"
            return "silence", case.last_at + cases.silence, why
        if self._running() is None and st.gravest(left) != "complaint":
            why = f"no_target: no rule gives a target, closes after {_span(cases.no_target)}"
            return "no_target", left[-1].created_at + cases.no_target, why
        return None

    def _close(self, why: CloseReason, reason: str, operator: str | None = None) -> Events:
        running = self._running()
        if running is not None:
            yield self._clock("voided", running, f"voided: {reason}")
        if self.case.work is not None:
            yield self._worked("withdrawn", self.case.work, f"withdrawn: {reason}", operator=operator)
        yield self._event(CaseClosed, reason, why=why, label=self.case.label, operator=operator)

    def _dismiss(self, message: Message | None, why: CloseReason, reason: str, operator: str | None) -> Events:
        """A message needs no answer: its clock goes, and the case too if nothing was or is to be answered."""
        if message is None:
            return
        if len(st.pending(self.customer)) == 1 and self.case.first_answer is None:
            yield from self._close(why, reason, operator)
            return
        yield Read(self.key, replace(message, closed=True))
        yield from self._clocks(why=f"voided: {reason}")
        change: CaseChange = "label" if st.pending(self.customer) else "waiting"
        yield self._changed(change, reason, post=_ref(message), operator=operator)
        yield from self._work(reason)

    def _relabel(self, old: Message, label: Label | None, operator: str | None) -> Events:
        due, rest = self._due(replace(old, label=label))
        if due is None and st.answer_to(self.customer, old) is not None:
            due = old.due_at  # its clock has been met: that stays on record
        new = replace(old, label=label, due_at=due, uncertain=False, **rest)
        yield Read(self.key, new)
        why = f"label: {old.label} is {label}, says an operator"
        yield self._changed("label", why, post=_ref(new), operator=operator)
        yield from self._clocks(why=f"voided: {why}")
        yield from self._work(why)

    # --- work and rest ---

    def _work(self, why: str = "withdrawn: nothing is left to answer") -> Events:
        """Tells the desk: queues a round, changes it, or takes it back."""
        customer, case, running = self.customer, self.case, self._running()
        left = st.pending(customer) if case.closed_at is None else []
        if not left:
            if case.work is not None:
                yield self._worked("withdrawn", case.work, why)
            return
        work = Work(
            id=case.work.id if case.work else ids.make("work", case.id, case.rounds + 1),
            started_at=running.started_at if running else left[0].created_at,
            due_at=running.due_at if running else None,
            label=case.label,
            priority=case.priority,
            courtesy=running is not None and running.courtesy,
            seq=case.work.seq if case.work else 0,
        )
        if case.work is None:
            yield self._worked("queued", work, f"queued: {work.label} to answer, {_by(work.due_at)}")
        elif work != case.work:
            yield self._worked("changed", work, f"changed: {work.label}, priority {work.priority}, {_by(work.due_at)}")

    def _rest(self) -> Events:
        """Sets the next wake-up, always ahead, and drops what has been kept long enough."""
        customer, now, cases = self.customer, self.at.time, self.at.policy.cases
        case, running = customer.case, self._running()
        if case is not None and case.closed_at is not None and now >= case.closed_at + cases.reopen_within:
            case = None
        moments: list[int] = []
        if case is None:
            kept = [a.at for a in customer.answers if a.at > now - cases.keep_reply]
            moments = [kept[0] + cases.keep_reply] if kept else []
        elif case.closed_at is not None:
            moments = [case.closed_at + cases.reopen_within]
        elif running is None:
            idle = self._idle()
            moments = [max(idle[1], now + 1)] if idle is not None else []
        elif running.detected_at is None:
            moments = [running.due_at + 1, *(ms for _, ms in self._moments(running) if ms > now)]
        wake = min(moments, default=None)
        after = now - cases.keep_reply if case is None else -1
        if self.key in self.state and (wake != customer.wake or case is None):
            yield Rest(self.key, wake, keep_case=case is not None, answers_after=after)

    # --- events ---

    def _due(self, message: Message) -> tuple[int | None, dict[str, Any]]:
        """ms when a message is due by the policy in force, and what else its rule says."""
        policy = self.at.policy
        rule = policy.rule(self._features(message))
        if rule is None:
            return None, {"rule": "none", "priority": 5, "courtesy": False}
        due = policy.brand(self.brand).due(message.created_at, rule.target) if rule.target is not None else None
        return due, {"rule": rule.name, "priority": rule.priority, "courtesy": rule.courtesy}

    def _features(self, m: Message) -> Features:
        return Features(self.brand, self.channel, m.kind, m.label, m.visibility, m.lang)

    def _message(self, post: Mention, fact: ClassifiedMention) -> Message:
        message = Message(
            id=post.id,
            native_id=post.native_id,
            created_at=post.created_at,
            label=fact.label,
            kind=post.kind,
            visibility=post.visibility,
            lang=fact.lang,
            rule="",
            priority=5,
            due_at=None,
            uncertain=fact.uncertain,
            url=post.url,
        )
        due, rest = self._due(message)
        return replace(message, due_at=due, **rest)

    def _opened(self, post: Mention, message: Message) -> CaseOpened:
        policy = self.at.policy
        brand = policy.brand(self.brand)
        rule = policy.rule(self._features(message))
        why = f"opened: {message.label} on {self.channel}, rule {message.rule}"
        return CaseOpened(
            **self.at.envelope(ids.make("case", post.id), 1, why),
            brand=self.brand,
            channel=self.channel,
            author_id=self.author_id,
            desk=(rule.desk if rule else None) or brand.desk,
            label=message.label,
            priority=message.priority,
            mode=brand.mode,
            post=_ref(message),
            lang=message.lang,
            visibility=message.visibility,
            conversation=post.share_of or post.conversation_id,
            reach=post.reach,
            followers=post.author_followers,
        )

    def _event(self, make: Callable[..., E], reason: str, **fields: Any) -> E:
        """The next event of the case."""
        case = self.case
        return make(
            **self.at.envelope(case.id, case.seq + 1, reason),
            brand=self.brand,
            channel=self.channel,
            author_id=self.author_id,
            desk=case.desk,
            **fields,
        )

    def _changed(self, change: CaseChange, reason: str, **fields: Any) -> CaseChanged:
        left, case = st.pending(self.customer), self.case
        label = st.gravest(left) if left else case.label
        priority = min((m.priority for m in left), default=case.priority)
        fields |= {"change": change, "label": label, "priority": priority, "waiting": not left}
        return self._event(CaseChanged, reason, **fields)

    def _replied(self, reason: str, answer: st.Answer, operator: str | None = None) -> CaseChanged:
        fields = {"reply_id": answer.id, "replied_at": answer.at, "privately": answer.privately}
        return self._changed("answered", reason, operator=operator, **fields)

    def _clock(self, change: ClockChange, clock: Clock, reason: str) -> ClockChanged:
        fields = asdict(clock)
        warned = fields.pop("warned")
        fields["target"] = clock.due_at - clock.started_at
        fields["warned"] = warned if change == "warned" else None
        fields["breached_at"] = clock.due_at if clock.detected_at is not None else None
        return self._event(ClockChanged, reason, change=change, **fields)

    def _worked(self, change: WorkChange, work: Work, reason: str, operator: str | None = None) -> WorkChanged:
        case, left = self.case, st.pending(self.customer)
        newest = left[-1] if left else None
        envelope = self.at.envelope(work.id, work.seq + 1, reason)
        envelope["id"] = ids.make(
            "work-event", work.seq + 1, work.id
        )  # the desk's own events are of this aggregate too
        return WorkChanged(
            **envelope,
            desk=case.desk,
            case_id=case.id,
            brand=self.brand,
            channel=self.channel,
            author_id=self.author_id,
            change=change,
            label=work.label,
            priority=work.priority,
            mode=self.at.policy.brand(self.brand).mode,
            started_at=work.started_at,
            due_at=work.due_at,
            lang=case.lang,
            visibility=newest.visibility if newest else "public",
            courtesy=work.courtesy,
            uncertain=bool(left) and all(m.uncertain for m in left),
            conversation=case.conversation,
            posts=[m.native_id for m in left],
            reach=case.reach,
            followers=case.followers,
            operator=operator,
            url=newest.url if newest else None,
        )


def _key(record: Any) -> str:
    return f"{record.brand}|{record.channel}|{record.author_id}"


def _ref(message: Message) -> PostRef:
    return PostRef(
        mention_id=message.id,
        native_id=message.native_id,
        created_at=message.created_at,
        label=message.label,
        kind=message.kind,
        uncertain=message.uncertain,
        url=message.url,
    )


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _span(ms: int) -> str:
    return f"{ms // 3_600_000} h" if ms and ms % 3_600_000 == 0 and ms > 7_200_000 else f"{ms // 60_000} min"


def _by(due: int | None) -> str:
    return f"due {_iso(due)}" if due is not None else "no target"
