"""The tables of docs/policy.md, made from the models of the policy."""

from __future__ import annotations

from typing import Any

from agents.policy.parts import DURATION
from agents.policy.schema import schema

#: The heading of each table, by the table's path; a heading is written as in a policy file.
_HEADINGS = {
    "classifier": "[classifier]",
    "brands": "[[brands]]",
    "brands.calendar": "[[brands.calendar]], or a list of inline tables",
    "brands.holidays": "[[brands.holidays]], or a list of dates and inline tables",
    "brands.expected_events": "[[brands.expected_events]], or a list of inline tables",
    "rules": "[[rules]]",
    "rules.match": "[rules.match], or an inline table",
    "desks": "[[desks]]",
    "desks.ladder": "[desks.ladder], or an inline table",
    "desks.holding": "[desks.holding], or an inline table",
    "channels": "[[channels]]",
    "deduplication": "[deduplication]",
    "cases": "[cases]",
    "surge": "[surge]",
    "alerts": "[alerts]",
    "alerts.overdue": "[[alerts.overdue]]",
    "alerts.routes": "[[alerts.routes]]",
    "alerts.routes.match": "[alerts.routes.match], or an inline table",
    "alerts.silences": "[[alerts.silences]]",
    "alerts.silences.match": "[alerts.silences.match], or an inline table",
}


def tables() -> str:
    """Each table of a policy file with its fields, the values they take, their defaults and their meaning, as Markdown."""
    return "\n\n".join(line for path, heading in _HEADINGS.items() for line in _table(path, heading))


def paths() -> set[str]:
    """The path of every table that the models have, such as `brands.calendar`."""
    return {f"{'.'.join(path)}" for path in _paths(schema(), ())}


def _paths(part: dict[str, Any], above: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The paths of the tables in a part of the JSON Schema, whose own path is `above`."""
    found = []
    for name, said in part["properties"].items():
        inner = _referred(said) or _referred(said.get("items", {}))
        if inner is not None:
            found += [(*above, name), *_paths(inner, (*above, name))]
    return found


def _referred(said: dict[str, Any]) -> dict[str, Any] | None:
    """The model that a field's schema refers to; None where the field is not a table."""
    said = next((one for one in said.get("anyOf", ()) if "$ref" in one), said)
    if "$ref" not in said:
        return None
    part: dict[str, Any] = schema()["$defs"][said["$ref"].rpartition("/")[2]]
    return part


def _table(path: str, heading: str) -> tuple[str, str, str]:
    """The heading of a table, its description, and its fields as a Markdown table. Raises LookupError for an unknown path."""
    part: dict[str, Any] | None = schema()
    for name in path.split("."):
        said = part["properties"][name] if part is not None else {}
        part = _referred(said) or _referred(said.get("items", {}))
    if part is None:
        raise LookupError(f"the policy has no table {path}")
    needed = part.get("required", ())
    rows = [
        f"| `{name}` | {_takes(said)} | {'required' if name in needed else _default(said)} | {_words(said)} |"
        for name, said in part["properties"].items()
    ]
    table = "\n".join(["| field | takes | default | meaning |", "|---|---|---|---|", *rows])
    return f"### {heading}", part["description"], table


def _words(said: dict[str, Any]) -> str:
    words = said.get("description") or (_referred(said) or {}).get("description", "")
    return " ".join(str(words).split())


def _default(said: dict[str, Any]) -> str:
    match said.get("default"):
        case None | [] | {}:
            return ""
        case [{"name": _}, *_] as parts:
            return ", ".join(f"`{part['name']}`" for part in parts)
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case str() as text:
            return f'`"{text}"`'
        case other:
            return f"`{other}`"


def _takes(said: dict[str, Any]) -> str:
    """The kind of value that a field takes, in words."""
    match said:
        case {"pattern": pattern} if pattern == DURATION["pattern"]:
            return "duration"
        case {"enum": words}:
            return ", ".join(f"`{word}`" for word in words)
        case {"examples": examples}:
            return "such as " + ", ".join(f'`"{example}"`' for example in examples)
        case {"format": form}:
            return {"date": "date", "date-time": "date and time"}[form]
        case {"patternProperties": inner}:
            return f"for each name a {_takes(next(iter(inner.values())))}"
        case {"anyOf": [{"format": "date"}, {"pattern": _, "examples": [example]}, *more]}:
            return f'date, text such as `"{example}"`' + (" or table" if more else "")
        case {"items": inner}:
            return "list of tables" if "$ref" in inner else f"list of {_takes(inner)}"
        case {"$ref": _}:
            return "table"
        case {"pattern": "^[0-9a-f]{64}$"}:
            return "64 hex digits"
        case {"pattern": pattern} if str(pattern).startswith("^http"):
            return "URL"
        case {"pattern": _}:
            return "name"
    return {"string": "text", "boolean": "`true`, `false`"}.get(said["type"]) or _number(said)


def _number(said: dict[str, Any]) -> str:
    kind = "whole number" if said["type"] == "integer" else "number"
    least, most, above = said.get("minimum"), said.get("maximum"), said.get("exclusiveMinimum")
    if least is not None and most is not None:
        return f"{kind}, {least} to {most}"
    if above is not None:
        return f"{kind} above {above}"
    return f"{kind}, at least {least}" if least is not None else kind
