"""The differences between two policies, by brands, rules, desks and settings instead of lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

from agents.policy.parts import Part
from agents.policy.policy import Policy

_TABLES = {"brands": "brand", "rules": "rule", "desks": "desk", "channels": "channel"}
_SETTINGS = ("classifier", "deduplication", "cases", "surge", "alerts")


class Change(NamedTuple):
    """One difference."""

    table: str
    """`brand`, `rule`, `desk` or `channel`; or `classifier`, `deduplication`, `cases`, `surge` or `alerts`."""
    name: str
    """The name of the brand, rule, desk or channel; empty for settings."""
    change: Literal["added", "removed", "changed", "moved"]
    field: str = ""
    """The field that changed; empty for the other kinds of change."""
    before: Any = None
    """The old value as the file writes it; None where the file gives none and there is no default. For `moved`: the
    name of the rule that was before this rule.
    """
    after: Any = None
    """The new value, in the same form as `before`."""

    def __str__(self) -> str:
        what = f"{self.table} {self.name}" if self.name else self.table
        if self.change == "changed":
            return f"{what}: {self.field} {_said(self.before)} -> {_said(self.after)}"
        if self.change == "moved":
            return f"{what}: moved, now {_behind(self.after)}"
        place = f", {_behind(self.after)}" if self.table == "rule" and self.change == "added" else ""
        return f"{what}: {self.change}{place}"


def difference(old: Policy, new: Policy) -> list[Change]:
    """Every change from the old policy to the new policy. Writing out a default is not a change."""
    found: list[Change] = []
    for table, word in _TABLES.items():
        before, after = getattr(old, table), getattr(new, table)
        was, is_now = {p.name: p for p in before}, {p.name: p for p in after}
        behind = _predecessors(after)
        found += [Change(word, name, "removed") for name in was if name not in is_now]
        moved = _moved(list(was), list(is_now)) if table == "rules" else set()
        for name, part in is_now.items():
            if name not in was:
                found.append(Change(word, name, "added", after=behind[name] if table == "rules" else None))
                continue
            if name in moved:
                found.append(Change(word, name, "moved", before=_predecessors(before)[name], after=behind[name]))
            found += _changed(word, name, was[name], part)
    for table in _SETTINGS:
        found += _changed(table, "", getattr(old, table), getattr(new, table))
    return found


def summary(changes: Sequence[Change]) -> str:
    """The changes counted in one line, such as "2 rules changed, 1 brand added, surge changed"."""
    parts = dict.fromkeys((c.table, c.change, c.name) for c in changes)
    told = []
    for table in dict.fromkeys(c.table for c in changes):
        for change in ("added", "removed", "changed", "moved"):
            names = [name for other, kind, name in parts if (other, kind) == (table, change)]
            if names:
                told.append(
                    f"{len(names)} {table}{'s' if len(names) > 1 else ''} {change}" if names[0] else f"{table} {change}"
                )
    return ", ".join(told) or "no difference"


def _predecessors(parts: Sequence[Any]) -> dict[str, str | None]:
    names = [part.name for part in parts]
    return dict(zip(names, [None, *names], strict=False))


def _moved(before: list[str], after: list[str]) -> set[str]:
    """The rules of both policies that changed their place. The others are in the same order as before."""
    both = set(before) & set(after)
    old, new = [n for n in before if n in both], [n for n in after if n in both]
    kept = {
        name
        for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        for name in new[block.b : block.b + block.size]
    }
    return both - kept


def _changed(table: str, name: str, old: Part, new: Part) -> Iterator[Change]:
    before, after = _flat(old), _flat(new)
    for field in dict.fromkeys([*before, *after]):
        if before.get(field) != after.get(field):
            yield Change(table, name, "changed", field, before.get(field), after.get(field))


def _flat(part: Part) -> dict[str, Any]:
    """The fields and values as the file writes them. A nested table, such as accounts, has a key for each of its
    fields, at every depth.
    """
    return dict(_leaves(part.model_dump(mode="json", by_alias=True)))


def _leaves(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _behind(rule: str | None) -> str:
    return "the first" if rule is None else f"after {rule}"


def _said(value: Any) -> str:
    match value:
        case None | []:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_said, value))}]"
        case {"days": days, "from": opens, "to": closes}:
            return f"{' '.join(days)} {opens}-{closes}"
        case {"date": day, "from": opens, "to": closes}:
            return f"{day} {opens}-{closes}"
        case {"name": name, "start": start, "end": end, "factor": factor, "repeats": repeats}:
            return f"{name} {start} to {end}, {factor:g} times" + (f", {repeats}" if repeats else "")
    return str(value)
