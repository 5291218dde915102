"""What happened to a case, in the order of own times."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agents.cases.state import Answer, Known

#: At one moment: a mute stands before a post, an old version before its new one, a post before its answer, an answer before
#: whatever else ends a post.
MUTE, EDITED, POST, ANSWER, DISMISSED, UNDUE, END, ACT = range(-2, 6)
_RANK = {"mute": MUTE, "resolve": END, "silence": END, "no_target": END}


def placed(known: Known) -> tuple[Answer, ...]:
    """The replies by time, none before the post that it names, whatever the clocks of two networks say."""
    answers = known.answers
    if not answers or not any(a.to for a in answers):
        return answers
    posted: dict[str, int] = {}
    for m in known.messages:
        posted.setdefault(m.native_id, m.at)
    moved = [replace(a, at=max(a.at, posted.get(a.to, a.at))) if a.to else a for a in answers]
    return tuple(sorted(moved, key=lambda a: (a.at, a.id)))


def moments(known: Known, answers: tuple[Answer, ...]) -> list[tuple[int, int, int, Any]]:
    """(ms, rank, number, what), in order; answers: as placed."""
    messages = known.messages
    if len(messages) == 1 and not known.answers and not known.acts:
        m = messages[0]
        if m.done_at is None and m.undue_at is None:
            return [(m.at, POST, 0, m)]  # nearly always
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
    for act in known.acts:
        found.append((act.at, _RANK.get(act.deed, ACT), number, act))
        number += 1
    found.sort()
    return found
