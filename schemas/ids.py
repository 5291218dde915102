"""Deterministic ids: UUIDv5 over domain identity, never over the time of processing.

The namespace of a kind is UUIDv5(ROOT, kind); the name is the parts joined by `|`, the free one last. So anybody can
compute the id of a post: UUIDv5(UUIDv5(ROOT, "mention"), "andina|twitter|123").
"""

from __future__ import annotations

import hashlib
import uuid

#: The root namespace: UUIDv5 of the DNS namespace and `netcenter`.
ROOT = uuid.uuid5(uuid.NAMESPACE_DNS, "netcenter")
_SPACES: dict[str, bytes] = {}


def make(kind: str, *parts: str | int) -> str:
    """The id of a thing of this kind; lone surrogates in a part count as U+FFFD."""
    space = _SPACES.get(kind)
    if space is None:
        space = _SPACES[kind] = uuid.uuid5(ROOT, kind).bytes
    name = "|".join(map(str, parts))
    digest = bytearray(hashlib.sha1(space + name.encode("utf-8", "replace"), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    h = digest.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def mention(brand: str, channel: str, native_id: str) -> str:
    """A Mention's id."""
    return make("mention", brand, channel, native_id)


def post(channel: str, native_id: str) -> str:
    """A post's id, whatever brands it concerns."""
    return make("post", channel, native_id)


def reply(brand: str, channel: str, native_id: str) -> str:
    """A Reply's id."""
    return make("reply", brand, channel, native_id)


def action(brand: str, channel: str, action_id: str) -> str:
    """An Action's id."""
    return make("action", brand, channel, action_id)


def event(aggregate: str, seq: int) -> str:
    """A decided event's id."""
    return make("event", seq, aggregate)


def timer(key: str, due: int) -> str:
    """The id of a timer's firing, a fact like any other."""
    return make("timer", due, key)
