"""A day of a million classified records: the story's day, copied for many brands."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import lru_cache
from random import Random
from typing import Any

from msgspec.structs import replace

from netcenter.demo.story import STORY_POLICY, story, teller
from netcenter.files.line import Line
from schemas import ids
from schemas.records import Action, ClassifiedMention, Mention, OperatorChanged, Record, Reply

SEED = 13
DAY = 86_400_000
MODEL = "0" * 16
_FOLLOWING = 0.64
"""The share of the story's replies, actions and updates that is kept, so that two thirds of the records are posts."""
_APART_MS = 811
"""ms between the same moment of two copies."""
_DESKS = {"andina": "care", "andina-express": "express"}


@lru_cache(maxsize=1)
def _day() -> list[tuple[int, Record]]:
    """Return (ms, record) of the story's first day in the order of play, posts with their intended labels; and the shifts."""
    told, random = story.tell(), Random(SEED)
    found: list[tuple[int, Record]] = []
    for line in told.lines:
        record = line.record
        if line.at >= teller.START + DAY:
            break
        if isinstance(record, Mention):
            found.append((line.at, _classified(record, told)))
        elif isinstance(record, OperatorChanged) or random.random() < _FOLLOWING:
            found.append((line.at, record))
    return found


def _classified(post: Mention, told: story.Story) -> ClassifiedMention:
    label = told.labels[post.id]
    return ClassifiedMention(
        label=label,
        confidence=0.85,
        uncertain=False,
        classified_lang=told.langs[post.id],
        own=post.author_id == story.ACCOUNTS[post.brand][post.channel],
        probabilities=[0.85 if name == label else 0.05 for name in story.LABELS],
        model=MODEL,
        policy=1,
        mention=post,
    )


def tellings(count: int) -> int:
    """Return the number of copies that make `count` records, without shifts."""
    return -(-count // sum(not isinstance(record, OperatorChanged) for _, record in _day()))


def lines(count: int) -> Iterator[Line]:
    """Yield `count` posts, replies, actions and updates in the order of play, and the shifts of the operators."""
    told = heapq.merge(*(_telling(n) for n in range(tellings(count))), key=lambda one: one[0])
    left = count
    for number, (at, record) in enumerate(told, 1):
        shift = isinstance(record, OperatorChanged)
        if not shift and left == 0:
            return
        left -= not shift
        topic = "desk" if shift else "classified" if isinstance(record, ClassifiedMention) else "mentions"
        yield Line(at, topic, record, number)  # type: ignore[arg-type]  # one of the three


def _telling(number: int) -> Iterator[tuple[int, Record]]:
    later = number * _APART_MS
    for at, record in _day():
        yield at + later, _of_another(record, number, later)


def _of_another(record: Any, number: int, later: int) -> Record:
    """Return a copy of the record for another brand or that brand's desk, a little later."""
    if isinstance(record, ClassifiedMention):
        mention: Any = _of_another(record.mention, number, later)
        return replace(record, mention=mention)
    if isinstance(record, OperatorChanged):
        desk, until = f"{record.desk}-{number}", (record.until or 0) + later
        id = ids.make("operator", desk, record.operator, record.at + later, record.change)
        return replace(record, id=id, desk=desk, at=record.at + later, until=until)
    brand = f"{record.brand}-{number}"
    moved: dict[str, Any] = {
        name: value + later
        for name in ("created_at", "received_at", "observed_at")
        if (value := getattr(record, name, None)) is not None
    }
    if isinstance(record, Mention):
        id = ids.mention(brand, record.channel, record.native_id)
    elif isinstance(record, Reply):
        id = ids.reply(brand, record.channel, record.native_id)
    elif isinstance(record, Action):
        id = ids.action(brand, record.channel, record.action_id)
        if record.desk is not None:
            moved["desk"] = f"{record.desk}-{number}"
    else:
        id = ids.make("update", brand, record.channel, moved["observed_at"], record.native_id)
    same: Record = replace(record, id=id, brand=brand, **moved)
    return same


def policy_text(count: int) -> str:
    """Return the story's policy with the brands and desks of a past of `count` records."""
    text = STORY_POLICY.read_text()
    head, _, rest = text.partition("[[brands]]")
    rules = rest[rest.index("[[rules]]") : rest.index("[[desks]]")]
    alerts = text[text.index("[alerts]") :]
    brands, desks = [], []
    for number in range(tellings(count)):
        for brand, desk in _DESKS.items():
            accounts = "\n".join(f'{channel} = ["{id}"]' for channel, id in story.ACCOUNTS[brand].items())
            named = f'name = "{brand}-{number}"\nmode = "live"\nzone = "America/Bogota"\ndesk = "{desk}-{number}"'
            brands.append(f"[[brands]]\n{named}\n\n[brands.accounts]\n{accounts}\n")
            desks.append(f'[[desks]]\nname = "{desk}-{number}"\noffer_timeout = "60m"\n')
    return "\n".join([head, *brands, rules, *desks, alerts])
