"""Records as a story would bring them, and items that carry them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from schemas import ids, keys
from schemas.records import (
    Alert,
    AlertDelivery,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ClassifiedMention,
    ClockChanged,
    DeliveryOutcome,
    Evidence,
    Mention,
    PostRef,
    Record,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)
from sinks.port import SinkItem

#: 2026-11-20 14:03:00.123 UTC.
T0 = 1_795_183_380_123
MINUTE = 60_000
CASE = ids.make("case", "1")
SURGE = ids.make("surge", "1")
FACT = ids.make("mention", "what led to it")
FINGERPRINT = "surge:andina:1"


def uuid_of(name: str) -> str:
    """The id that a name stands for in a story; an id stands for itself."""
    try:
        return str(UUID(name))
    except ValueError:
        return ids.make("case", name)


def items(
    records: Iterable[Record | None], topic: str = "classified", partition: int = 0, first: int = 0
) -> list[SinkItem]:
    """The records as the items of one partition, from offset `first`."""
    return [item(record, topic, partition, first + n) for n, record in enumerate(records)]


def item(
    record: Record | None,
    topic: str = "classified",
    partition: int = 0,
    offset: int = 0,
    headers: dict[str, bytes] | None = None,
) -> SinkItem:
    """One item, stamped a second after T0 for each offset, with its customer's key where it has one."""
    of_a_customer = hasattr(record, "author_id") or isinstance(record, ClassifiedMention)
    return SinkItem(
        topic=topic,
        partition=partition,
        offset=offset,
        key=keys.customer(record) if of_a_customer else b"key",
        record=record,
        headers=list((headers or {}).items()),
        stamp=T0 + 1000 * offset,
    )


def mention(n: int = 1, **changes: Any) -> Mention:
    """The nth mention of brand andina."""
    native = str(100 + n)
    fields: dict[str, Any] = {
        "id": ids.mention("andina", "twitter", native),
        "brand": "andina",
        "channel": "twitter",
        "author_id": f"u{n}",
        "native_id": native,
        "created_at": T0 + n,
        "text": f"text {n}",
    }
    return Mention(**{**fields, **changes})


def classified(n: int = 1, label: str = "complaint", own: bool = False, **changes: Any) -> ClassifiedMention:
    """The nth mention with a judgement; changes are the mention's."""
    return ClassifiedMention(
        label=label,  # type: ignore[arg-type]
        confidence=0.75,
        uncertain=True,
        classified_lang="es",
        own=own,
        probabilities=[0.75, 0.125, 0.0625, 0.0625],
        model="abcdef0123456789",
        policy=3,
        mention=mention(n, **changes),
    )


def decided(aggregate: str, seq: int, time: int = T0) -> dict[str, Any]:
    """The fields that every decided event begins with."""
    aggregate = uuid_of(aggregate)
    return {
        "id": ids.event(aggregate, seq),
        "aggregate": aggregate,
        "seq": seq,
        "time": time + seq,
        "cause": FACT,
        "policy": 3,
        "reason": "rule: because",
    }


_CUSTOMER: dict[str, Any] = {"brand": "andina", "channel": "twitter", "author_id": "u1", "desk": "care"}


def post(n: int = 1) -> PostRef:
    """A pointer to the nth mention."""
    m = mention(n)
    return PostRef(
        mention_id=m.id,
        native_id=m.native_id,
        created_at=m.created_at,
        label="complaint",
        kind="post",
        url=f"https://example.org/{n}",
    )


def opened(seq: int = 1, case: str = CASE, **changes: Any) -> CaseOpened:
    """A case is opened by its first post."""
    fields: dict[str, Any] = {
        "label": "complaint",
        "priority": 2,
        "mode": "live",
        "post": post(1),
        "reach": 180,
    }
    return CaseOpened(**{**decided(case, seq), **_CUSTOMER, **fields, **changes})


def changed(seq: int, change: str, case: str = CASE, **changes: Any) -> CaseChanged:
    """A case changes."""
    fields: dict[str, Any] = {"change": change, "label": "complaint", "priority": 2, "waiting": False}
    return CaseChanged(**{**decided(case, seq), **_CUSTOMER, **fields, **changes})


def answered(seq: int, case: str = CASE, **changes: Any) -> CaseChanged:
    """A human has replied half an hour after T0."""
    reply = ids.reply("andina", "twitter", "r1")
    fields: dict[str, Any] = {
        "waiting": True,
        "reply_id": reply,
        "replied_at": T0 + 30 * MINUTE,
        "operator": "o7",
    }
    return changed(seq, "answered", case, **{**fields, **changes})


