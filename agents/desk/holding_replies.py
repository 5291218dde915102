"""Holding replies: a customer whom nobody answers yet is asked to wait, within limits, and the reply is taken back in time."""

from __future__ import annotations

from collections.abc import Iterator

from agents.decider import At, StateNote
from agents.desk.index import DeskState
from agents.desk.state import (
    DeskCustomer,
    HoldingCount,
    RowNoted,
    WorkItem,
    account_key,
    conversation_key,
)
from agents.policy.desk_policy import Holding
from schemas.records import Decided, HoldingReplyCancelled, HoldingReplyDue, Suppression

Events = Iterator[Decided | StateNote]
_HOUR = 3_600_000


def due(state: DeskState, key: str, at: At) -> Events:
    """Asks for the holding reply of an item that nobody has accepted, if its kind of message gets one.

    Praise, uncertain labels, shares, work without a promised time and customers who were answered by a person a while ago get
    none. Where a limit is reached the event says which, and is a dry run.
    """
    item = state.item(key)
    holding = None if item is None else at.policy.desk(item.where).holding
    if item is None or holding is None or item.held or item.status == "assigned" or not _is_meant(item):
        return
    customer = _customer(state, item)
    template = holding.template(item.lang, closed=False)
    if state.present(item.where) == 0:
        template = holding.template(item.lang, closed=True) or template
    if template is None or customer.answered_until > at.time:
        return
    at = at.not_before(item.last_event_at)
    suppressed = _limit(state, item, customer, holding, at.time)
    root = item.conversation if item.visibility == "public" else None
    waits = "nobody is signed in" if state.present(item.where) == 0 else "no operator has accepted the case"
    yield HoldingReplyDue(
        **at.envelope(
            item.work_id,
            item.seq + 1,
            f"holding: {waits}{f', but the limit of the {suppressed} is reached' if suppressed else ''}",
        ),
        desk=state.placed(item)[0],
        case_id=item.case_id,
        brand=item.brand,
        channel=item.channel,
        author_id=item.author_id,
        native_id=root or (item.posts[-1] if item.posts else ""),
        visibility=item.visibility,
        lang=item.lang,
        template=template,
        expires_at=at.time + holding.expires,
        dry_run=item.mode != "live" or suppressed is not None,
        suppressed=suppressed,
    )
    if suppressed is None:
        yield from _counted(state, item, customer, root, holding, at)


def cancelled(state: DeskState, key: str, why: str, at: At) -> Events:
    """Takes the holding reply of an item back, if it may still be sent."""
    item = state.item(key)
    if item is None or item.holding_id is None or item.holding_until <= at.time:
        return
    at = at.not_before(item.last_event_at)
    yield HoldingReplyCancelled(
        **at.envelope(item.work_id, item.seq + 1, f"cancelled: {why}"),
        desk=state.placed(item)[0],
        case_id=item.case_id,
        brand=item.brand,
        holding_id=item.holding_id,
    )


def _is_meant(item: WorkItem) -> bool:
    meant = item.label in ("complaint", "question") and item.due_at is not None
    return meant and not (item.uncertain or item.share or item.non_sla)


def _customer(state: DeskState, item: WorkItem) -> DeskCustomer:
    row = state.get(item.customer)
    return row if isinstance(row, DeskCustomer) else DeskCustomer()


def _limit(state: DeskState, item: WorkItem, customer: DeskCustomer, holding: Holding, now: int) -> Suppression | None:
    """The limit that is reached, if one is."""
    if customer.held_until > now:
        return "customer"
    if item.conversation is not None and item.visibility == "public":
        said = state.get(conversation_key(item.brand, item.channel, item.conversation))
        if isinstance(said, HoldingCount) and said.until > now:
            return "conversation"
    account = state.get(account_key(item.brand, item.channel))
    if isinstance(account, HoldingCount) and sum(time > now - _HOUR for time in account.times) >= holding.per_hour:
        return "account"
    return None


def _counted(
    state: DeskState, item: WorkItem, customer: DeskCustomer, root: str | None, holding: Holding, at: At
) -> Events:
    """Notes a holding reply with its customer, its account and its conversation."""
    until = at.time + holding.again
    yield RowNoted(
        item.customer,
        DeskCustomer(operator=customer.operator, answered_until=customer.answered_until, held_until=until),
    )
    key = account_key(item.brand, item.channel)
    known = state.get(key)
    times = known.times if isinstance(known, HoldingCount) else ()
    recent = (*(time for time in times if time > at.time - _HOUR), at.time)
    yield RowNoted(key, HoldingCount(until=at.time + _HOUR, times=recent))
    if root is not None:
        yield RowNoted(conversation_key(item.brand, item.channel, root), HoldingCount(until=until, times=(at.time,)))
