"""What a post has been at different times: its author edits it, its network hides it and shows it again.

Each version is a message of its own from the moment of the change on, and the one before it needs no answer from then on.
So what was due of the old words stays as it was, and the clock of the new words starts when they were written.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from agents.cases.judging import Judge
from agents.cases.state import VERSIONS, Kept, Message
from schemas.records import Label


def in_force(versions: Sequence[Message], at: int) -> Message:
    """The version of a post that stood at a time (ms)."""
    found = versions[0]
    for version in versions[1:]:
        if version.at <= at:
            found = version
    return found


def edited(judge: Judge, versions: Sequence[Message], note: Kept) -> list[Message]:
    """The versions of a post, the one of new words among them. New words that mean the same are none."""
    if note.label is None:
        return list(versions)
    at = max(note.at, versions[0].at + 1)
    old = in_force(versions, at)
    deleted = old.done == "deleted_unanswered" and (old.done_at or 0) < at
    if deleted or _first_label(old) == note.label:
        return list(versions)
    return _with(judge, versions, old, judge.edited(old, at, note.label, note.lang or old.lang, note.uncertain))


def shown(judge: Judge, versions: Sequence[Message], note: Kept) -> list[Message]:
    """The versions of a post that can be seen again: one that was hidden waits for an answer from now on."""
    old = in_force(versions, note.at)
    if old.done != "hidden" or (old.done_at or 0) >= note.at:
        return list(versions)
    return _with(judge, versions, old, judge.edited(old, note.at, old.label, old.lang, old.uncertain))


def _first_label(m: Message) -> Label:
    """What the classifier said of its words."""
    return m.labellings[0].label if m.labellings else m.label


def _with(judge: Judge, versions: Sequence[Message], old: Message, new: Message) -> list[Message]:
    """With a version after another, which hands on what was learnt of later than that."""
    if old.done_at is not None and old.done_at >= new.at:
        new = replace(new, done_at=old.done_at, done=old.done)
    for one in old.labellings[1:]:
        if one.at >= new.at:
            new = judge.relabelled(new, one.at, one.label)
    before = judge.labelled_until(old, new.at)
    if before.done_at is None or before.done_at >= new.at:
        before = replace(before, done_at=new.at, done="edited")
    found = [before if m is old else m for m in versions]
    n = found.index(before) + 1
    if n < len(found) and (new.done_at is None or new.done_at > found[n].at):
        new = replace(new, done_at=found[n].at, done="edited")
    if n < len(found) and new.done == "edited" and _first_label(found[n]) == _first_label(new):
        new = replace(new, done_at=found[n].done_at, done=found[n].done)  # the later edit changed nothing
        for one in found.pop(n).labellings[1:]:
            new = judge.relabelled(new, one.at, one.label)
    found.insert(n, new)
    return [found[0], *found[1 - VERSIONS :]] if len(found) > VERSIONS else found