def closed(seq: int, close_reason: str = "resolved", case: str = CASE) -> CaseClosed:
    """A case is closed."""
    return CaseClosed(**decided(case, seq), **_CUSTOMER, close_reason=close_reason, label="complaint", operator="o7")  # type: ignore[arg-type]


def reopened(seq: int, case: str = CASE) -> CaseReopened:
    """The customer comes back with a third post."""
    return CaseReopened(**decided(case, seq), **_CUSTOMER, label="question", priority=1, post=post(3))


def clock(seq: int, change: str, case: str = CASE, **changes: Any) -> ClockChanged:
    """What becomes of the case's first clock: an hour from T0."""
    fields: dict[str, Any] = {
        "metric": "first_response",
        "cycle": 1,
        "change": change,
        "label": "complaint",
        "started_at": T0,
        "due_at": T0 + 60 * MINUTE,
        "target_ms": 60 * MINUTE,
    }
    return ClockChanged(**{**decided(case, seq), **_CUSTOMER, **fields, **changes})


def evidence(ratio: float) -> Evidence:
    """What a surge is judged by."""
    return Evidence(
        detector="burst",
        scope="brand",
        name="",
        window_start=T0,
        window_end=T0 + 5 * MINUTE,
        actual=ratio * 10,
        baseline=10.0,
        ratio=ratio,
        threshold=3.0,
    )


_BRAND: dict[str, Any] = {"brand": "andina", "mode": "live", "started_at": T0}


def surge_story() -> list[Record]:
    """A surge that grows, shrinks and ends."""
    return [
        SurgeOpened(**decided(SURGE, 1), **_BRAND, evidence=evidence(4.0)),
        SurgeUpdated(**decided(SURGE, 2), **_BRAND, evidence=evidence(6.0)),
        SurgeUpdated(**decided(SURGE, 3), **_BRAND, evidence=evidence(5.0)),
        SurgeClosed(
            **decided(SURGE, 4), **_BRAND, ended_at=T0 + 90 * MINUTE, close_reason="over", peak=6.5, excess=321.0
        ),
    ]


def case_story(case: str = CASE) -> list[Record]:
    """A case with two posts, answered, resolved and reopened, and its clock."""
    return [
        opened(1, case),
        clock(2, "started", case),
        changed(3, "post_added", case, post=post(2), label="complaint", priority=1),
        clock(4, "warned", case, warned=50),
        clock(5, "met", case, met_at=T0 + 30 * MINUTE),
        answered(6, case),
        closed(7, case=case),
        reopened(8, case),
    ]


def alert(version: int = 1, fingerprint: str = FINGERPRINT, starts_at: int = T0, **changes: Any) -> Alert:
    """A version of an alert; the third resolves it."""
    fields: dict[str, Any] = {
        **decided(fingerprint, version),
        "aggregate": fingerprint,
        "id": ids.make("event", version, starts_at, fingerprint),
        "state": "resolved" if version >= 3 else "firing",
        "kind": "surge",
        "severity": "page",
        "brand": "andina",
        "mode": "live",
        "summary": f"summary {version}",
        "starts_at": starts_at,
        "ends_at": T0 + 90 * MINUTE if version >= 3 else None,
        "evidence": {"ratio": "4.0"},
        "links": {"runbook": "https://example.org/runbook"},
    }
    return Alert(**{**fields, **changes})


def delivery(alert: Alert, outcome: DeliveryOutcome, at: int, receiver: str = "pager", **more: Any) -> AlertDelivery:
    """What became of a version at a receiver."""
    fields = {
        "id": ids.make("delivery", receiver, alert.id, outcome, at), "answer": "202 Accepted", "attempts": 1, **more,
    }  # fmt: skip
    return AlertDelivery(
        receiver=receiver,
        fingerprint=alert.fingerprint,
        version=alert.version,
        alert_id=alert.id,
        brand=alert.brand,
        state=alert.state,
        severity=alert.severity,
        starts_at=alert.starts_at,
        outcome=outcome,
        at=at,
        **fields,
    )


def delivery_of(alert: Alert, receiver: str, outcome: DeliveryOutcome, answer: str, attempts: int = 1) -> AlertDelivery:
    """What became of a version at a receiver, now by the wall clock."""
    id = ids.make("delivery", receiver, alert.id, outcome, attempts)
    return delivery(alert, outcome, int(time.time() * 1000), receiver, id=id, answer=answer, attempts=attempts)
