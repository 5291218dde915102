"""What happened to a case, in the order of own times."""

from __future__ import annotations

from typing import Any

from agents.cases.state import Known

#: At one moment: a mute stands before a post, a post before its answer, an answer before whatever else ends a post.
MUTE, POST, ANSWER, DISMISSED, UNDUE, END, ACT = range(-1, 6)
_RANK = {"mute": MUTE, "resolve": END, "silence": END, "no_target": END}


def moments(known: Known) -> list[tuple[int, int, int, Any]]:
    """(ms, rank, number, what), in order."""
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
            found.append((m.done_at, DISMISSED, number, m))
        if m.undue_at is not None:
            found.append((m.undue_at, UNDUE, number, m))
        number += 1
    for a in known.answers:
        found.append((a.at, ANSWER, number, a))
        number += 1
    for act in known.acts:
        found.append((act.at, _RANK.get(act.deed, ACT), number, act))
        number += 1
    found.sort()
    return found
