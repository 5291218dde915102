"""A quiet month of one desk: a brand of 600 posts a day, answered as usual, some late. How often the desk's alert opens, by the
limits of the policy. `python -m bench.quiet_desk`; it takes two minutes.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from bench.surge_data import MINUTE, START
from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from schemas import ids
from schemas.records import Alert, ClassifiedMention, Label, Mention, Record, Reply

_HOUR = 60 * MINUTE
_POSTS, _DAYS = 600, 30
#: By hour of the brand's day: how lively it is.
_HOURS = [
    0.5,
    0.3,
    0.2,
    0.1,
    0.1,
    0.2,
    0.4,
    0.7,
    1.0,
    1.2,
    1.3,
    1.3,
    1.3,
    1.2,
    1.2,
    1.2,
    1.3,
    1.5,
    1.7,
    1.8,
    1.7,
    1.5,
    1.1,
    0.7,
]
#: Shares of complaints, which are due after an hour, and of questions, which are due after two.
_SHARES: tuple[tuple[Label, float, int], ...] = (("complaint", 0.2, 60), ("question", 0.15, 120))
#: The median of the first answer in minutes and how it strays, by day and by night (22 to 7 h): 20 and 33 % take an hour or longer.
_DAY, _NIGHT = (28.0, 0.9), (40.0, 0.9)
_LIMITS = {
    "3 cases, as before": "sla_overdue = 3\nsla_share = 0.0\noverdue = []",
    "3 cases and a tenth of the queue": "sla_overdue = 3\nsla_share = 0.1\noverdue = []",
    "3 cases, calm for an hour": 'sla_overdue = 3\noverdue = []\nsla_calm = "1h"',
    "3 cases, a grace of ten minutes": 'sla_overdue = 3\noverdue = []\nsla_grace = "10m"',
    "5 cases": "sla_overdue = 5\noverdue = []",
    "6 cases": "sla_overdue = 6\noverdue = []",
}


def _policy(limits: str) -> str:
    brand = '[[brands]]\nname = "shop"\nmode = "live"\nzone = "America/Bogota"'
    rules = "\n".join(
        f'[[rules]]\nname = "{label}"\nmatch = {{ label = ["{label}"] }}\ntarget = "{minutes}m"\npriority = 2'
        for label, _, minutes in _SHARES
    )
    return f'[classifier]\nmodel = "{"0" * 64}"\n{brand}\n{rules}\n[alerts]\n{limits}\n'


def measure(seed: int = 17) -> dict[str, Any]:
    """The openings and versions of the desk's alert in a month, by limits, and how many of the openings are at night."""
    lines = _lines(np.random.default_rng(seed))
    roles = [PIPELINE.role(name) for name in ("classify", "cases", "alerts")]
    found: dict[str, Any] = {}
    for name, limits in _LIMITS.items():
        alerts: list[Alert] = []

        def tell(topic: str, records: list[Record], into: list[Alert] = alerts) -> None:
            into.extend(record for record in records if isinstance(record, Alert))

        replay = Replay({1: _policy(limits)}, 1, tell, roles=roles)
        play_lines([replay], iter(lines), interval=TICK, run_on=_HOUR)
        opened = {(a.fingerprint, a.starts_at) for a in alerts if a.state == "firing"}
        night = sum(not 7 <= (start // _HOUR - 5) % 24 < 22 for _, start in opened)
        found[name] = {"openings": len(opened), "at_night": night, "versions": len(alerts)}
    return found


def _lines(random: Any) -> list[Line]:
    """Posts and answers by the time at which they are read."""
    told: list[tuple[int, Record]] = []
    for hour in range(_DAYS * 24):
        begins, of_day = START + hour * _HOUR, (START // _HOUR + hour - 5) % 24
        lively = _POSTS / 24 * _HOURS[of_day] * math.exp(random.normal(0, 0.3))
        median, strays = _DAY if 7 <= of_day < 22 else _NIGHT
        for at in random.uniform(begins, begins + _HOUR, random.poisson(lively)):
            label = _label(random)
            if label is None:
                continue
            number = len(told)
            told.append((int(at), _post(number, int(at), label)))
            after = math.exp(random.normal(math.log(median), strays)) * MINUTE
            told.append((int(at + after), _answer(number, int(at + after))))
    told.sort(key=lambda found: found[0])
    return [Line(at, "classified", record, n) for n, (at, record) in enumerate(told)]


def _label(random: Any) -> Label | None:
    drawn = random.random()
    for label, share, _ in _SHARES:
        if drawn < share:
            return label
        drawn -= share
    return None


def _post(number: int, at: int, label: Label) -> ClassifiedMention:
    mention = Mention(
        id=ids.mention("shop", "twitter", f"p{number}"), brand="shop", channel="twitter", author_id=f"a{number}",
        native_id=f"p{number}", created_at=at, received_at=at, kind="post", text="",
    )  # fmt: skip
    return ClassifiedMention(
        label=label, confidence=1.0, uncertain=False, classified_lang="es", own=False,
        probabilities=[0.25] * 4, model="0" * 16, policy=1, mention=mention,
    )  # fmt: skip


def _answer(number: int, at: int) -> Reply:
    return Reply(
        id=ids.make("reply", "shop", "twitter", f"r{number}"), brand="shop", channel="twitter", author_id=f"a{number}",
        native_id=f"r{number}", created_at=at, received_at=at, in_reply_to=f"p{number}",
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
