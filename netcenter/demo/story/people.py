"""How the story's operators react to an offer: pure, and the same for the same offer and seed."""

from __future__ import annotations

import hashlib

from schemas.records import OfferAnswer, Offered

ACCEPT, DECLINE = 0.85, 0.08
"""Of the offers; the rest is not answered and times out."""


def answer(offer: Offered, seed: int) -> tuple[OfferAnswer, int] | None:
    """What the operator says and after how long (ms of event time), or None: he does not answer."""
    drawn = hashlib.sha256(f"{seed}|{offer.id}".encode()).digest()
    will, haste = int.from_bytes(drawn[:8]) / 2**64, int.from_bytes(drawn[8:16]) / 2**64
    if will >= ACCEPT + DECLINE:
        return None
    return "accepted" if will < ACCEPT else "declined", int(30_000 + haste * 150_000)
