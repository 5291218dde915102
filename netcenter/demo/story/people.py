"""How the story's operators react to an offer; the same offer and seed give the same reaction."""

from __future__ import annotations

import hashlib

from schemas.records import OfferAnswer, Offered

ACCEPT, DECLINE = 0.85, 0.08
"""Shares of the offers that are accepted and declined; the rest gets no answer and times out."""


def answer(offer: Offered, seed: int) -> tuple[OfferAnswer, int] | None:
    """Return (the operator's answer, its delay in ms of event time), or None if they do not answer."""
    drawn = hashlib.sha256(f"{seed}|{offer.id}".encode()).digest()
    will, haste = int.from_bytes(drawn[:8]) / 2**64, int.from_bytes(drawn[8:16]) / 2**64
    if will >= ACCEPT + DECLINE:
        return None
    return "accepted" if will < ACCEPT else "declined", int(30_000 + haste * 150_000)
