"""Facts and a policy for tests of cases and desk, tersely: times are "14:03" on one day, or ms."""

from __future__ import annotations

from typing import Any

from agents.policy import parse
from schemas import ids
from schemas.records import (
    Action,
    ClassifiedMention,
    Mention,
    MentionUpdated,
    OfferAnswered,
    OperatorChanged,
    Reply,
    WorkChanged,
)

DAY = 1_795_132_800_000
"""ms; 2026-11-20T00:00:00Z."""
MINUTE = 60_000
HOUR = 3_600_000

POLICY = parse(
    f"""
[classifier]
model = "{"0" * 64}"

[[brands]]
name = "andina"
mode = "live"

[[brands]]
name = "rival"
care = false

[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2

[[rules]]
name = "questions"
match = {{ label = ["question"] }}
target = "2h"
priority = 4

[[rules]]
name = "thanks"
match = {{ label = ["praise"], channel = ["twitter"] }}
target = "24h"
non_sla = true
priority = 8
""",
    version=3,
)


def at(when: str | int) -> int:
    """ms of "14:03" or "14:03:20" of the day ("+1 14:03": of the next); an int is ms already."""
    if isinstance(when, int):
        return when
    days, _, clock = when.rpartition(" ")
    parts = [int(p) for p in clock.split(":")] + [0]
    return DAY + int(days or 0) * 24 * HOUR + parts[0] * HOUR + parts[1] * MINUTE + parts[2] * 1000


def post(
    native_id: str, when: str | int, label: str = "complaint", own: bool = False, **fields: Any
) -> ClassifiedMention:
    """A classified post of customer u1 to andina on twitter."""
    brand, channel = fields.pop("brand", "andina"), fields.pop("channel", "twitter")
    addressed, uncertain = fields.pop("addressed", True), fields.pop("uncertain", False)
    mention = Mention(
        id=ids.mention(brand, channel, native_id),
        brand=brand,
        channel=channel,
        author_id=fields.pop("author", "u1"),
        native_id=native_id,
        created_at=at(when),
        **fields,
    )
    named: Any = label
    return ClassifiedMention(
        label=named,
        confidence=0.9,
        uncertain=uncertain,
        addressed=addressed,
        classified_lang="es",
        own=own,
        probabilities=[0.9, 0.1, 0.0, 0.0],
        model="0" * 16,
        policy=3,
        mention=mention,
    )


def reply(native_id: str, when: str | int, kind: Any = "human", **fields: Any) -> Reply:
    """The brand's answer to customer u1."""
    brand, channel = fields.pop("brand", "andina"), fields.pop("channel", "twitter")
    return Reply(
        id=ids.reply(brand, channel, native_id),
        brand=brand,
        channel=channel,
        author_id="u1",
        native_id=native_id,
        created_at=at(when),
        kind=kind,
        operator="ana",
        **fields,
    )


def action(action_id: str, kind: Any, when: str | int, **fields: Any) -> Action:
    """What an operator does to the case of customer u1."""
    return Action(
        id=ids.action("andina", "twitter", action_id),
        brand="andina",
        channel="twitter",
        author_id="u1",
        action_id=action_id,
        action=kind,
        created_at=at(when),
        operator="ana",
        **fields,
    )


def updated(native_id: str, when: str | int, **fields: Any) -> MentionUpdated:
    """Something learnt later about a post of customer u1."""
    return MentionUpdated(
        id=ids.make("update", "andina", "twitter", at(when), native_id),
        brand="andina",
        channel="twitter",
        author_id="u1",
        native_id=native_id,
        observed_at=at(when),
        **fields,
    )


def deleted(native_id: str, when: str | int) -> MentionUpdated:
    """The customer deleted the post."""
    return updated(native_id, when, deleted=True)


def work(
    name: str,
    when: str | int,
    change: Any = "queued",
    seq: int = 1,
    due: str | int | None = None,
    **fields: Any,
) -> WorkChanged:
    """A round of work for the desk `care`."""
    given: dict[str, Any] = {"label": "complaint", "priority": 2, "lang": "es", "author_id": "u1"} | fields
    given = {"brand": "andina", "channel": "twitter", "desk": "care", "mode": "live", "together": True} | given
    given = {"started_at": at(when)} | given
    return WorkChanged(
        id=ids.event(name, seq),
        aggregate=name,
        seq=seq,
        time=at(when),
        cause="a post",
        policy=3,
        reason="queued: for a test",
        case_id=f"case of {name}",
        change=change,
        due_at=None if due is None else at(due),
        **given,
    )


def operator(
    name: str, when: str | int, change: Any = "signed_in", until: str | int | None = None, **fields: Any
) -> OperatorChanged:
    """Somebody comes to the desk `care`, stays or leaves."""
    desk = fields.pop("desk", "care")
    return OperatorChanged(
        id=ids.make("operator", desk, name, at(when), change),
        desk=desk,
        operator=name,
        change=change,
        at=at(when),
        until=None if until is None else at(until),
        **fields,
    )


def answer(offer: Any, kind: Any, when: str | int = 0, by: str | None = None) -> OfferAnswered:
    """The operator's answer to an Offered event."""
    return OfferAnswered(
        id=ids.make("answer", offer.id, kind),
        desk="care",
        operator=by or offer.operator,
        offer_id=offer.id,
        answer=kind,
        at=at(when),
    )
