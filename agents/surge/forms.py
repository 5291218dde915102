"""The forms of the state records of surge.

Form 1, of release 0.1.0, had another detector of bursts: two ratios, each with a histogram. A series that is lifted keeps its
level and how far its level strays, begins its hours of the day anew, and takes the bins before as usual ones. A minute had no
authors and no late posts. In form 1 the whole record of form 2 stands beside what release 0.1.0 reads, and that release passes over
it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec

from agents.surge.burst import LONG, Burst
from agents.surge.tally import Tally
from schemas.state_forms import FormStep, StateForms

_SPREAD = math.log(10)
"""How many scales lie between the values that one bin in 20 and one in 200 exceed."""
_CELLS, _WIDTH, _WEIGHT = 40, 0.15, 432.0
"""The histogram of form 1: its cells, their width, and the weight of a new one in bins."""


def _lifted(burst: list[Any]) -> list[Any]:
    """A burst of form 2 from one of form 1."""
    age, level, _slow, _before, _last, sustained, _jump, _ranks, kind, lasted, total, calm, strict = burst
    fresh = Burst.new(strict)
    _, often, scale = sustained
    reached = often + scale * _SPREAD
    new = [max(often, known) for known in fresh.often], [max(reached, known) for known in fresh.seldom]
    open_ = [True, lasted, total, calm] if kind else [False, fresh.lasted, 0.0, 0]
    past = [fresh.days, fresh.highest, fresh.bars, fresh.score, fresh.rarest, fresh.usual]
    return [strict, age, level, fresh.hours, list(fresh.hour), [], *new, *past, *open_]


def _lowered(burst: list[Any]) -> list[Any]:
    """A burst of form 1 from one of form 2, for release 0.1.0 to go on with."""
    now = msgspec.convert(burst, Burst)
    low, scale = now.often[-1], max(0.1, (now.seldom[-1] - now.often[-1]) / _SPREAD)
    above = [1.0, *[min(1.0, 0.05 * math.exp((low - i * _WIDTH) / scale)) for i in range(1, _CELLS)], 0.0]
    tail = [[_WEIGHT * (here - beyond) for here, beyond in pairwise(above)], low, scale]
    kind = "sustained" if now.open else ""
    known = [now.age, now.level, now.level, now.level, now.last[-6:], tail, tail, [0.0, 0.0]]
    return [*known, kind, now.lasted, now.total, now.calm, now.strict]


def lift(key: str, value: Any) -> Any:
    """From form 1."""
    if value["type"] != "series":
        return value
    for average in ("labels", "authors", "reach"):
        value.pop(average, None)
    value["posts"], value["complaints"] = _lifted(value["posts"]), _lifted(value["complaints"])
    value["channels"] = {name: _lifted(burst) for name, burst in value.get("channels", {}).items()}
    return value


def lower(key: str, value: Any) -> Any:
    """To form 1."""
    if value["type"] == "minute":
        return {**value, "counts": {n: part[:2] for n, part in value.get("counts", {}).items()}}
    if value["type"] != "series":
        return value
    old = {name: part for name, part in value.items() if name != "bins"}
    old["posts"], old["complaints"] = _lowered(value["posts"]), _lowered(value["complaints"])
    old["channels"] = {name: _lowered(burst) for name, burst in value.get("channels", {}).items()}
    seen = Tally.sum(msgspec.convert(value.get("bins", []), list[Tally]))
    return {**old, "labels": [posts / LONG for posts in seen.labels]}


FORMS = StateForms((FormStep.beside(lift, lower),))
