"""Deterministic ids: UUIDv5 of what identifies a thing, never of the time of processing.

The namespace of a kind is UUIDv5(ROOT, kind). The name is the parts joined by `|`; a part that may itself hold a `|`
comes last. So any program can compute the id of a post: UUIDv5(UUIDv5(ROOT, "mention"), "andina|twitter|123").
"""

from __future__ import annotations

import uuid
from hashlib import sha1 as _sha1
from hashlib import sha256

from schemas.records import MentionUpdated, OfferAnswered

#: The root namespace: UUIDv5 of the DNS namespace and `netcenter`.
ROOT = uuid.uuid5(uuid.NAMESPACE_DNS, "netcenter")
_SPACES: dict[str, bytes] = {}
_EVENT, _WORK, _WORK_EVENT, _MENTION, _POST, _REPLY, _ACTION = (
    uuid.uuid5(ROOT, kind).bytes for kind in ("event", "work", "work-event", "mention", "post", "reply", "action")
)


def make(kind: str, *parts: str | int) -> str:
    """The id of a thing of this kind; lone surrogates in a part count as U+FFFD."""
    space = _SPACES.get(kind)
    if space is None:
        space = _SPACES[kind] = uuid.uuid5(ROOT, kind).bytes
    return _in(space, "|".join(map(str, parts)))


#: Maps a hexadecimal digit of the SHA-1 hash to the digit in which two bits are set to the UUID's variant.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def _utf8(text: str) -> bytes:
    """UTF-8 with lone surrogates as U+FFFD, as the codec reads them."""
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text).encode()


def _in(space: bytes, name: str) -> str:
    """The id that uuid.uuid5 would make, at a third of the cost: every event has an id."""
    try:
        data = space + name.encode()
    except UnicodeEncodeError:
        data = space + _utf8(name)
    h = _sha1(data, usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def mention(brand: str, channel: str, native_id: str) -> str:
    """A Mention's id."""
    return _in(_MENTION, f"{brand}|{channel}|{native_id}")


def post(channel: str, native_id: str) -> str:
    """A post's id, the same for all brands that it concerns."""
    return _in(_POST, f"{channel}|{native_id}")


def reply(brand: str, channel: str, native_id: str) -> str:
    """A Reply's id."""
    return _in(_REPLY, f"{brand}|{channel}|{native_id}")


def action(brand: str, channel: str, action_id: str) -> str:
    """An Action's id."""
    return _in(_ACTION, f"{brand}|{channel}|{action_id}")


def update(change: MentionUpdated) -> str:
    """A MentionUpdated's id. Two updates of the same time with different content have different ids."""
    said = (change.reach, change.shares, change.promoted, change.deleted, change.hidden)
    text = "" if change.text is None else sha256(_utf8(change.text)).hexdigest()
    parts = ("" if value is None else str(value).lower() for value in said)
    return make("update", change.brand, change.channel, change.observed_at, *parts, text, change.native_id)


def answer(said: OfferAnswered) -> str:
    """An OfferAnswered's id: by the offer, or by the operator, the customer and the time where it names no offer."""
    if said.offer_id:
        return make("answer", said.offer_id, said.answer)
    customer = said.brand or "", said.channel or "", said.author_id or ""
    return make("answer", said.desk, said.operator, *customer, said.at, said.answer)


def event(aggregate: str, seq: int) -> str:
    """A decided event's id."""
    return _in(_EVENT, f"{seq}|{aggregate}")


def work(case: str, number: int) -> str:
    """The id of a case's round of work: 1, 2, 3."""
    return _in(_WORK, f"{case}|{number}")


def work_event(work: str, seq: int) -> str:
    """The id of an event that cases writes about a round of work. The ids of the desk's events about it come from
    `event`.
    """
    return _in(_WORK_EVENT, f"{seq}|{work}")


def timer(key: str, due: int) -> str:
    """The id of a timer's firing, which is the cause of the events that follow from it."""
    return make("timer", due, key)
