"""A quiet month: ten brands of very different size and rhythm, with bots, copied campaigns, late connectors and dead feeds, and no
trouble at all. Whoever is woken is woken for nothing.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from agents.classify.port import LABELS
from bench.surge_data import DAY, MINUTE, START
from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from schemas import ids
from schemas.records import Alert, ClassifiedMention, Kind, Label, Mention, Record

_HOUR = 60 * MINUTE
#: The first days, which are reported apart, and the days of the month.
_FIRST, _MONTH = 5, 30
#: Shares of complaint, question, praise and other.
_MIX = (0.2, 0.15, 0.15, 0.5)
_KINDS: tuple[Kind, ...] = ("post", "comment", "share")
_TEXT = (
    "exigimos que devuelvan ahora mismo el dinero de todos los clientes que esperan desde hace semanas una respuesta"
)
#: By hour of the day: how lively it is.
_OFFICE = [0.1] * 7 + [0.5, 1.5, 2.2, 2.2, 2.0, 1.6, 1.6, 2.0, 2.1, 2.0, 1.5, 0.9, 0.6, 0.4, 0.3, 0.2, 0.1]
_EVENING = [
    0.7,
    0.4,
    0.2,
    0.1,
    0.1,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    0.9,
    1.0,
    1.2,
    1.2,
    1.0,
    1.0,
    1.1,
    1.3,
    1.6,
    2.0,
    2.4,
    2.4,
    1.9,
    1.2,
]
_PEAK = [0.4] * 9 + [6.0, 2.0] + [0.8] * 13
_EVEN = [1.0] * 24


class _Kept(NamedTuple):
    """A brand of the month."""

    name: str
    a_day: int
    """Posts."""
    hours: list[float]
    weekend: float
    """How lively a day of the week-end is beside another one."""
    zone: str
    channels: tuple[str, ...]


_BRANDS = (
    _Kept("village", 15, _EVENING, 1.5, "Europe/Madrid", ("facebook",)),
    _Kept("clinic", 40, _OFFICE, 0.2, "America/Bogota", ("facebook", "instagram")),
    _Kept("museum", 90, _EVEN, 1.8, "Europe/Lisbon", ("instagram",)),
    _Kept("insurer", 150, _OFFICE, 0.3, "America/Sao_Paulo", ("twitter", "facebook")),
    _Kept("radio", 300, _PEAK, 0.5, "America/Lima", ("twitter",)),
    _Kept("shop", 700, _EVENING, 1.2, "Europe/Madrid", ("instagram", "facebook", "twitter")),
    _Kept("bank", 1_200, _OFFICE, 0.4, "America/Mexico_City", ("twitter", "facebook")),
    _Kept("airline", 2_500, _EVENING, 1.0, "America/Bogota", ("twitter", "facebook", "instagram")),
    _Kept("telco", 5_000, _EVENING, 0.9, "America/Sao_Paulo", ("twitter", "facebook")),
    _Kept("game", 9_000, _EVENING, 1.4, "UTC", ("twitter",)),
)
_POLICY = "\n".join(
    [
        f'[classifier]\nmodel = "{"0" * 64}"',
        *[f'[[brands]]\nname = "{one.name}"\nmode = "live"\nzone = "{one.zone}"' for one in _BRANDS],
        '[[rules]]\nname = "all"\ntarget = "60m"\npriority = 2',
    ]
)


class _Post(NamedTuple):
    made: int
    read: int
    """ms"""
    channel: str
    author: str
    label: Label
    kind: Kind = "post"
    root: str | None = None
    text: str = ""


def quiet(seed: int = 16) -> dict[str, Any]:
    """Play the month and count alerts by brand: those that page, those that inform, and what they told of."""
    random = np.random.default_rng(seed)
    posts = [(post, one.name) for one in _BRANDS for post in _month(one, random)]
    posts.sort(key=lambda found: (found[0].read, found[1], found[0].made, found[0].author))
    alerts: list[Alert] = []

    def tell(topic: str, records: list[Record]) -> None:
        if topic == "alerts":
            alerts.extend(record for record in records if isinstance(record, Alert))

    roles = [PIPELINE.role(name) for name in ("classify", "surge", "alerts")]
    replay = Replay({1: _POLICY}, 1, tell, roles=roles)
    lines = (_line(n, post, brand) for n, (post, brand) in enumerate(posts))
    play_lines([replay], lines, interval=TICK, run_on=_HOUR)
    worst: dict[str, Alert] = {}
    for alert in alerts:
        if alert.fingerprint not in worst or alert.severity == "page":
            worst[alert.fingerprint] = alert
    found: dict[str, Any] = {"posts": len(posts), "dead_letters": replay.dead_letters}
    for name, begins, ends in ("first_days", 0, _FIRST), ("month", _FIRST, _FIRST + _MONTH):
        within = [a for a in worst.values() if begins <= (a.starts_at - START) / DAY < ends]
        by_brand: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for alert in within:
            by_brand[alert.brand][f"{alert.kind} {alert.severity} {alert.evidence.get('crowd', '')}".strip()] += 1
        pages = sum(alert.severity == "page" for alert in within)
        surges = sum(alert.severity == "info" for alert in within)
        silences = sum(alert.kind == "channel_silent" for alert in within)
        found[name] = {
            "pages_a_brand": pages / len(_BRANDS),
            "info_a_brand": surges / len(_BRANDS),
            "silences_a_brand": silences / len(_BRANDS),
            "by_brand": {brand: dict(counts) for brand, counts in sorted(by_brand.items())},
        }
    return found


def _line(number: int, post: _Post, brand: str) -> Line:
    native_id = f"p{number}"
    mention = Mention(
        id=ids.mention(brand, post.channel, native_id),
        brand=brand,
        channel=post.channel,
        author_id=post.author,
        native_id=native_id,
        created_at=post.made,
        received_at=post.read,
        kind=post.kind,
        conversation_id=post.root,
        share_of=post.root if post.kind == "share" else None,
        text=post.text,
    )
    probabilities = [1.0 if label == post.label else 0.0 for label in LABELS]
    classified = ClassifiedMention(
        label=post.label, confidence=1.0, uncertain=False, classified_lang="es", own=False,
        probabilities=probabilities, model="0" * 16, policy=1, mention=mention,
    )  # fmt: skip
    return Line(post.read, "classified", classified, number)


def _month(one: _Kept, random: Any) -> list[_Post]:
    posts = [*_usual(one, random), *_cascades(one, random)]
    posts += _bot(one, random)
    posts += _campaign(one, random)
    for hours in (1, 3, 7):
        posts = list(_late(posts, _moment(random), hours * _HOUR))
    for hours in (2, 5):
        begins = _moment(random)
        posts = [post for post in posts if not begins <= post.made < begins + hours * _HOUR]
    return posts


def _moment(random: Any) -> int:
    """A time in the month, by day or night."""
    return START + _FIRST * DAY + int(random.uniform(0, (_MONTH - 1) * DAY))


def _usual(one: _Kept, random: Any) -> Iterator[_Post]:
    """The posts of people: days and hours stray, some write again, some answer or pass on a post."""
    stray, known = 0.0, [f"{one.name}.0"]
    for day in range(_FIRST + _MONTH):
        lively = one.a_day / 24 * math.exp(random.normal(0, 0.2)) * (one.weekend if day % 7 > 4 else 1.0)
        for hour in range(24):
            stray = 0.7 * stray + random.normal(0, 0.15)
            begins = START + day * DAY + hour * _HOUR
            for at in random.uniform(
                begins, begins + _HOUR, random.poisson(lively * one.hours[hour] * math.exp(stray))
            ):
                author = known[int(random.integers(len(known)))] if random.random() < 0.2 else f"{one.name}.{int(at)}"
                known = [*known, author][-200:]
                kind = _KINDS[int(random.choice(3, p=(0.7, 0.18, 0.12)))]
                root = None if kind == "post" else f"{one.name}.r{day}.{int(random.zipf(1.6)) % 50}"
                yield _person(int(at), str(random.choice(one.channels)), author, _label(random), kind, root, random)


def _cascades(one: _Kept, random: Any) -> Iterator[_Post]:
    """Posts that some pass on, once or twice a day, most of them few."""
    for n in range(random.poisson(1.5 * (_FIRST + _MONTH))):
        begins, most = START + random.uniform(0, (_FIRST + _MONTH) * DAY), max(8.0, 0.02 * one.a_day)
        size, channel = int(min(3 * random.pareto(1.3) + 2, most)), str(random.choice(one.channels))
        for at in begins + random.exponential(20 * MINUTE, size):
            kind: Kind = "share" if random.random() < 0.6 else "comment"
            yield _person(
                int(at), channel, f"{one.name}.c{n}.{int(at)}", _label(random), kind, f"{one.name}.v{n}", random
            )


def _person(made: int, channel: str, author: str, label: Label, kind: Kind, root: str | None, random: Any) -> _Post:
    read = made + int(random.exponential(8_000))
    return _Post(made, read, channel, author, label, kind, root)


def _label(random: Any) -> Label:
    return LABELS[int(random.choice(4, p=_MIX))]  # type: ignore[return-value]


def _bot(one: _Kept, random: Any) -> Iterator[_Post]:
    """One account that complains for hours."""
    begins, hours, channel = _moment(random), random.uniform(0.5, 4), str(random.choice(one.channels))
    for at in begins + random.uniform(0, hours * _HOUR, int(random.integers(60, 600))):
        yield _Post(int(at), int(at) + 5_000, channel, f"{one.name}.bot{begins}", "complaint", text=f"{int(at)}")


def _campaign(one: _Kept, random: Any) -> Iterator[_Post]:
    """Forty accounts that send one text, in which each changes a word."""
    begins, channel = _moment(random), str(random.choice(one.channels))
    words = _TEXT.split()
    for n, at in enumerate(begins + random.uniform(0, 2 * _HOUR, int(random.integers(60, 250)))):
        said = words.copy()
        said[int(random.integers(len(said)))] = "".join(chr(97 + int(c)) for c in random.integers(0, 26, 6))
        yield _Post(int(at), int(at) + 5_000, channel, f"{one.name}.s{n % 40}", "complaint", text=" ".join(said))


def _late(posts: list[_Post], begins: int, lasts: int) -> Iterator[_Post]:
    """The posts where a connector was down: it brings what it missed within two minutes of its return."""
    for post in posts:
        if begins <= post.made < begins + lasts:
            share = (post.made - begins) / lasts
            post = post._replace(read=begins + lasts + int(share * 2 * MINUTE))
        yield post
