"""How a simulated operator reacts to an offer. The same seed and offer give the same reaction."""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

from netcenter.simulation.team import Pace, Team
from schemas import ids
from schemas.records import OfferAnswer, OfferAnswered, Offered

SECOND = 1_000
_NORMAL = NormalDist()
#: The most standard deviations from the median: no time is longer than the median times the cube of its spread.
_MOST = 3.0


def answer_to(offer: Offered, team: Team) -> OfferAnswered | None:
    """What the operator says to an offer, and when; None where nobody of the team answers it."""
    group = team.members.get(offer.operator)
    if group is None:
        return None
    will, haste = _drawn(f"{team.seed}|{offer.id}")
    if will >= group.accepts + group.declines:
        return None
    said: OfferAnswer = "accepted" if will < group.accepts else "declined"
    answer = OfferAnswered(
        id="",
        desk=offer.desk,
        operator=offer.operator,
        offer_id=offer.id,
        answer=said,
        at=offer.time + _lasting(group.answers, haste),
    )
    return OfferAnswered(
        id=ids.answer(answer), **{f: getattr(answer, f) for f in OfferAnswered.__struct_fields__ if f != "id"}
    )


def handling_ms(offer: Offered, team: Team) -> int | None:
    """How long the operator works on the case, ms; None where they answer no customer.

    It follows from the round of work and not from the offer: under every policy the same work takes as long.
    """
    group = team.members[offer.operator]
    pace = group.pace(str(offer.label), offer.priority)
    return None if pace is None else _lasting(pace, _drawn(f"{team.seed}|{offer.aggregate}")[1])


def _drawn(what: str) -> tuple[float, float]:
    """Two numbers from 0 to 1 that look random."""
    drawn = hashlib.sha256(what.encode()).digest()
    return int.from_bytes(drawn[:8]) / 2**64, int.from_bytes(drawn[8:16]) / 2**64


def _lasting(pace: Pace, drawn: float) -> int:
    """ms, in whole seconds, at least one."""
    away = _NORMAL.inv_cdf(min(max(drawn, 1e-6), 1 - 1e-6))
    factor = math.exp(min(max(away, -_MOST), _MOST) * math.log(pace.spread))
    return max(1, round(pace.median * factor / SECOND)) * SECOND
