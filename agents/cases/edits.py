"""The versions of a post: its author edits it, its network hides it and shows it again.

Each version is a message of its own from the moment of the change on. The version before it needs no answer from then on.
So the clock of the old words ends as it was, and the clock of the new words starts when these were written.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from agents.cases.policy_view import PolicyView
from agents.cases.state import VERSIONS, Labelling, Message, PostChange


def in_force(versions: Sequence[Message], at: int) -> Message:
    """Returns the version of a post that was current at a time (ms)."""
    found = versions[0]
    for version in versions[1:]:
        if version.at <= at:
            found = version
    return found


def edited(view: PolicyView, versions: Sequence[Message], change: PostChange) -> list[Message]:
    """Returns the versions of a post with the edited version added. New words with the same label make no new
    version.
    """
    if change.label is None:
        return list(versions)
    at = max(change.at, versions[0].at + 1)
    old = in_force(versions, at)
    deleted = old.done == "deleted_unanswered" and (old.done_at or 0) < at
    if deleted or _first(old).label == change.label:
        return list(versions)
    # An edit does not carry the network's tag: where the new words tell no language, the post keeps the one it had.
    lang = old.lang if change.lang in ("", "und") else change.lang
    return _with(view, versions, old, view.edited(old, at, change.label, lang, change.uncertain))


def shown(view: PolicyView, versions: Sequence[Message], change: PostChange) -> list[Message]:
    """Returns the versions of a post that is shown again: if it was hidden, a new version waits for an answer from that
    time on.
    """
    old = in_force(versions, change.at)
    if old.done != "hidden" or (old.done_at or 0) >= change.at:
        return list(versions)
    return _with(view, versions, old, view.edited(old, change.at, old.label, old.lang, old.uncertain))


def _first(m: Message) -> Labelling | Message:
    """What the classifier's label of the words gave: the label itself, and the due that follows from it."""
    return m.labellings[0] if m.labellings else m


def _with_labels(view: PolicyView, m: Message, labellings: Sequence[Labelling]) -> Message:
    """The message with labels that people gave it later."""
    for one in labellings:
        m = view.relabelled(m, one.at, one.label)
    return m


def _with(view: PolicyView, versions: Sequence[Message], old: Message, new: Message) -> list[Message]:
    """The versions with `new` after `old`; everything that happened to `old` after the change moves to `new`."""
    if old.done_at is not None and old.done_at >= new.at:
        new = replace(new, done_at=old.done_at, done=old.done)
    new = _with_labels(view, new, [one for one in old.labellings[1:] if one.at >= new.at])
    before = view.labelled_until(old, new.at)
    if before.done_at is None or before.done_at >= new.at:
        before = replace(before, done_at=new.at, done="edited")
    found = [before if m is old else m for m in versions]
    n = found.index(before) + 1
    if n < len(found) and (new.done_at is None or new.done_at > found[n].at):
        new = replace(new, done_at=found[n].at, done="edited")
    if n < len(found) and new.done == "edited" and _first(found[n]).label == _first(new).label:
        new = replace(new, done_at=found[n].done_at, done=found[n].done)  # the later edit changed nothing
        new = _with_labels(view, new, found.pop(n).labellings[1:])
    found.insert(n, new)
    _follow(view, found, n + 1)
    return [found[0], *found[1 - VERSIONS :]] if len(found) > VERSIONS else found


def _follow(view: PolicyView, versions: list[Message], n: int) -> None:
    """Makes the later versions anew, from number `n` on: an SLA due that an edit keeps is the due of the version before it."""
    for later in range(n, len(versions)):
        old, known = versions[later - 1], versions[later]
        first = _first(known)
        new = view.edited(old, known.at, first.label, known.lang, known.uncertain)
        if new.due_at == first.due_at:
            return
        versions[later] = _with_labels(view, replace(new, done_at=known.done_at, done=known.done), known.labellings[1:])
