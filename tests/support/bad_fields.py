"""Records from outside, one of each kind as it must be, and values that each kind of field cannot have."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from schemas import ids, requirements
from schemas.records import (
    Action,
    ContactCount,
    CrisisDeclared,
    Mention,
    MentionUpdated,
    OfferAnswered,
    OperatorChanged,
    Record,
    Reply,
)
from schemas.times import LATEST

AT = 1_795_176_000_000
CUSTOMER: dict[str, Any] = {"brand": "andina", "channel": "twitter", "author_id": "u1"}


def named(record: Any) -> Any:
    """The record with the id that follows from its fields."""
    return replace(record, id=requirements.id_of(record))


GOOD: dict[type[Record], Any] = {
    type(record): named(record)
    for record in (
        Mention(id="", **CUSTOMER, native_id="1", created_at=AT, text="a secret", post_id=ids.post("twitter", "1")),
        MentionUpdated(id="", **CUSTOMER, native_id="1", observed_at=AT, text="a secret"),
        Reply(id="", **CUSTOMER, native_id="2", created_at=AT, text="a secret"),
        Action(id="", **CUSTOMER, action_id="3", action="resolve", created_at=AT, note="a secret"),
        CrisisDeclared(id="", brand="andina", change="open", by="ana", reason="a secret", at=AT),
        ContactCount(id="", brand="andina", source="calls", minute=AT, count=5),
        OperatorChanged(id="", desk="care", operator="o1", change="signed_in", at=AT),
        OfferAnswered(id="", desk="care", operator="o1", offer_id=ids.event("w", 1), answer="accepted", at=AT),
    )
}
#: By the name of the check in `schemas.requirements`.
BAD: dict[str, list[Any]] = {
    "_name": ["", "ACME Corp", "brand|twitter", "ñ", "a\0b", "\ufffd", "x" * 101, "A"],
    "_id": ["", " ", "\n", "a\0b", "x" * 513],
    "_reference": ["a\0b", "x" * 513],
    "_time": [0, -1, 946_684_799_999, 4_102_444_800_000, 1 << 62, -(1 << 63), 1 << 70],
    "_until": [0, -1, LATEST + 1, 1 << 62],
    "_minute": [AT + 1, AT + 1_000, 0, -60_000],
    "_count": [-1, 10**12 + 1, 1 << 63],
    "_bin": [0, -30, 2, 90],
    "_capacity": [-1, 10_001],
    "_tag": ["x" * 101],
    "_words": [[""], ["a\0b"], ["es"] * 101],
    "_null": ["complaint", 0.5, True],
}
