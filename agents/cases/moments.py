"""The observations of a case in the order of their own times."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agents.cases.state import HumanReply, Observed

#: The order of things with the same time: a mute comes before a post, the end of an old version before the new version, a
#: post before its reply, and a reply before anything else that ends a post.
MUTE, EDITED, POST, ANSWER, DISMISSED, UNDUE, END, ACT = range(-2, 6)
_RANK = {"mute": MUTE, "resolve": END, "silence": END, "no_target": END}


def placed(observed: Observed) -> tuple[HumanReply, ...]:
    """Returns the replies by time, each no earlier than the post that it names, because the clocks of two networks may
    differ.
    """
    answers = observed.answers
    if not answers or not any(a.to for a in answers):
        return answers
    posted: dict[str, int] = {}
    for m in observed.messages:
        posted.setdefault(m.native_id, m.at)
    moved = [replace(a, at=max(a.at, posted.get(a.to, a.at))) if a.to else a for a in answers]
    return tuple(sorted(moved, key=lambda a: (a.at, a.id)))


def moments(observed: Observed, answers: tuple[HumanReply, ...]) -> list[tuple[int, int, int, Any]]:
    """Returns tuples (ms, rank, number, thing) in order; `answers`: as `placed` returns them."""
    messages = observed.messages
    if len(messages) == 1 and not observed.answers and not observed.actions:
        m = messages[0]
        if m.done_at is None and m.undue_at is None:
            return [(m.at, POST, 0, m)]  # the usual case: one message and nothing else
    found: list[tuple[int, int, int, Any]] = []
    number = 0
    for m in messages:
        found.append((m.at, POST, number, m))
        if m.done_at is not None:
            found.append((m.done_at, EDITED if m.done == "edited" else DISMISSED, number, m))
        if m.undue_at is not None:
            found.append((m.undue_at, UNDUE, number, m))
        number += 1
    for a in answers:
        found.append((a.at, ANSWER, number, a))
        number += 1
    for action in observed.actions:
        found.append((action.at, _RANK.get(action.kind, ACT), number, action))
        number += 1
    found.sort()
    return found
